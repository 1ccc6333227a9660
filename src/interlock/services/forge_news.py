"""A forge has told something: the evidence follows what it says now.

Holds to:

* a message only says what to ask about; reviews and checks are read from the forge, and looked up in the repository
* whoever was the first to push a commit counts as one of its writers, whoever the commit itself names; pushing it
  again, as a merge does, makes nobody a writer
* an approval is evidence of its very revision; one that the forge no longer has, or has otherwise, is voided
* accounts that are programs approve nothing, and accounts that are nobody's here are nobody
* told twice, or late, or in another order, it comes out the same
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from interlock.domain.delivery import Evidence, Known, Verdict
from interlock.errors import InterlockError, NotFound
from interlock.policy.repositories import Repository
from interlock.ports.forge import Account, ChangeRequest, Check, Deploying, News, OpenForge, Pushed
from interlock.ports.state import UnitOfWork
from interlock.services.delivery import Delivery, Persons
from interlock.services.desk import SYSTEM
from interlock.services.evidence import keep, void
from interlock.services.evidence_statements import duty_statement
from interlock.services.gate import ask_gate, record_answer
from interlock.services.ids import new_id

_MOST_COMMITS = 5000


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message came to: evidences given and voided, and the answer to a job that waits."""

    given: int = 0
    voided: int = 0
    verdict: Verdict | None = None

    def __add__(self, other: "Heard") -> "Heard":
        return Heard(self.given + other.given, self.voided + other.voided, self.verdict or other.verdict)


async def hear_news(delivery: Delivery, *, forge: str, news: News) -> Heard:
    """Raises NotFound for a project that is none here, Failure when forge or repository cannot be asked."""
    repository = delivery.repository_of(forge, news.project)
    if repository is None:
        raise NotFound(f"The project {news.project[:80]} of {forge} is none here.", "See `repositories`.")
    await delivery.repositories.refresh(repository.name, at_once=True)
    heard = Heard()
    if news.pushed is not None:
        heard += await _hear_push(delivery, repository, news.pushed)
    opened = delivery.forges[forge]
    for number in news.changes:
        heard += await follow_change(delivery, repository, await opened.change(repository.project, number))
    for commit in news.commits:
        heard += await follow_checks(delivery, repository, opened, commit)
    if news.deploying is not None:
        heard += await _hear_deployment(delivery, repository, opened, news.deploying)
    return heard


async def _hear_push(delivery: Delivery, repository: Repository, pushed: Pushed) -> Heard:
    """The commits that this push was the first to bring are its account's."""
    kinds = ("refs/heads/", "refs/pull/", "refs/merge-requests/")
    if pushed.by is None or not pushed.ref.startswith(kinds) or not pushed.after.strip("0"):
        return Heard()
    repositories, name = delivery.repositories, repository.name
    if await repositories.tree(name, pushed.after) is None:
        # It was moved on meanwhile: what came then is told by the next message.
        return Heard()
    base = pushed.before
    if not base.strip("0") or await repositories.tree(name, base) is None:
        base = await repositories.base_of(name, pushed.after)
    brought = await repositories.between(name, base, pushed.after)
    async with delivery.desk.state.reading() as reading:
        person = await Persons(reading, repository.forge, None).of_login(pushed.by.login)
    if person is None or not 0 < len(brought) <= _MOST_COMMITS:
        return Heard()
    async with delivery.desk.deciding(SYSTEM) as work:
        seen = {
            commit
            for one in await work.evidence(name, list(brought))
            if one.how is Known.PUSH
            for commit in one.commits
        }
        fresh = tuple(sorted(brought.keys() - seen))
        if not fresh:
            return Heard()
        duty = delivery.desk.configuration.chains[repository.chain].duties[0]
        one = await _evidence(delivery, repository, duty, pushed.after, base, person, Known.PUSH)
        branch = pushed.ref.removeprefix("refs/heads/")
        source = f"{repository.forge} push of {branch} by {pushed.by.login}"
        await _keep(delivery, work, replace(one, commits=fresh, source=source, branch=""))
    return Heard(given=1)


