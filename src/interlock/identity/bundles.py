"""A gate's bundle, checked with the control plane's public key alone: no server, no database, no network.

In this order: the verdict is signed by the key and still good · it is about what was asked, and says allow · each
evidence that it rests on is there and signed by the key; a person's own signature on it holds too · no evidence is of
another repository · nobody stands twice where the chain says separate.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from interlock.errors import Refusal
from interlock.identity.envelopes import PAYLOAD_TYPE, Envelope, read_envelope
from interlock.identity.keys import PublicKey, UnusableKeyError, read_public_jwk, thumbprint

_VERDICT, _DUTY = "urn:interlock:evidence:gate:v1", "urn:interlock:evidence:duty:v1"


@dataclass(frozen=True, slots=True)
class Asked:
    """``artifact`` is ``git:REPOSITORY@HASH``."""

    chain: str
    duty: str
    artifact: str
    environment: str


def check_bundle(text: str, key: PublicKey, asked: Asked, now: datetime) -> Mapping[str, Any]:
    """What the verdict says. Raises Refusal (``bad-bundle``)."""
    try:
        bundle = json.loads(text)
        verdict = read_envelope(bundle["verdict"])
        evidence = {str(name): read_envelope(one) for name, one in bundle["evidence"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _bad("it is no bundle") from error
    said = _predicate(verdict, key, "the verdict", _VERDICT)
    statement = verdict.statement()
    subject = statement["subject"][0]
    about = Asked(said["chain"], said["duty"], subject["name"], said["environment"])
    if about != asked:
        raise _bad(
            f"it is about {about.duty} of {about.chain} over {about.artifact}"
            + (f" to {about.environment}" if about.environment else " to no environment")
        )
    if said["answer"] != "allow":
        raise _bad("the gate did not say yes")
    if not _time(said["at"]) <= now < _time(said["until"]):
        raise _bad(f"it was good until {said['until']}")
    missing = [name for name in said["rests_on"] if name not in evidence]
    if missing:
        raise _bad(f"the evidence {missing[0]} is not in it")
    repository = subject["name"].removeprefix("git:").partition("@")[0]
    for name in said["rests_on"]:
        _check_evidence(name, evidence[name], key, repository)
    _check_separate(said)
    return said


def _check_evidence(name: str, envelope: Envelope, key: PublicKey, repository: str) -> None:
    said = _predicate(envelope, key, f"the evidence {name}", _DUTY)
    if said["repository"] != repository:
        raise _bad(f"the evidence {name} is about another repository")
    if said["how"] == "cli":
        try:
            own = read_public_jwk(said.get("key"))
        except UnusableKeyError as error:
            raise _bad(f"the evidence {name} does not say whose key signed it") from error
        if not envelope.holds(own) or thumbprint(own) == thumbprint(key):
            raise _bad(f"the evidence {name} is not signed by the person who gave it")


def _check_separate(said: Mapping[str, Any]) -> None:
    carried: Mapping[str, list[str]] = said["carried"]
    last = said["duty"]
    for rule in said["rules"]["separations"]:
        if last in rule["names"]:
            others = set().union(*(set(carried.get(name, ())) for name in rule["names"] if name != last))
            twice = sorted(others & set(carried.get(last, ())))
            if twice:
                raise _bad(f"{twice[0]} carries {last} and another duty, which are separate")


def _predicate(envelope: Envelope, key: PublicKey, what: str, kind: str) -> Mapping[str, Any]:
    if envelope.kind != PAYLOAD_TYPE or not envelope.holds(key):
        raise _bad(f"{what} is not signed with that key")
    statement = envelope.statement()
    predicate = statement.get("predicate")
    if statement.get("predicateType") != kind or not isinstance(predicate, Mapping):
        raise _bad(f"{what} is of another kind")
    return predicate


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _bad(why: str) -> Refusal:
    return Refusal("bad-bundle", f"This bundle does not hold: {why}.", "Ask the gate for a new one: interlock gate.")
