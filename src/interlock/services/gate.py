"""The gate: may this duty be done on this commit, with what was done before?

Holds to:

* only what is on the protected branch's own line is deployed; the change is what came since the last deployment to that
  environment, or since the commit from which the chain holds
* the change is read from the repository, never from what anybody says of it; every commit's writers are known persons,
  and proved
* a review counts at the very revision that is there, against a base that the branch has had; a clean merge brings along
  what was reviewed, another merge does not
* evidence for another branch or another environment, voided evidence, and that of who may not give it any more, count
  for nothing
* anything that cannot be found out is missing; nothing overrides what is missing
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from interlock.domain.delivery import Change, Commit, Evidence, Known, Missing, Step, Verdict
from interlock.domain.delivery_events import GateDecided
from interlock.domain.duties import Revision
from interlock.errors import NotFound, Refusal
from interlock.policy.configuration import Chain
from interlock.policy.repositories import Repository
from interlock.ports.state import Reading
from interlock.proof.carrying import Standing
from interlock.proof.model import Member
from interlock.services.delivery import Delivery, Persons, revision_of
from interlock.services.desk import SYSTEM
from interlock.services.gate_authors import SHORT, by_commit, find_authors
from interlock.services.gate_judging import Judge, Run
from interlock.services.gate_memory import Marks, read_marks
from interlock.services.proof_model import duties_of

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question is about."""

    repository: Repository
    chain: Chain
    duty: str
    revision: Revision
    environment: str
    actor: str | None
    merging: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        return (self.chain.name, self.duty, self.revision, self.environment, self.actor, self.merging)


async def ask_gate(
    delivery: Delivery,
    *,
    chain: str,
    duty: str,
    artifact: str,
    environment: str = "",
    person: str | None,
    merging: bool = False,
) -> Verdict:
    """The verdict. ``person`` is who would do the duty; None: nobody in particular. ``merging``: asked before the
    commit is on the branch, so that even the last duty is asked of it as of a branch.

    Raises NotFound and Refusal for what is no question, and Failure when the repository cannot be read.
    """
    revision = revision_of(artifact)
    repository, known = delivery.chain(chain, duty, revision)
    if environment and environment not in repository.environments:
        names = ", ".join(sorted(repository.environments)) or "none"
        raise NotFound(f"{repository.name} has no environment {environment}.", f"Its environments are: {names}.")
    if duty == known.duties[-1] and not (environment or merging) and repository.environments:
        raise Refusal(
            "no-environment",
            f"{duty} is done to an environment, and none is named.",
            f"Name one with --environment: {', '.join(sorted(repository.environments))}.",
        )
    asked = Asked(repository, known, duty, revision, environment, person, merging)
    await delivery.repositories.refresh(repository.name)
    tree = await delivery.repositories.tree(repository.name, revision.commit)
    if tree is None:
        await delivery.repositories.refresh(repository.name, at_once=True)
        tree = await delivery.repositories.tree(repository.name, revision.commit)
    if tree is None:
        sentence = f"{repository.name} has no commit {revision.commit[:SHORT]}: it was not pushed, or not kept."
        return _verdict(delivery, asked, "", "", (Missing("unknown-revision", sentence),))
    if len(delivery.asking) >= _REMEMBERED:
        delivery.asking.clear()
    # Who asks the same at the same time waits for the one answer.
    lock = delivery.asking.setdefault(asked.key, asyncio.Lock())
    async with lock, delivery.desk.state.reading() as reading:
        marks = await read_marks(reading)
        place = (marks, await delivery.repositories.head(repository.name))
        last = delivery.decided.get(asked.key)
        now = delivery.desk.clock.now()
        if last is not None and last[0] == place and last[1].at <= now < last[2]:
            return replace(last[1], at=now)
        await delivery.desk.check_policy(reading)
        edge = await _next_edge(delivery, reading, marks, now)
        verdict = await _decide(delivery, reading, marks, asked, tree, edge)
        if len(delivery.decided) >= _REMEMBERED:
            delivery.decided.clear()
        delivery.decided[asked.key] = (place, verdict, edge or now + timedelta(hours=1))
        return verdict


