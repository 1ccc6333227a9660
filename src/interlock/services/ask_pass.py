"""A person asks for a pass: a proof of presence that is for some connections and for nothing else.

Holds to:

* it is asked for in an active login of an active person, and never in one of a workload: nobody is there to give it
* it names the person, the key of the login, the resource, the very grants that a connection may rest on, what it comes
  with, how many connections and how long; the server makes its digest of all that, and that is what a passkey signs
* what is asked for gives nothing. It waits for the person for minutes, and is then forgotten (``give_pass``)
* whoever asks learns nothing of others' passes: to them there are none
* who gives up waiting withdraws it, so that a touch that comes later gives nothing; and it is over with what the
  connection was to rest on
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from interlock.domain.actions import Action, Need
from interlock.domain.codec import to_plain
from interlock.domain.grants import Grant, Login
from interlock.domain.people import Person
from interlock.domain.resources import Resource
from interlock.domain.signin import MOST_CONNECTIONS, ConnectionPass
from interlock.errors import NotFound, Refusal
from interlock.policy.decide import Question
from interlock.ports.state import Reading, WaitingRoom
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.ids import new_id
from interlock.services.logins import active_login
from interlock.services.requests import digest_of
from interlock.services.resting import why_grant_fell

OPEN_FOR = timedelta(minutes=5)
LIFETIME = timedelta(seconds=60)
_LONGEST_LIFETIME = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class PassWish:
    """What a connection is wanted for. ``role`` empty: under every grant; ``address`` is where it is asked from.

    ``password``: it comes with a password that is made for it, and not with the login's certificate.
    """

    login: str
    resource: str
    role: str = ""
    connections: int = 1
    address: str = ""
    password: bool = False


@dataclass(frozen=True, slots=True)
class PassView:
    """A pass as its person sees it. ``content`` is what is proved, ``digest`` its SHA-256 (hex); ``given`` is None
    until it is proved. ``by_passkey``: the person has a passkey, so that only a touch gives it."""

    id: str
    content: Mapping[str, Any]
    digest: str
    by_passkey: bool
    given: ConnectionPass | None = None


async def ask_pass(desk: Desk, waiting: WaitingRoom, wish: PassWish) -> PassView:
    """Raises Refusal (``login-ended``, ``job``, ``no-grant``, ``too-many``) or NotFound."""
    if not 1 <= wish.connections <= MOST_CONNECTIONS:
        raise Refusal(
            "too-many",
            f"A proof of presence is for 1 to {MOST_CONNECTIONS} connections, not {wish.connections}.",
            f"Type `interlock connect {wish.resource} --connections {MOST_CONNECTIONS}`.",
        )
    async with desk.state.reading() as reading:
        now = desk.clock.now()
        login = await active_login(reading, wish.login, now)
        person = await acting_person(reading, login.person)
        refuse_job(login)
        resource = desk.configuration.resources.get(wish.resource)
        if resource is None:
            raise NotFound(f"There is no resource named {wish.resource}.", "See `interlock resources`.")
        grants = await usable_grants(desk, reading, login, person, resource, now)
        by_passkey = bool(await reading.passkeys(person.name))
    chosen = [grant for grant in grants if wish.role in ("", grant.role)]
    if not chosen:
        raise Refusal(
            "no-grant",
            f"{person.name} has no active grant on {wish.resource} for this key.",
            f"Type `interlock request {wish.resource} --role ROLE --for 1h --reason …`.",
        )
    content = _content(desk, wish, login, chosen, now)
    view = PassView(str(content["presence"]), content, digest_of(content), by_passkey)
    await waiting.put(_name(view.id), content, until=now + OPEN_FOR, origin=f"pass {person.name}")
    return view


async def show_pass(desk: Desk, waiting: WaitingRoom, *, person: str, pass_id: str) -> PassView:
    """Raises NotFound for one that is over, was never asked for, or is another person's; Refusal (``over``,
    ``login-ended``, ``person-ended``) where what the connection was to rest on has ended meanwhile."""
    kept = await waiting.look(_name(pass_id))
    async with desk.state.reading() as reading:
        given = await reading.connection_pass(pass_id)
        by_passkey = bool(await reading.passkeys(person))
        if given is not None and given.person == person:
            return PassView(pass_id, kept or {}, given.digest, by_passkey, given)
        if kept is None or kept["person"] != person:
            raise _waits_no_longer(pass_id)
        await _refuse_over(desk, reading, kept)
    return PassView(pass_id, kept, digest_of(kept), by_passkey)


async def withdraw_pass(waiting: WaitingRoom, *, person: str, pass_id: str) -> None:
    """Whoever waited for it waits no longer: it cannot be given any more. Raises NotFound."""
    kept = await waiting.look(_name(pass_id))
    if kept is None or kept["person"] != person:
        raise _waits_no_longer(pass_id)
    await waiting.take(_name(pass_id))


def _waits_no_longer(pass_id: str) -> NotFound:
    return NotFound(
        f"No connection of yours waits for {pass_id}, or no longer.", "Type `interlock connect RESOURCE` again."
    )


async def _refuse_over(desk: Desk, reading: Reading, content: Mapping[str, Any]) -> None:
    """Raises Refusal (``over``, ``login-ended``, ``person-ended``)."""
    now = desk.clock.now()
    login = await active_login(reading, str(content["login"]), now)
    person = await acting_person(reading, login.person)
    resource = desk.configuration.resources.get(str(content["resource"]))
    usable = [] if resource is None else await usable_grants(desk, reading, login, person, resource, now)
    if not {str(one["grant"]) for one in content["grants"]} <= {grant.id for grant in usable}:
        raise refuse_over(content)


def refuse_over(content: Mapping[str, Any]) -> Refusal:
    return Refusal(
        "over",
        "What this connection was to rest on has ended.",
        f"Type `interlock connect {content['resource']}` again.",
    )


def lifetime_of(desk: Desk, connections: int) -> timedelta:
    """How long a pass is good for: a minute for one connection; for several as long as presence counts as fresh."""
    return LIFETIME if connections == 1 else min(desk.configuration.timing.presence, _LONGEST_LIFETIME)


async def usable_grants(
    desk: Desk, reading: Reading, login: Login, person: Person, resource: Resource, now: datetime
) -> Sequence[Grant]:
    """The grants on ``resource`` that a connection with the key of ``login`` would rest on."""
    contracts = {contract.name: contract for contract in await reading.contracts()}
    return [
        grant
        for grant in await reading.grants(active_at=now, person=person.name)
        if grant.resource == resource.name
        and grant.key == login.key
        and grant.active(now)
        and why_grant_fell(grant, {person.name: person}, contracts, desk.configuration, now) is None
    ]


def needs_pass(desk: Desk, person: Person, resource: Resource, grants: Iterable[Grant], now: datetime) -> bool:
    """Whether a connection under ``grants`` is asked for a proof of presence of its own."""
    return asks_for_presence(desk, person, resource, {grant.role for grant in grants}, now)


def asks_for_presence(desk: Desk, person: Person, resource: Resource, roles: Collection[str], now: datetime) -> bool:
    """Whether a connection under ``roles`` would be."""
    # Where each grant has an account of its own a connection rests on one of them.
    sets = [frozenset({role}) for role in sorted(roles)] if resource.personal else [frozenset(roles)] * bool(roles)
    asked = (Question(person, resource, one, (Need(Action.CONNECT),), now, now) for one in sets)
    return any(desk.decider.decide(question).mfa is not None for question in asked)


def refuse_job(login: Login) -> None:
    """Raises Refusal (``job``)."""
    if login.workload:
        raise refused_job(login.workload)


def refused_job(workload: str) -> Refusal:
    return Refusal(
        "job",
        f"The role asks for a person who is there, and {workload} is a job.",
        "Lend jobs a role without mfa, or have its owner connect: interlock connect RESOURCE",
    )


def _content(desk: Desk, wish: PassWish, login: Login, grants: Sequence[Grant], now: datetime) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(
        {
            "kind": "connection",
            "presence": new_id("p"),
            "person": login.person,
            "login": login.id,
            "key": login.key,
            "resource": wish.resource,
            "grants": [{"grant": grant.id, "role": grant.role} for grant in sorted(grants, key=lambda one: one.id)],
            "connections": wish.connections,
            "with": "password" if wish.password else "certificate",
            "lasts_s": lifetime_of(desk, wish.connections),
            "address": wish.address,
            "asked_at": now,
        }
    )
    return plain


def _name(pass_id: str) -> str:
    return f"pass {pass_id}"
