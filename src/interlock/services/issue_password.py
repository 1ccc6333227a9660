"""A password for one connection, or for several of one program, for clients that cannot use certificates.

Holds to:

* it is issued to an active login of an active person who has an active grant on the resource, bound to that login's key
* it has 128 random bits, is shown once and kept as its SHA-256 only
* where a connection needs a proof of presence of its own the password is bound to one that was just given, for as many
  connections at least (``give_pass``): it goes with that password alone, and the password with it
* it is good for as many connections to that one resource as were asked for, 100 at most and one unless told, all from
  one address and before 60 seconds have passed
"""

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from interlock.domain.grants import Login
from interlock.domain.signin import MOST_CONNECTIONS, UNBOUND, ConnectionPass, ConnectionPassword
from interlock.domain.work_events import PasswordIssued
from interlock.errors import NotFound, Refusal
from interlock.ports.state import UnitOfWork
from interlock.services.ask_pass import needs_pass
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.logins import active_login

LIFETIME = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class IssuedPassword:
    """``expires_at`` is the first moment at which it no longer works."""

    password: str = field(repr=False)
    person: str
    resource: str
    expires_at: datetime
    connections: int = 1


async def issue_password(
    desk: Desk, *, login_id: str, resource: str, connections: int = 1, presence: str = ""
) -> IssuedPassword:
    """``presence`` is the pass that it goes with.

    Raises Refusal (``login-ended``, ``person-ended``, ``no-grant``, ``presence-needed``, ``too-many``) or NotFound.
    """
    if not 1 <= connections <= MOST_CONNECTIONS:
        raise Refusal(
            "too-many",
            f"A password is for 1 to {MOST_CONNECTIONS} connections, not {connections}.",
            f"Type `interlock connect {resource} --print --connections {MOST_CONNECTIONS}`, or use a certificate.",
        )
    async with desk.state.reading() as reading:
        actor = (await active_login(reading, login_id, desk.clock.now())).person
    if resource not in desk.configuration.resources:
        raise NotFound(f"There is no resource named {resource}.", "See `interlock resources`.")
    async with desk.state.changing(actor) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        person = await acting_person(work, login.person)
        found = desk.configuration.resources[resource]
        grants = await work.grants(active_at=now, person=login.person)
        mine = [g for g in grants if g.resource == resource and g.key == login.key and g.active(now)]
        if not mine:
            raise Refusal(
                "no-grant",
                f"{login.person} has no active grant on {resource} for this key.",
                f"Type `interlock request {resource} --role ROLE --for 1h --reason …`.",
            )
        password = secrets.token_urlsafe(16)
        if presence or needs_pass(desk, person, found, mine, now):
            await _bind_pass(work, login, resource, connections, presence, password, now)
        issued = ConnectionPassword(
            hash_of(password), login.person, login.id, resource, now, now + LIFETIME, connections=connections
        )
        await work.save(issued)
        work.record(PasswordIssued(person=login.person, login=login.id, resource=resource, connections=connections))
    return IssuedPassword(password, login.person, resource, issued.expires_at, connections)


async def _bind_pass(
    work: UnitOfWork, login: Login, resource: str, connections: int, presence: str, password: str, now: datetime
) -> None:
    """Raises Refusal (``presence-needed``) where ``presence`` is no pass that is good and unused."""
    await work.lock(ConnectionPass, login.id)
    given = await work.connection_pass(presence) if presence else None
    if (
        given is None
        or (given.login, given.key, given.resource) != (login.id, login.key, resource)
        or (given.password, given.used) != (UNBOUND, 0)
        or not given.present_at <= now < given.expires_at
        or given.connections < connections
    ):
        raise Refusal(
            "presence-needed",
            f"A connection to {resource} needs a proof that you are there, for this very connection.",
            f"Type `interlock connect {resource} --print`, or open the console's page Terminal.",
        )
    await work.save(replace(given, password=hash_of(password)))


def hash_of(password: str) -> str:
    """SHA-256 (hex). The password has 128 random bits: a slow hash would protect nothing more."""
    return hashlib.sha256(password.encode()).hexdigest()