async def _next_edge(delivery: Delivery, reading: Reading, marks: Marks, now: datetime) -> datetime | None:
    """Whatever could change a verdict has its entry in the ledger, but for the passing of time over a contract."""
    contracts = await delivery.memory.keep("contracts", marks["contracts"], reading.contracts)
    edges = [edge for contract in contracts for edge in (contract.start, contract.end)]
    return min((edge for edge in edges if edge > now), default=None)


async def _decide(
    delivery: Delivery, reading: Reading, marks: Marks, asked: Asked, tree: str, edge: datetime | None
) -> Verdict:
    repositories, repository, commit = delivery.repositories, asked.repository, asked.revision.commit
    lands = await repositories.on_branch(repository.name, commit)
    last = asked.duty == asked.chain.duties[-1] and not asked.merging
    problems: list[Missing] = []
    if last and not lands:
        problems.append(
            Missing(
                "not-on-branch",
                f"{commit[:SHORT]} is not a commit of {repository.branch} itself: only what was merged there is "
                f"{asked.duty}ed.",
            )
        )
        return _verdict(delivery, asked, "", tree, problems)
    if last:
        base = await _deployed(delivery, reading, marks, asked)
        change = await repositories.change(repository.name, base, commit)
        if not change.whole and commit != base:
            problems.append(await _not_whole(delivery, asked, base))
            return _verdict(delivery, asked, base, tree, problems)
    else:
        base = await repositories.base_of(repository.name, commit)
        change = await repositories.change(repository.name, base, commit, one_step=not lands)
    shas = {commit}.union(*({step.sha, step.head, *(one.sha for one in step.commits)} for step in change.steps))
    about = (change.base, commit, len(shas))
    found = await delivery.memory.evidence(reading, marks["evidence"], repository.name, shas, about)
    evidence = [one for one in found if _concerns(one, asked)]
    forge = delivery.forges.get(repository.forge)
    identities = await delivery.memory.keep(("identities", repository.forge), marks["identities"], _nobody_yet)
    persons = Persons(reading, repository.forge, forge, identities)
    known = await _index(delivery, asked, evidence)
    runs = [await _run(delivery, asked, persons, step, known) for step in change.steps]
    judge = Judge(
        standing=await _standing(delivery, reading, marks, asked.chain, edge),
        duty=asked.duty,
        reviews=repository.reviews,
        ci_duty=repository.ci_duty,
        actor=asked.actor,
        shared=_shared(asked, change, evidence),
    )
    judged = judge.judge(runs)
    return _verdict(delivery, asked, base, tree, judged.missing, judged.rests_on, judged.carried)


def _verdict(
    delivery: Delivery,
    asked: Asked,
    base: str,
    tree: str,
    missing: Sequence[Missing],
    rests_on: tuple[str, ...] = (),
    carried: Mapping[str, tuple[str, ...]] | None = None,
) -> Verdict:
    return Verdict(
        chain=asked.chain.name,
        duty=asked.duty,
        artifact=str(asked.revision),
        environment=asked.environment,
        person=asked.actor or "",
        base=base,
        tree=tree,
        policy=delivery.desk.configuration.digest,
        at=delivery.desk.clock.now(),
        missing=tuple(missing),
        rests_on=rests_on,
        carried=dict(carried or {}),
    )


async def _deployed(delivery: Delivery, reading: Reading, marks: Marks, asked: Asked) -> str:
    """What the environment runs, as far as was said here; else the commit from which the chain holds."""
    where = (asked.repository.name, asked.chain.duties[-1], asked.environment)
    last = await delivery.memory.keep(("deployed", *where), marks["evidence"], lambda: reading.last_evidence(*where))
    return asked.repository.since if last is None else last.commit