async def follow_change(delivery: Delivery, repository: Repository, change: ChangeRequest) -> Heard:
    """The approvals that stand on a change become evidence; what stood and no longer does is voided."""
    start = f"{repository.forge} change {change.number} review "
    async with delivery.desk.state.reading() as reading:
        persons = Persons(reading, repository.forge, None)
        people = {review.number: await persons.of_login(review.by.login) for review in change.reviews}
    standing: dict[str, Evidence] = {}
    for review in change.reviews:
        person = people[review.number]
        if not review.approves or review.by.program or person is None or not review.at_commit:
            continue
        one = await _reviewed(delivery, repository, change, review.at_commit, person)
        if one is not None:
            source = f"{start}{review.number} by {review.by.login}"
            standing[source + (f" landed {one.landed[:12]}" if one.landed else "")] = replace(one, source=source)
    return await _settle(delivery, repository, start, standing)


async def _reviewed(
    delivery: Delivery, repository: Repository, change: ChangeRequest, commit: str, person: str
) -> Evidence | None:
    repositories, name = delivery.repositories, repository.name
    if await repositories.tree(name, commit) is None:
        return None
    base = await repositories.base_of(name, commit)
    one = await _evidence(delivery, repository, repository.reviews, commit, base, person, Known.REVIEW)
    landed = change.landed if commit == change.head else ""
    if landed and (await repositories.tree(name, landed) is None or not await repositories.lands(name, commit, landed)):
        landed = ""
    return replace(one, branch=change.branch, landed=landed)


async def follow_checks(delivery: Delivery, repository: Repository, forge: OpenForge, commit: str) -> Heard:
    """All the named checks of a commit are its evidence together, or none is."""
    checks, name = repository.checks, repository.name
    if checks is None or await delivery.repositories.tree(name, commit) is None:
        return Heard()
    ran = [one for one in await forge.checks(repository.project, commit) if one.by == checks.by]
    start = f"{repository.forge} checks of {commit}"
    standing: dict[str, Evidence] = {}
    async with delivery.desk.state.reading() as reading:
        person = await Persons(reading, repository.forge, None).of_login(checks.by)
    if person is not None and all(_succeeded(ran, wanted) for wanted in checks.names):
        base = await delivery.repositories.base_of(name, commit)
        standing[start] = await _evidence(delivery, repository, checks.duty, commit, base, person, Known.CHECK)
    return await _settle(delivery, repository, start, standing)


def _succeeded(ran: Sequence[Check], wanted: str) -> bool:
    own = [one for one in ran if one.name == wanted]
    return bool(own) and all(one.succeeded for one in own)


async def _settle(delivery: Delivery, repository: Repository, start: str, standing: dict[str, Evidence]) -> Heard:
    """Keep what stands and is not there yet; void what is there and does not stand."""
    given = voided = 0
    async with delivery.desk.deciding(SYSTEM) as work:
        now = delivery.desk.clock.now()
        there = [one for one in await work.evidence_of_start(repository.name, start) if one.counts]
        for one in there:
            if one.source not in standing:
                await void(work, one, "the forge no longer has it so", now)
                voided += 1
        for source in sorted(standing.keys() - {one.source for one in there}):
            await _keep(delivery, work, replace(standing[source], source=source))
            given += 1
        if not (given or voided):
            return Heard()
    return Heard(given, voided)


async def _hear_deployment(delivery: Delivery, repository: Repository, forge: OpenForge, told: Deploying) -> Heard:
    if told.environment not in repository.environments:
        if told.done:
            return Heard()
        await forge.answer(
            repository.project,
            told,
            allowed=False,
            sentence=f"{told.environment} is no environment of {repository.name}.",
        )
        return Heard()
    verdict = await _ask_for(delivery, repository, told.by, told.commit, told.environment)
    if not told.done:
        await forge.answer(repository.project, told, allowed=verdict.open, sentence=sentence_of(verdict))
        return Heard(verdict=verdict)
    return await _deployed(delivery, repository, told, verdict)


async def _deployed(delivery: Delivery, repository: Repository, told: Deploying, verdict: Verdict) -> Heard:
    """What was deployed past the gate is not kept as deployed: the next gate looks at all of it again."""
    source = f"{repository.forge} deployment {told.number}"
    if not verdict.open:
        return Heard(verdict=verdict)
    async with delivery.desk.deciding(SYSTEM) as work:
        if await work.evidence_of_source(repository.name, source):
            return Heard(verdict=verdict)
        one = await _evidence(
            delivery, repository, verdict.duty, told.commit, verdict.base, verdict.person, Known.DEPLOYMENT
        )
        await _keep(delivery, work, replace(one, environment=told.environment, source=source))
    return Heard(given=1, verdict=verdict)


