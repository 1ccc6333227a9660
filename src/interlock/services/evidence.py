"""A person says that they did a duty on a commit, signed with their own key; a builder says what it made of one.

Holds to:

* the control plane says what the statement is; the person's key signs exactly that, within ten minutes; the key is that
  of the login, and the person the login's; a workload signs with its own, and counts as its owner
* what stands in the repository is looked at, not what the person says of it: commit, tree, base
* a duty is refused at once when the gate would not take it: out of order, or in another person's hands
* the last duty is done to an environment, and only through an open gate
* provenance is taken from a builder of the repository, about a commit of the repository; it is not taken twice
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from interlock.domain.codec import to_plain
from interlock.domain.delivery import Evidence, Known, Verdict
from interlock.domain.delivery_events import EvidenceGiven, EvidenceVoided
from interlock.domain.duties import Revision
from interlock.errors import NotFound, Refusal
from interlock.ports.state import UnitOfWork
from interlock.services.delivery import Delivery, revision_of
from interlock.services.deployment_ends import end_what_rested
from interlock.services.ending_rights import acting_person
from interlock.services.evidence_statements import PROVENANCE, duty_statement
from interlock.services.gate import ask_gate
from interlock.services.gate_authors import SHORT
from interlock.services.ids import new_id
from interlock.services.workloads import Acting, acting_as

_SIGN_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which duty, on what."""

    chain: str
    duty: str
    artifact: str
    environment: str = ""


