"""The first run: what a new installation lacks still, and whether its first resource can be reached.

Holds to:

* administrators are told how far it is
* a resource of the active policy is tried by administrators. One that only stands in a draft is tried by the first
  administrator alone, before anybody else has ever signed in, with a fresh proof of presence: who could put the draft
  into effect anyway. For everybody else a draft would be a way to have secrets sent where they like
* the secret is fetched by the control plane and shown to nobody; each attempt is in the ledger
"""

from collections.abc import Mapping
from dataclasses import dataclass

from interlock.domain.actions import Action
from interlock.domain.resources import Resource
from interlock.domain.work_events import ConnectionTried
from interlock.errors import Failure, NotFound, Refusal
from interlock.ports.state import Reading
from interlock.ports.upstream import Tried, TryUpstream
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.logins import active_login, check_presence
from interlock.services.policy_change import read_change
from interlock.services.propose_policy import acts_alone

_SIGNED_IN = 10_000


@dataclass(frozen=True, slots=True)
class Administrator:
    name: str
    signed_in: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """``roles`` are those that let somebody connect. ``alone``: the reader puts changes into effect alone, since nobody
    else has signed in yet."""

    administrators: tuple[Administrator, ...]
    employees: tuple[str, ...]
    resources: tuple[str, ...]
    roles: tuple[str, ...]
    contracts: tuple[str, ...]
    alone: bool

    @property
    def guarded(self) -> bool:
        """Whether two administrators have signed in, so that none of them is alone any more."""
        return sum(one.signed_in for one in self.administrators) > 1

    @property
    def done(self) -> bool:
        return self.guarded and bool(self.resources) and bool(self.contracts)


async def set_up_progress(desk: Desk, *, person: str) -> Progress:
    """Raises Refusal (``not-yours``)."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        _check(is_administrator(reader), person)
        await desk.check_policy(reading)
        signed_in = frozenset(await reading.signed_in(limit=_SIGNED_IN))
        people = [one for one in await reading.people() if one.active and one.is_employee]
        now = desk.clock.now()
        contracts = [one.name for one in await reading.contracts() if one.ended_at is None and one.end > now]
        alone = await acts_alone(reading, reader)
    return Progress(
        administrators=tuple(Administrator(p.name, p.name in signed_in) for p in people if is_administrator(p)),
        employees=tuple(one.name for one in people),
        resources=tuple(sorted(desk.configuration.resources)),
        roles=tuple(sorted(name for name, role in desk.configuration.roles.items() if Action.CONNECT in role.allow)),
        contracts=tuple(contracts),
        alone=alone,
    )


async def try_resource(desk: Desk, attempt: TryUpstream | None, *, login_id: str, name: str) -> Tried:
    """Connect to a resource of the active policy. Raises Refusal (``not-yours``) and NotFound."""
    async with desk.state.reading() as reading:
        person = await _administrator(desk, reading, login_id)
        await desk.check_policy(reading)
    resource = desk.configuration.resources.get(name)
    if resource is None:
        raise NotFound(f"There is no resource {name}.", "See the page Ask.")
    return await _try(desk, attempt, person, resource)


async def try_draft(
    desk: Desk, attempt: TryUpstream | None, *, login_id: str, yaml: str, cedar: Mapping[str, str], name: str
) -> Tried:
    """Connect to a resource that a draft names. Raises Refusal (``not-alone``, ``presence-needed``, ``bad-policy``)."""
    async with desk.state.reading() as reading:
        person = await _administrator(desk, reading, login_id)
        if not await acts_alone(reading, await acting_person(reading, person)):
            raise Refusal(
                "not-alone",
                "A connection is tried once the change is approved and active: a draft could send a secret anywhere.",
                "Propose it; then try it here.",
            )
        now = desk.clock.now()
        check_presence(await active_login(reading, login_id, now), now, desk.configuration.timing.presence)
    resource = read_change(desk, yaml, dict(cedar)).resources.get(name)
    if resource is None:
        raise NotFound(f"There is no resource {name} in it.", "Give it that name.")
    return await _try(desk, attempt, person, resource)


async def _try(desk: Desk, attempt: TryUpstream | None, person: str, resource: Resource) -> Tried:
    if attempt is None:
        raise Failure("This control plane tries no connections.", "Type `interlock doctor` on its machine.")
    tried = await attempt(resource)
    async with desk.state.changing(person) as work:
        work.record(ConnectionTried(by=person, resource=resource.name, works=tried.works))
    return tried


async def _administrator(desk: Desk, reading: Reading, login_id: str) -> str:
    login = await active_login(reading, login_id, desk.clock.now())
    _check(is_administrator(await acting_person(reading, login.person)), login.person)
    return login.person


def _check(may: bool, person: str) -> None:
    if not may:
        raise Refusal("not-yours", f"{person} may not set up this installation.", "Ask an administrator.")
