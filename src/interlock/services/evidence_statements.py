"""What evidence says, as an in-toto statement (docs/evidence.md)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from interlock.domain.codec import to_plain
from interlock.domain.delivery import Evidence, Verdict

STATEMENT = "https://in-toto.io/Statement/v1"
DUTY = "urn:interlock:evidence:duty:v1"
VERDICT = "urn:interlock:evidence:gate:v1"
PROVENANCE = "https://slsa.dev/provenance/v1"


def duty_statement(evidence: Evidence, jwk: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``jwk``: the public key of the person who signs it themself."""
    predicate: dict[str, Any] = {
        "chain": evidence.chain,
        "duty": evidence.duty,
        "person": evidence.person,
        "repository": evidence.repository,
        "branch": evidence.branch,
        "base": evidence.base,
        "environment": evidence.environment,
        "how": evidence.how.value,
        "at": to_plain(evidence.at),
    }
    more = {"landed": evidence.landed, "source": evidence.source, "commits": list(evidence.commits)}
    predicate |= {name: value for name, value in more.items() if value}
    if jwk is not None:
        predicate["key"] = dict(jwk)
    return {
        "_type": STATEMENT,
        "subject": [subject_of(evidence.repository, evidence.commit, evidence.tree)],
        "predicateType": DUTY,
        "predicate": predicate,
    }


def verdict_statement(verdict: Verdict, commit: str, repository: str, until: str, rules: Any) -> dict[str, Any]:
    """What a gate answered, for who checks it without the server until ``until``. ``rules`` are the chain's."""
    predicate = to_plain(replace(verdict, missing=()))
    predicate = {name: value for name, value in predicate.items() if name != "missing"}
    predicate |= {"until": until, "rules": rules, "answer": "allow" if verdict.open else "deny"}
    return {
        "_type": STATEMENT,
        "subject": [subject_of(repository, commit, verdict.tree)],
        "predicateType": VERDICT,
        "predicate": predicate,
    }


def subject_of(repository: str, commit: str, tree: str) -> dict[str, Any]:
    return {"name": f"git:{repository}@{commit}", "digest": {"gitCommit": commit, "gitTree": tree}}