async def describe_duty(
    delivery: Delivery, *, acting: Acting, wanted: Wanted, jwk: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The statement that the person is to sign. Raises Refusal when the duty is not theirs to do now."""
    desk = delivery.desk
    async with desk.state.reading() as reading:
        person = await acting_person(reading, await acting_as(desk, reading, acting, desk.clock.now()))
    verdict = await ask_gate(
        delivery,
        chain=wanted.chain,
        duty=wanted.duty,
        artifact=wanted.artifact,
        environment=wanted.environment,
        person=person.name,
    )
    refuse_shut(verdict)
    return duty_statement(await _evidence(delivery, acting, wanted, person.name, verdict), jwk)


async def give_evidence(delivery: Delivery, *, acting: Acting, key: str, envelope: str) -> Evidence:
    """Keep what was signed with ``key``, the caller's. Raises Refusal (``bad-envelope``, ``stale-statement`` …)."""
    desk = delivery.desk
    statement, sealed = delivery.attestor.countersign(envelope, key=key)
    wanted, jwk = _read(statement)
    described = await describe_duty(delivery, acting=acting, wanted=wanted, jwk=jwk)
    at = _moment(statement)
    now = desk.clock.now()
    same = {**described["predicate"], "at": statement["predicate"]["at"]}
    if {**described, "predicate": same} != statement:
        raise Refusal(
            "stale-statement",
            "What was signed is not what is there now: the repository has moved on, or it is another's.",
            "Do it again: interlock duty done.",
        )
    if not now - _SIGN_WITHIN <= at <= now + timedelta(seconds=120):
        raise Refusal("stale-statement", "That was signed too long ago.", "Do it again: interlock duty done.")
    person = str(statement["predicate"]["person"])
    async with desk.deciding(f"workload:{acting.workload}" if acting.workload else person) as work:
        if await acting_as(desk, work, acting, desk.clock.now()) != person:
            raise Refusal("bad-envelope", "That was signed by another person.", "Do it again: interlock duty done.")
        await acting_person(work, person)
        verdict = replace_verdict(statement)
        kept = replace(await _evidence(delivery, acting, wanted, person, verdict), at=at, envelope=sealed)
        same_before = await work.evidence(kept.repository, [kept.commit])
        earlier = next((one for one in same_before if _is_same(one, kept)), None)
        if earlier is not None:
            raise Refusal(
                "already-done",
                f"{person} has done {kept.duty} on {kept.commit[:SHORT]} already, at {earlier.at:%Y-%m-%d %H:%M} UTC.",
                f"See: interlock duty show {kept.chain} --artifact {wanted.artifact}",
            )
        await keep(work, kept)
    return kept


def refuse_shut(verdict: Verdict) -> None:
    """Raises Refusal with the first code and the sentences of all that is missing."""
    if verdict.open:
        return
    who = tuple(dict.fromkeys(name for one in verdict.missing for name in one.who))
    remedy = f"Who could: {', '.join(who)}." if who else "See what is missing, and let it be done."
    sentences = " ".join(one.sentence for one in verdict.missing[:5])
    more = len(verdict.missing) - 5
    raise Refusal(verdict.missing[0].code, sentences + (f" And {more} more." if more > 0 else ""), remedy)


def replace_verdict(statement: Mapping[str, Any]) -> Verdict:
    """What :func:`_evidence` takes of a verdict, from a statement that was found to be the one that is due."""
    predicate, digest = statement["predicate"], statement["subject"][0]["digest"]
    return Verdict(
        chain=predicate["chain"],
        duty=predicate["duty"],
        artifact=statement["subject"][0]["name"],
        environment=predicate["environment"],
        person=predicate["person"],
        base=predicate["base"],
        tree=digest["gitTree"],
        policy="",
        at=_moment(statement),
    )


def _is_same(one: Evidence, other: Evidence) -> bool:
    return (
        one.counts
        and one.how is Known.CLI
        and all(
            getattr(one, name) == getattr(other, name)
            for name in ("chain", "duty", "commit", "person", "environment", "base")
        )
    )


async def _evidence(delivery: Delivery, acting: Acting, wanted: Wanted, person: str, verdict: Verdict) -> Evidence:
    revision = revision_of(wanted.artifact)
    repository = delivery.repository(revision.repository)
    return Evidence(
        id=new_id("e"),
        chain=wanted.chain,
        duty=wanted.duty,
        repository=repository.name,
        commit=revision.commit,
        tree=verdict.tree,
        base=verdict.base,
        branch=repository.branch,
        person=person,
        how=Known.CLI,
        at=delivery.desk.clock.now(),
        envelope="",
        environment=wanted.environment,
        source=f"workload {acting.workload}" if acting.workload else "",
    )


def _read(statement: Mapping[str, Any]) -> tuple[Wanted, Mapping[str, Any]]:
    try:
        predicate = statement["predicate"]
        words = [predicate[name] for name in ("chain", "duty", "environment")]
        name, jwk = statement["subject"][0]["name"], predicate["key"]
        words += [name, predicate["at"], predicate["person"]]
    except (KeyError, TypeError, IndexError) as error:
        raise Refusal("bad-envelope", "This statement is none of a duty.", "See docs/evidence.md.") from error
    if not all(isinstance(word, str) for word in words):
        raise Refusal("bad-envelope", "This statement is none of a duty.", "See docs/evidence.md.")
    return Wanted(words[0], words[1], name, words[2]), jwk


def _moment(statement: Mapping[str, Any]) -> datetime:
    try:
        moment = datetime.fromisoformat(statement["predicate"]["at"])
    except (ValueError, TypeError) as error:
        raise Refusal("bad-envelope", "This statement has no time.", "See docs/evidence.md.") from error
    if moment.tzinfo is None:
        raise Refusal("bad-envelope", "This statement has a time without a zone.", "See docs/evidence.md.")
    return moment.astimezone(UTC)


async def keep(work: UnitOfWork, evidence: Evidence) -> None:
    """Save it and record it."""
    await work.save(evidence)
    work.record(
        EvidenceGiven(
            evidence=evidence.id,
            chain=evidence.chain,
            duty=evidence.duty,
            artifact=str(Revision(evidence.repository, evidence.commit)),
            person=evidence.person,
            how=evidence.how.value,
            environment=evidence.environment,
            build_digest=evidence.subject,
            envelope=evidence.envelope,
        )
    )


async def void(work: UnitOfWork, evidence: Evidence, why: str, at: datetime) -> None:
    await work.save(replace(evidence, voided_at=at, voided_why=why))
    work.record(
        EvidenceVoided(
            evidence=evidence.id,
            chain=evidence.chain,
            duty=evidence.duty,
            artifact=str(Revision(evidence.repository, evidence.commit)),
            person=evidence.person,
            why=why,
        )
    )
    what = f"{evidence.duty} of {evidence.commit[:SHORT]} by {evidence.person}"
    await end_what_rested(work, evidence.id, what, at)


async def list_evidence(delivery: Delivery, *, person: str, artifact: str) -> list[Evidence]:
    """What was done on a commit. Employees see it, and who is part of it; to others there is none."""
    revision = revision_of(artifact)
    delivery.repository(revision.repository)
    async with delivery.desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        found = list(await reading.evidence(revision.repository, [revision.commit]))
    if not reader.is_employee and all(one.person != reader.name for one in found):
        return []
    return found


async def take_provenance(delivery: Delivery, *, by: str, repository: str, envelope: str) -> list[Evidence]:
    """Keep a build's SLSA provenance; one evidence for each digest that it names. Raises Refusal."""
    known = delivery.repository(repository)
    statement, builder = delivery.attestor.open_build(
        envelope, {name: builder.key for name, builder in known.builders.items()}
    )
    commit, digests = _read_provenance(statement)
    tree = await delivery.repositories.tree(known.name, commit)
    if tree is None:
        await delivery.repositories.refresh(known.name, at_once=True)
        tree = await delivery.repositories.tree(known.name, commit)
    if tree is None:
        raise NotFound(
            f"This build was made from {commit[:SHORT]}, which {known.name} does not have.", "Push it, then try again."
        )
    desk, kept = delivery.desk, []
    async with desk.deciding(by) as work:
        for digest in digests:
            if any(one.commit == commit and one.envelope == envelope for one in await work.evidence_of_build(digest)):
                continue
            one = Evidence(
                id=new_id("e"),
                chain=known.chain,
                duty="build",
                repository=known.name,
                commit=commit,
                tree=tree,
                base="",
                branch=known.branch,
                person=known.builders[builder].owner,
                how=Known.BUILD,
                at=desk.clock.now(),
                envelope=envelope,
                source=f"builder {builder}",
                subject=digest,
            )
            await keep(work, one)
            kept.append(one)
        if not kept:
            raise Refusal("already-done", "This provenance is here already.", "Nothing needs to be done.")
    return kept


def _read_provenance(statement: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The one commit that it was built from, and the digests of what was built."""
    refused = Refusal(
        "bad-provenance",
        "This is no SLSA provenance v1 of one commit: predicateType, subject with sha256, and one gitCommit among "
        "buildDefinition.resolvedDependencies are needed.",
        "See docs/evidence.md.",
    )
    if statement.get("predicateType") != PROVENANCE:
        raise refused
    try:
        dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        commits = {one["digest"]["gitCommit"] for one in dependencies if "gitCommit" in one.get("digest", {})}
        digests = [f"sha256:{one['digest']['sha256']}" for one in statement["subject"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise refused from error
    good = all(len(one) == 71 and set(one[7:]) <= set("0123456789abcdef") for one in digests)
    if len(commits) != 1 or not digests or not good or len(digests) > 100:
        raise refused
    (commit,) = commits
    if not isinstance(commit, str) or revision_of(f"git:x@{commit}").commit != commit:
        raise refused
    return commit, digests


def shown(evidence: Evidence) -> dict[str, Any]:
    """For people: without the envelope."""
    plain: dict[str, Any] = to_plain(evidence)
    return {name: value for name, value in plain.items() if name != "envelope"}