async def _not_whole(delivery: Delivery, asked: Asked, base: str) -> Missing:
    name, commit = asked.repository.name, asked.revision.commit
    if await delivery.repositories.is_ancestor(name, commit, base):
        return Missing(
            "older",
            f"{commit[:SHORT]} is older than {base[:SHORT]}, which {asked.environment or 'the chain'} has already: "
            "going back is a change of its own. Revert on the branch, and deploy that.",
        )
    return Missing(
        "rewritten",
        f"The line of {asked.repository.branch} does not lead from {base[:SHORT]} to {commit[:SHORT]}: its history was "
        "rewritten, or the commit came from elsewhere.",
    )


def _concerns(evidence: Evidence, asked: Asked) -> bool:
    """Evidence of the chain, for this environment or none."""
    return evidence.chain == asked.chain.name and evidence.environment in ("", asked.environment)


def _is_for(evidence: Evidence, asked: Asked) -> bool:
    """Whether it was given for the protected branch; a push is for none."""
    return evidence.branch in ("", asked.repository.branch)


def _shared(asked: Asked, change: Change, evidence: Sequence[Evidence]) -> dict[str, list[Evidence]]:
    found: dict[str, list[Evidence]] = {}
    for one in evidence:
        if one.counts and one.commit == change.sha and one.how is not Known.BUILD and _is_for(one, asked):
            found.setdefault(one.duty, []).append(one)
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """Evidence by the commit it is about, and by each commit that it says somebody wrote or brought."""

    by_commit: Mapping[str, Sequence[Evidence]]
    brought: Mapping[str, Sequence[Evidence]]
    landed: Mapping[str, Sequence[Evidence]]


async def _index(delivery: Delivery, asked: Asked, evidence: Sequence[Evidence]) -> _Known:
    about: dict[str, list[Evidence]] = {}
    landed: dict[str, list[Evidence]] = {}
    for one in evidence:
        about.setdefault(one.commit, []).append(one)
        if one.landed:
            landed.setdefault(one.landed, []).append(one)
    claimed = {
        one.id: await delivery.repositories.between(one.repository, one.base, one.commit)
        for one in evidence
        if one.duty == asked.chain.duties[0] and one.how is Known.CLI and one.counts
    }
    return _Known(about, by_commit(evidence, claimed), landed)


async def _run(delivery: Delivery, asked: Asked, persons: Persons, step: Step, known: _Known) -> Run:
    repository, repositories = asked.repository, delivery.repositories
    given = known.landed.get(step.sha, ())
    landed = None if step.merge else await _landed(delivery, repository.name, step, given)
    commits: Collection[Commit] = [one for one in step.commits if not (step.clean and one.sha == step.sha)]
    if landed is not None:
        commits = (await repositories.between(repository.name, step.base, landed.commit)).values()
        more = await persons.reading.evidence(repository.name, [one.sha for one in commits], sealed=False)
        known = await _index(delivery, asked, [one for one in more if _concerns(one, asked)])
    authors = await find_authors(commits, persons, known.brought)
    own, stale = await _own(delivery, asked, step, known, landed)
    return Run(step, authors, own, await _owners(persons, step), stale)


async def _landed(delivery: Delivery, repository: str, step: Step, evidence: Sequence[Evidence]) -> Evidence | None:
    """Evidence about what the forge squashed into this very commit, its content compared."""
    for one in evidence:
        if one.landed == step.sha and await delivery.repositories.lands(repository, one.commit, step.sha):
            return one
    return None


