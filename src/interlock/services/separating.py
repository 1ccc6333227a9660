"""What keeps duties and roles apart, asked at every point at which somebody comes to one.

* a role is asked for: static conflict with what is held; historic conflict over the artifact; the duty that the role
  carries, under every separation of its chain. The same again at each approval, for who asked, and so with the last of
  them, when the grant begins: what they did meanwhile counts
* a statement is held: the same for every grant that its session rests on, and dynamic conflict with what live sessions
  rest on. The same again right before an approved statement goes out
* a duty is taken, or done: every separation of the chain; all three conflicts of the role that it is carried under
* a session begins: dynamic conflict. The gateway opens none under two such roles, and the control plane cuts the later
  of two sessions when it is told of it

Assignment is the configuration's: a contract whose scope has roles in static conflict is no configuration. Counted are
persons: who acts is the person of the login, whichever identity, agent or workload it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from interlock.domain.duties import ARTIFACT_KINDS, Duty, read_artifact
from interlock.domain.grants import Grant, Request, RequestKind, RequestState
from interlock.domain.people import Person
from interlock.domain.requesting import find_conflict
from interlock.errors import Refusal
from interlock.policy.configuration import Chain, Configuration, ConflictKind
from interlock.ports.state import Reading
from interlock.proof.carrying import Standing, blamed, describe
from interlock.proof.model import Member
from interlock.services.desk import Desk
from interlock.services.endings import MANY
from interlock.services.proof_model import duties_of

_SHOWN = 5


async def refuse_separated(
    desk: Desk,
    reading: Reading,
    person: Person,
    role: str,
    artifact: str,
    now: datetime,
    *,
    own: str = "",
    sessions: bool = False,
) -> None:
    """Refuse a person who may not act under ``role`` over ``artifact``. ``own`` is the request that asks for it.

    ``sessions``: whether the role is to be used now, beside what live sessions rest on.

    Raises Refusal (``artifact-needed``, ``conflict``, ``separated``, ``taken``, ``not-your-duty``).
    """
    configuration = desk.configuration
    if not artifact and needs_artifact(configuration, role):
        raise Refusal(
            "artifact-needed",
            f"The role {role} is lent for something in particular: what was done on it before decides who may.",
            f"Say for what: --artifact KIND:NAME with one of {', '.join(ARTIFACT_KINDS)}.",
        )
    await refuse_conflicts(desk, reading, person, role, artifact, now, own=own, sessions=sessions)
    for chain in configuration.chains.values():
        for duty in (duty for duty, name in chain.roles.items() if name == role):
            await _refuse_duty(reading, chain, duty, person, artifact, now, own)


async def _refuse_duty(
    reading: Reading, chain: Chain, duty: str, person: Person, artifact: str, now: datetime, own: str
) -> None:
    history = await carried_over(reading, chain, artifact, but=own)
    standing = await standing_of(reading, chain, now)
    taken = next((past for past in history if past.duty == duty and past.person != person.name), None)
    if taken is not None:
        raise Refusal(
            "taken",
            f"{taken.person} carries {duty} of {chain.name} over {artifact} since {taken.taken_at:%Y-%m-%d %H:%M} UTC.",
            f"Ask {taken.person}.",
        )
    refuse_unfit(standing, chain, duty, person, [past for past in history if past.duty != duty])


async def refuse_conflicts(
    desk: Desk,
    reading: Reading,
    person: Person,
    role: str | None,
    artifact: str,
    now: datetime,
    *,
    own: str = "",
    sessions: bool = True,
) -> None:
    """Refuse a person who may not act under ``role`` beside what they hold, use, or did. Raises Refusal."""
    if role is None:
        return
    configuration = desk.configuration

    def conflicts(kind: ConflictKind) -> Sequence[frozenset[str]]:
        return configuration.conflicts_for(kind, person.name, now)

    held = await reading.grants(active_at=now, person=person.name, limit=MANY)
    no = find_conflict(role, held, conflicts(ConflictKind.STATIC), now)
    if no is not None:
        instead = await who_instead(desk, reading, role, person.name, now)
        raise Refusal(no.code, no.reason, f"{instead} {no.remedy}")
    dynamic = [roles for roles in conflicts(ConflictKind.DYNAMIC) if role in roles]
    if dynamic and sessions:
        used = await used_roles(reading, person.name)
        for roles in dynamic:
            for other in sorted(roles & used.keys() - {role}):
                raise Refusal(
                    "conflict",
                    f"{role} is not used while {other} is, and {person.name}'s session {used[other]} rests on that.",
                    f"{await who_instead(desk, reading, role, person.name, now)} Or close that session first.",
                )
    for roles in conflicts(ConflictKind.HISTORIC):
        if role in roles and artifact:
            await _refuse_history(reading, configuration, person, role, roles, artifact, own)


async def _refuse_history(
    reading: Reading,
    configuration: Configuration,
    person: Person,
    role: str,
    roles: frozenset[str],
    artifact: str,
    own: str,
) -> None:
    acted = await acted_under(reading, configuration, artifact, but=own)
    for name, other, at in acted:
        if name == person.name and other != role and other in roles:
            before = {who for who, under, _ in acted if under in roles - {role}}
            people = {p.name for p in await reading.people() if p.active}
            able = sorted(people - before)
            more = f" and {len(able) - _SHOWN} more" if len(able) > _SHOWN else ""
            raise Refusal(
                "conflict",
                f"Nobody acts under both {other} and {role} over {artifact}, and {name} acted under {other} on "
                f"{at:%Y-%m-%d %H:%M} UTC.",
                f"Who did not: {', '.join(able[:_SHOWN]) or 'nobody'}{more}.",
            )


def needs_artifact(configuration: Configuration, role: str) -> bool:
    """Whether a grant of ``role`` has to say for what it is."""
    historic = any(role in roles for roles in configuration.conflicts_of(ConflictKind.HISTORIC))
    return historic or any(role in chain.roles.values() for chain in configuration.chains.values())


async def who_instead(desk: Desk, reading: Reading, role: str, but: str, now: datetime) -> str:
    """Who, besides ``but``, may ask for ``role`` and holds nothing that conflicts with it, as a sentence."""
    contracts, configuration = await reading.contracts(), desk.configuration
    sets = [roles for kind in ConflictKind for roles in configuration.conflicts_of(kind) if role in roles]
    against = frozenset[str]().union(*sets) - {role}
    holding = {grant.person for grant in await reading.grants(active_at=now, limit=MANY) if grant.role in against}
    able = [
        person.name
        for person in await reading.people()
        if person.active and person.name not in holding | {but}
        if person.is_employee or any(c.running(now) and c.covers(person) and role in c.roles for c in contracts)
    ]
    return _shown(sorted(able))


async def used_roles(reading: Reading, person: str) -> dict[str, str]:
    """The roles on which live sessions of ``person`` rest, each with one such session."""
    used: dict[str, str] = {}
    for activity in await reading.activities(live=True, person=person, limit=MANY):
        if activity.cut_why:
            continue
        for grant_id in activity.grants:
            grant = await reading.grant(grant_id)
            if grant is not None:
                used.setdefault(grant.role, activity.id)
    return used


async def refuse_session_conflicts(desk: Desk, reading: Reading, person: Person, grants: Iterable[Grant]) -> None:
    """As a statement is held, and as it goes out: what its session rests on stands beside nothing that conflicts."""
    now = desk.clock.now()
    for grant in grants:
        request = await reading.request(grant.request)
        artifact = request.artifact if request is not None else ""
        await refuse_separated(desk, reading, person, grant.role, artifact, now, own=grant.request, sessions=True)


async def acted_under(
    reading: Reading, configuration: Configuration, artifact: str, *, but: str = ""
) -> list[tuple[str, str, datetime]]:
    """Who acted under which role over ``artifact``, and when: grants that began, and duties that a role stands for."""
    acts = [
        (request.person, request.role, request.decided_at or request.opened_at)
        for request in await reading.requests_about(artifact)
        if request.id != but and _began(request)
    ]
    for chain in configuration.chains.values():
        if chain.roles:
            acts += [
                (past.person, chain.roles[past.duty], past.taken_at)
                for past in await reading.duties(chain.name, artifact)
                if past.carried and past.duty in chain.roles
            ]
    return sorted(acts, key=lambda act: act[2])


def _began(request: Request) -> bool:
    """Whether a grant came of it."""
    if request.kind is RequestKind.REVIEW:
        return True
    return request.kind is RequestKind.GRANT and request.state is RequestState.APPROVED


async def carried_over(reading: Reading, chain: Chain, artifact: str, *, but: str = "") -> list[Duty]:
    """Who carries which duty of ``chain`` over ``artifact``: who took one, and who was lent its role for it."""
    history = [past for past in await reading.duties(chain.name, artifact) if past.carried]
    known = {past.duty for past in history}
    for request in await reading.requests_about(artifact) if chain.roles else ():
        for duty in (duty for duty, role in chain.roles.items() if role == request.role):
            if duty in known or request.id == but or not _began(request):
                continue
            at = request.decided_at or request.opened_at
            history.append(Duty(request.id, chain.name, artifact, duty, request.person, at, done_at=at))
            known.add(duty)
    return history


def artifact_of(text: str) -> str:
    artifact = read_artifact(text)
    if artifact is not None and artifact.kind == "git":
        raise Refusal(
            "nothing-to-take",
            "A duty on a commit is not taken first: it is done, and then said to be, signed.",
            f"Type: interlock duty done CHAIN DUTY --artifact {artifact}",
        )
    if artifact is None:
        raise Refusal(
            "bad-artifact",
            f"An artifact is named by its kind and its name there, and {text[:80]!r} is not.",
            f"Write KIND:NAME with one of {', '.join(ARTIFACT_KINDS)}; a commit by its full hash.",
        )
    return str(artifact)


async def standing_of(reading: Reading, chain: Chain, now: datetime) -> Standing:
    """Everybody there ever was: what those did who left still stands, by their vendor and teams; who may carry
    anything are those who are here now."""
    contracts = await reading.contracts()
    people = {person.name: person for person in await reading.people()}
    members = {
        name: Member(p.vendor, p.active and (p.is_employee or any(c.covers(p) and c.running(now) for c in contracts)))
        for name, p in people.items()
    }
    return Standing(duties_of(chain), members, {name: person.groups for name, person in people.items()})


def refuse_unfit(
    standing: Standing, chain: Chain, duty: str, person: Person, history: Sequence[Duty]
) -> dict[str, str]:
    """Who carries what besides; refused when the duty belongs in another person's hands than ``person``'s."""
    carried = {past.duty: past.person for past in history}
    if not standing.may_carry(person.name, duty):
        raise Refusal(
            "not-your-duty", f"{person.name} may not carry {duty} of {chain.name}.", who_could(standing, carried, duty)
        )
    broken = standing.broken(carried, duty, person.name)
    if broken is not None:
        earlier = blamed(broken, standing.chain, carried, duty)
        act = next((tell_of(past) for past in history if past.duty == earlier), "")
        raise Refusal(
            "separated",
            f"{person.name} may not carry {duty}: in the chain {chain.name} {describe(broken)}.{act}",
            who_could(standing, carried, duty),
        )
    return carried


def tell_of(past: Duty) -> str:
    moment = past.done_at or past.taken_at
    return f" {past.person} {'did' if past.done else 'took'} {past.duty} on {moment:%Y-%m-%d %H:%M} UTC."


def who_could(standing: Standing, carried: Mapping[str, str], duty: str) -> str:
    return _shown(standing.instead(carried, duty))


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"Who could: {', '.join(names[:_SHOWN]) or 'nobody at this moment'}{more}."
