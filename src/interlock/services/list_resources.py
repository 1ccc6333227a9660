"""What there is for a person: resources, the roles that may be asked for (or why not), and the grants at work.

Holds to:

* an employee sees every resource; a contractor sees those that some role in the scope of a contract of theirs concerns,
  and those that they have a grant on
* ``may_ask`` is the very answer that `open_request` would give to the shortest request at this moment
* a grant is listed as usable only with the key that it is bound to
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from interlock.domain.grants import Grant, Login
from interlock.domain.people import Contract, Person
from interlock.domain.requesting import Circumstances, Wish, refuse_at_once
from interlock.domain.resources import Resource
from interlock.domain.roles import Role
from interlock.ports.state import Reading
from interlock.services.ask_pass import needs_pass
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.logins import active_login
from interlock.services.open_request import circumstances

_SHORTEST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class RoleOffer:
    """A role on a resource, and whether this person may ask for it; ``why_not`` has every reason against it."""

    role: Role
    may_ask: bool
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class GrantAtWork:
    """An active grant, the time it has left, and whether it is bound to the key of this login."""

    grant: Grant
    left: timedelta
    usable: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a connection by this login needs a proof of presence of its own, and for how many one was given."""

    needed: bool
    left: int = 0


@dataclass(frozen=True, slots=True)
class ResourceView:
    resource: Resource
    roles: tuple[RoleOffer, ...]
    grants: tuple[GrantAtWork, ...]
    presence: Presence


async def list_resources(desk: Desk, *, login_id: str) -> tuple[ResourceView, ...]:
    """Sorted by name. Raises Refusal (``login-ended``, ``person-ended``)."""
    async with desk.state.reading() as reading:
        now = desk.clock.now()
        login = await active_login(reading, login_id, now)
        person = await acting_person(reading, login.person)
        around = await circumstances(desk, reading, person.name, now)
        views = []
        for _, resource in sorted(desk.configuration.resources.items()):
            at_work = tuple(
                GrantAtWork(grant, grant.ends_at - now, grant.key == login.key)
                for grant in around.grants
                if grant.resource == resource.name
            )
            roles = [role for _, role in sorted(desk.configuration.roles.items()) if role.on.matches(resource)]
            if at_work or _concerns(person, roles, around.contracts):
                offers = tuple(_offer(person, resource, role, around) for role in roles)
                presence = await _presence(desk, reading, login, person, resource, at_work, now)
                views.append(ResourceView(resource, offers, at_work, presence))
    return tuple(views)


async def _presence(
    desk: Desk,
    reading: Reading,
    login: Login,
    person: Person,
    resource: Resource,
    at_work: Sequence[GrantAtWork],
    now: datetime,
) -> Presence:
    usable = [at.grant for at in at_work if at.usable]
    if not needs_pass(desk, person, resource, usable, now):
        return Presence(needed=False)
    given = await reading.connection_passes(login=login.id, resource=resource.name, since=now)
    names = {grant.id for grant in usable}
    good = [one for one in given if not one.password and now < one.expires_at and names <= set(one.grants)]
    return Presence(needed=True, left=sum(one.connections - one.used for one in good))


def _concerns(person: Person, roles: Sequence[Role], contracts: Iterable[Contract]) -> bool:
    if person.is_employee:
        return True
    scope = frozenset[str]().union(*(c.roles for c in contracts if c.covers(person) and c.ended_at is None))
    return any(role.name in scope for role in roles)


def _offer(person: Person, resource: Resource, role: Role, now: Circumstances) -> RoleOffer:
    noes = refuse_at_once(Wish(person.name, resource.name, role.name, _SHORTEST), now)
    return RoleOffer(role, not noes, " ".join(no.reason for no in noes))