async def _own(
    delivery: Delivery, asked: Asked, step: Step, known: _Known, landed: Evidence | None
) -> tuple[dict[str, list[Evidence]], dict[str, list[str]]]:
    """The evidence for the step's own duties, and why some of it does not count."""
    repository = asked.repository
    final = {step.sha} | ({step.head} if step.clean or not step.merge else set())
    if landed is not None:
        final.add(landed.commit)
    own: dict[str, list[Evidence]] = {}
    stale: dict[str, list[str]] = {}
    for one in _about(known, final | {commit.sha for commit in step.commits}):
        if one.duty not in (repository.reviews, repository.ci_duty) or one.how is Known.BUILD:
            continue
        said = f"{one.person} did {one.duty} on {one.commit[:SHORT]} at {one.at:%Y-%m-%d %H:%M} UTC"
        if not one.counts:
            stale.setdefault(one.duty, []).append(f"{said}, which no longer counts: {one.voided_why}.")
        elif not _is_for(one, asked):
            stale.setdefault(one.duty, []).append(f"{said}, for the branch {one.branch}.")
        elif one.commit not in final:
            stale.setdefault(one.duty, []).append(f"{said}, another revision.")
        elif not one.base or not await delivery.repositories.is_ancestor(repository.name, one.base, step.base):
            stale.setdefault(one.duty, []).append(f"{said}, against a base that {repository.branch} has not had.")
        else:
            own.setdefault(one.duty, []).append(one)
    return own, stale


def _about(known: _Known, commits: Collection[str]) -> list[Evidence]:
    found = [one for commit in commits for one in known.by_commit.get(commit, ())]
    return sorted(found, key=lambda one: (one.at, one.id))


async def _owners(persons: Persons, step: Step) -> dict[str, tuple[str, frozenset[str]]]:
    found = {}
    groups: dict[str, set[str]] | None = None
    for owned in step.owned:
        who: set[str] = set()
        for owner in owned.owners:
            if owner.startswith("@") and "/" in owner:
                if groups is None:
                    groups = await _groups(persons.reading)
                who |= groups.get(owner.rpartition("/")[2], set())
            else:
                login = owner.startswith("@")
                person = await (persons.of_login(owner[1:]) if login else persons.of_address(owner))
                who |= {person} if person is not None else set()
        found[owned.pattern] = (owned.path, frozenset(who))
    return found


async def _groups(reading: Reading) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for person in await reading.people():
        for group in person.groups if person.active else ():
            found.setdefault(group, set()).add(person.name)
    return found


async def _nobody_yet() -> dict[tuple[str, str], str | None]:
    return {}


async def _standing(
    delivery: Delivery, reading: Reading, marks: Marks, chain: Chain, edge: datetime | None
) -> Standing:
    """Everybody there ever was, so that those who left are still told apart; only those may carry who are here now."""

    async def read() -> Standing:
        now = delivery.desk.clock.now()
        contracts = await reading.contracts()
        people = {person.name: person for person in await reading.people()}
        members = {
            name: Member(
                p.vendor, p.active and (p.is_employee or any(c.covers(p) and c.running(now) for c in contracts))
            )
            for name, p in people.items()
        }
        return Standing(duties_of(chain), members, {name: person.groups for name, person in people.items()})

    # No contract begins or ends before ``edge``, the next such moment.
    same = (marks["people"], marks["contracts"], delivery.desk.configuration.digest, edge)
    return await delivery.memory.keep(("standing", chain.name), same, read)


async def record_answer(delivery: Delivery, verdict: Verdict) -> None:
    """The answer's entry in the ledger, unless it is what was answered last."""
    key = (verdict.chain, verdict.duty, verdict.artifact, verdict.environment, verdict.person)
    why = " ".join(dict.fromkeys(one.code for one in verdict.missing))
    if delivery.answered.get(key) == f"{verdict.open} {why}":
        return
    actor = verdict.person or SYSTEM
    async with delivery.desk.state.changing(actor) as work:
        work.record(
            GateDecided(
                chain=verdict.chain,
                duty=verdict.duty,
                artifact=verdict.artifact,
                environment=verdict.environment,
                person=verdict.person,
                answer="allow" if verdict.open else "deny",
                why=why,
                evidences=verdict.rests_on,
            )
        )
    if len(delivery.answered) >= _REMEMBERED:
        delivery.answered.clear()
    delivery.answered[key] = f"{verdict.open} {why}"