async def _ask_for(
    delivery: Delivery, repository: Repository, by: Account | None, commit: str, environment: str
) -> Verdict:
    """The gate's answer for the person behind an account; nobody's account opens nothing."""
    chain = delivery.desk.configuration.chains[repository.chain]
    async with delivery.desk.state.reading() as reading:
        person = None if by is None else await Persons(reading, repository.forge, None).of_login(by.login)
    if person is None or (by is not None and by.program):
        login = "nobody" if by is None else by.login
        raise NotFound(f"{login} is no person's account here, so nothing is deployed for it.", "See people.NAME.")
    verdict = await ask_gate(
        delivery,
        chain=chain.name,
        duty=chain.duties[-1],
        artifact=f"git:{repository.name}@{commit}",
        environment=environment,
        person=person,
    )
    await record_answer(delivery, verdict)
    return verdict


def sentence_of(verdict: Verdict) -> str:
    """The verdict as one text for people."""
    if verdict.open:
        carried = "; ".join(f"{duty}: {', '.join(who)}" for duty, who in verdict.carried.items())
        return f"Everything is done, by separate persons. {carried}."
    return " ".join(one.sentence + (f" Who could: {', '.join(one.who)}." if one.who else "") for one in verdict.missing)


async def tell_commits(delivery: Delivery, forge: str, project: str, commits: Iterable[str]) -> list[str]:
    """Put the gate's answer on commits, for nobody in particular; what could not be told."""
    repository = delivery.repository_of(forge, project)
    problems: list[str] = []
    if repository is None:
        return problems
    chain = delivery.desk.configuration.chains[repository.chain]
    for commit in commits:
        try:
            verdict = await _before_deploying(delivery, repository, commit)
            key, sentence = ("told", forge, commit), sentence_of(verdict)
            # What we put there is a check too, of which the forge tells us: said once, it is not said again.
            if delivery.answered.get(key) == sentence:
                continue
            await delivery.forges[forge].tell(
                project, commit, name=f"interlock/{chain.name}", allowed=verdict.open, sentence=sentence
            )
            delivery.answered[key] = sentence
        except InterlockError as error:
            problems.append(str(error))
    return problems


async def answer_checks(delivery: Delivery, forge: str, news: News) -> list[str]:
    """Tell the forge what it waits to hear of changes, for nobody in particular; what could not be told.

    Asked of the forge itself, whichever message came: a review that was given since changes the answer.
    """
    repository = delivery.repository_of(forge, news.project)
    problems: list[str] = []
    if repository is None:
        return problems
    opened = delivery.forges[forge]
    for number in news.changes:
        try:
            for check in await opened.status_checks(repository.project, number):
                verdict = await _before_deploying(delivery, repository, check.commit)
                await opened.answer_check(repository.project, check, allowed=verdict.open)
        except InterlockError as error:
            problems.append(str(error))
    return problems


async def _before_deploying(delivery: Delivery, repository: Repository, commit: str) -> Verdict:
    """Whether all is done that can be before the deployment, or the merge."""
    chain = delivery.desk.configuration.chains[repository.chain]
    return await ask_gate(
        delivery,
        chain=chain.name,
        duty=chain.duties[-2] if len(chain.duties) > 2 else chain.duties[-1],
        artifact=f"git:{repository.name}@{commit}",
        person=None,
    )


async def _evidence(
    delivery: Delivery, repository: Repository, duty: str, commit: str, base: str, person: str, how: Known
) -> Evidence:
    tree = await delivery.repositories.tree(repository.name, commit)
    return Evidence(
        id=new_id("e"),
        chain=repository.chain,
        duty=duty,
        repository=repository.name,
        commit=commit,
        tree=tree or "",
        base=base,
        branch=repository.branch,
        person=person,
        how=how,
        at=delivery.desk.clock.now(),
        envelope="",
    )


async def _keep(delivery: Delivery, work: UnitOfWork, evidence: Evidence) -> None:
    await keep(work, replace(evidence, envelope=delivery.attestor.attest(duty_statement(evidence))))
