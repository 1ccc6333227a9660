"""A person takes a duty of a chain over an artifact, and does it.

Holds to:

* one who acts is a person in an active login; an agent's login is its owner's, and a workload counts as its owner
* a contractor carries duties while a contract runs, nobody carries one that ``by`` does not give them
* duties are taken in their order, each when those before it are done; one person carries a duty of an artifact. Who
  took one and left before it was done carries it no more: that is voided when another takes it
* every separation is judged over the whole history of the artifact, when a duty is taken and when it is done; a refusal
  names the rule, the earlier act and who could
* when the chain could not be finished any more, that is said with who could take it instead, and with
  ``dead_ends: refuse`` it is refused
* a duty is done on a content; a later duty is done on that same content. Who does their duty anew on another content
  voids the later ones, each with its entry in the ledger, and ends what was lent over the artifact for a later one
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from interlock.domain.duties import Duty
from interlock.domain.grants import RequestKind, RequestState
from interlock.domain.people import Person
from interlock.domain.work_events import DutyDone, DutyTaken, DutyVoided
from interlock.errors import NotFound, Refusal
from interlock.policy.configuration import Chain
from interlock.ports.state import UnitOfWork
from interlock.proof.carrying import Standing
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.endings import MANY, Endings
from interlock.services.ids import new_id
from interlock.services.separating import (
    artifact_of,
    carried_over,
    refuse_conflicts,
    refuse_unfit,
    standing_of,
    who_could,
)
from interlock.services.workloads import Acting, acting_as


@dataclass(frozen=True, slots=True)
class Taken:
    """The duty, and a warning when the rest of the chain could not be done any more."""

    duty: Duty
    warning: str = ""


async def take_duty(desk: Desk, *, acting: Acting, chain: str, duty: str, artifact: str) -> Taken:
    """Raises Refusal (``separated``, ``out-of-order``, ``not-your-duty``, ``dead-end`` …) or NotFound."""
    name = artifact_of(artifact)
    async with desk.state.reading() as reading:
        carrier = await acting_as(desk, reading, acting, desk.clock.now())
    async with desk.deciding(f"workload:{acting.workload}" if acting.workload else carrier) as work:
        now = desk.clock.now()
        known = _chain(desk, chain, duty)
        person = await acting_person(work, await acting_as(desk, work, acting, now))
        history = await carried_over(work, known, name)
        await refuse_conflicts(desk, work, person, known.roles.get(duty), name, now)
        standing = await standing_of(work, known, now)
        undone = await _undone_of_leaver(work, duty, history)
        history = [past for past in history if past != undone]
        _refuse_order(known, duty, person, history)
        warning = _judge(standing, known, duty, person, history)
        if undone is not None:
            await _void(work, undone, f"{undone.person} has left", now)
        taken = Duty(new_id("t"), chain, name, duty, person.name, now)
        await work.save(taken)
        work.record(DutyTaken(duty_id=taken.id, chain=chain, artifact=name, duty=duty, person=person.name))
    return Taken(taken, warning)


async def do_duty(desk: Desk, *, acting: Acting, chain: str, duty: str, artifact: str, content: str) -> Sequence[Duty]:
    """The duty, done on ``content``, and those that are voided by it. Raises Refusal or NotFound."""
    name, content = artifact_of(artifact), _content(content)
    async with desk.state.reading() as reading:
        carrier = await acting_as(desk, reading, acting, desk.clock.now())
    async with desk.deciding(f"workload:{acting.workload}" if acting.workload else carrier) as work:
        now = desk.clock.now()
        known = _chain(desk, chain, duty)
        person = await acting_person(work, await acting_as(desk, work, acting, now))
        history = [past for past in await work.duties(chain, name) if past.carried]
        own = next((past for past in history if past.duty == duty), None)
        if own is None or own.person != person.name:
            raise Refusal(
                "not-taken",
                f"{person.name} has not taken {duty} of {chain} over {name}.",
                f"Take it first: interlock duty take {chain} {duty} --artifact {name}",
            )
        # What gave the duty to them may have changed since they took it.
        others = [past for past in await carried_over(work, known, name) if past.duty != duty]
        await refuse_conflicts(desk, work, person, known.roles.get(duty), name, now)
        refuse_unfit(await standing_of(work, known, now), known, duty, person, others)
        _refuse_other_content(known, duty, history, content)
        done = replace(own, content=content, done_at=now)
        await work.save(done)
        work.record(
            DutyDone(duty_id=done.id, chain=chain, artifact=name, duty=duty, person=person.name, content_digest=content)
        )
        voided = await _void_later(work, known, duty, history, content, now)
    return (done, *voided)


async def list_duties(desk: Desk, *, person: str, chain: str, artifact: str) -> Sequence[Duty]:
    """The history of an artifact in a chain, the voided duties among it, in its order. Employees see it, and who is
    part of it; to others there is none. Raises NotFound for a chain that there never was."""
    name = artifact_of(artifact)
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        history = await reading.duties(chain, name)
    if not reader.is_employee and all(past.person != reader.name for past in history):
        return ()
    known = desk.configuration.chains.get(chain)
    if known is None and not history:
        raise _no_chain(desk, chain)
    order = known.duties if known is not None else ()
    return sorted(history, key=lambda past: (past.taken_at, order.index(past.duty) if past.duty in order else 0))


def _chain(desk: Desk, chain: str, duty: str) -> Chain:
    known = desk.configuration.chains.get(chain)
    if known is None:
        raise _no_chain(desk, chain)
    if duty not in known.duties:
        raise NotFound(f"The chain {chain} has no duty {duty}.", f"Its duties are: {', '.join(known.duties)}.")
    return known


def _no_chain(desk: Desk, chain: str) -> NotFound:
    names = ", ".join(sorted(desk.configuration.chains)) or "none"
    return NotFound(f"There is no chain {chain}.", f"The chains are: {names}.")


def _content(text: str) -> str:
    if not text or len(text) > 200 or not text.isprintable() or " " in text:
        raise Refusal(
            "bad-content",
            "What the duty was done on has to be named, by its digest.",
            "Give it with --content, such as --content sha256:….",
        )
    return text


async def _undone_of_leaver(work: UnitOfWork, duty: str, history: Sequence[Duty]) -> Duty | None:
    """The duty, when somebody took it, has not done it and has left."""
    taken = next((past for past in history if past.duty == duty and not past.done), None)
    carrier = None if taken is None else await work.person(taken.person)
    return taken if carrier is None or not carrier.active else None


def _refuse_order(chain: Chain, duty: str, person: Person, history: Sequence[Duty]) -> None:
    taken = next((past for past in history if past.duty == duty), None)
    if taken is not None:
        raise Refusal(
            "taken",
            f"{taken.person} has taken {duty} over {taken.artifact} on {taken.taken_at:%Y-%m-%d %H:%M} UTC.",
            f"Ask {taken.person}." if taken.person != person.name else "Go on with `interlock duty done`.",
        )
    done = {past.duty for past in history if past.done}
    open_ = [name for name in chain.duties[: chain.duties.index(duty)] if name not in done]
    if open_:
        raise Refusal(
            "out-of-order",
            f"{duty} comes after {', '.join(open_)}, which {'is' if len(open_) == 1 else 'are'} not done yet.",
            "See `interlock duty show` for what has been done.",
        )


def _judge(standing: Standing, chain: Chain, duty: str, person: Person, history: Sequence[Duty]) -> str:
    """The warning of the look-ahead, empty when there is nothing to warn of."""
    carried = refuse_unfit(standing, chain, duty, person, history)
    if standing.ahead.finishes({**carried, duty: person.name}):
        return ""
    sentence = f"With {person.name} as {duty} no way was found in which the chain {chain.name} could be finished."
    remedy = who_could(standing, carried, duty)
    if chain.refuses_dead_ends:
        raise Refusal("dead-end", sentence, remedy)
    return f"{sentence} {remedy}"


def _refuse_other_content(chain: Chain, duty: str, history: Sequence[Duty], content: str) -> None:
    before = chain.duties[: chain.duties.index(duty)]
    for past in history:
        if past.duty in before and past.done and past.content != content:
            raise Refusal(
                "other-content",
                f"{past.person} did {past.duty} on {past.content}, and this is {content}.",
                f"Do {duty} on what was done before it, or let {past.person} do {past.duty} anew.",
            )


async def _void_later(
    work: UnitOfWork, chain: Chain, duty: str, history: Sequence[Duty], content: str, now: datetime
) -> Sequence[Duty]:
    later = chain.duties[chain.duties.index(duty) + 1 :]
    own = next(past for past in history if past.duty == duty)
    if not own.done or own.content == content:
        return ()
    why = f"{own.duty} was done anew on {content}"
    await _end_lent(work, {chain.roles[name] for name in later if name in chain.roles}, own, why, now)
    return [await _void(work, past, why, now) for past in history if past.duty in later]


async def _end_lent(work: UnitOfWork, roles: set[str], own: Duty, why: str, now: datetime) -> None:
    """What was lent over the artifact for a later duty was lent for the content that was there then."""
    endings = Endings(work, by=own.person, reason=why, at=now)
    for request in await work.requests_about(own.artifact):
        if request.role not in roles:
            continue
        if request.kind is RequestKind.GRANT:
            await endings.request(request, RequestState.WITHDRAWN)
        for grant in await work.grants(active_at=now, person=request.person, limit=MANY):
            if grant.request == request.id:
                await endings.grant(grant)


async def _void(work: UnitOfWork, duty: Duty, why: str, now: datetime) -> Duty:
    voided = replace(duty, voided_at=now, voided_why=why)
    await work.save(voided)
    work.record(
        DutyVoided(
            duty_id=voided.id,
            chain=voided.chain,
            artifact=voided.artifact,
            duty=voided.duty,
            person=voided.person,
            reason=why,
        )
    )
    return voided
