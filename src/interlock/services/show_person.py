"""A person with what they can reach and what they did lately, as far as the reader may see it.

Holds to:

* each part is shown under its own rule (``reading_rights``): who may see a person sees no grant or session by that
"""

from collections.abc import Sequence
from dataclasses import dataclass

from interlock.domain.grants import Activity, Grant, Login, RequestState
from interlock.domain.people import Contract, Person
from interlock.errors import NotFound
from interlock.ports.state import Reading
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator, sponsors_of
from interlock.services.list_requests import RequestView, view_requests
from interlock.services.reading_rights import may_read_contract, may_read_grant, may_read_person, may_read_session

_LATELY = 30


@dataclass(frozen=True, slots=True)
class PersonView:
    """``logins`` are told to the person and to administrators alone; ``may_offboard``: the reader could.

    ``could_ask`` are the roles within the person's reach, each with the resources it is about, for employees and for
    the person: a contractor's are those of their running contracts. Whether anybody would approve it does not say.
    """

    person: Person
    contracts: tuple[Contract, ...]
    grants: tuple[Grant, ...]
    before: tuple[Grant, ...]
    sessions: tuple[Activity, ...]
    requests: tuple[RequestView, ...]
    logins: tuple[Login, ...]
    may_offboard: bool
    could_ask: tuple[tuple[str, tuple[str, ...]], ...] = ()


async def show_person(desk: Desk, *, reader: str, name: str) -> PersonView:
    """Raises NotFound for a person who is not there, or whom the reader may not see."""
    async with desk.state.reading() as reading:
        now = desk.clock.now()
        who = await acting_person(reading, reader)
        person = await reading.person(name)
        contracts = await reading.contracts()
        if person is None or not may_read_person(who, person, contracts):
            raise NotFound(f"There is no person named {name}.", "See `interlock people`.")
        grants = [g for g in await reading.grants(person=name, limit=200) if may_read_grant(who, g, contracts)]
        own = is_administrator(who) or who.name == name
        found = await reading.requests(person=name, limit=_LATELY)
        return PersonView(
            person=person,
            contracts=tuple(c for c in contracts if c.covers(person) and may_read_contract(who, c)),
            grants=tuple(g for g in grants if g.active(now)),
            before=tuple(g for g in grants if not g.active(now))[:_LATELY],
            sessions=await _sessions(reading, who, name),
            requests=tuple(
                view
                for view in await view_requests(desk, reading, who, found)
                if view.request.state is not RequestState.WITHDRAWN
            ),
            logins=tuple(await reading.logins(person=name, active_at=now)) if own else (),
            may_offboard=person.active
            and person.name != reader
            and (is_administrator(who) or reader in sponsors_of(person, contracts)),
            could_ask=_could_ask(desk, person, contracts) if who.is_employee or who.name == name else (),
        )


def _could_ask(desk: Desk, person: Person, contracts: Sequence[Contract]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    running = [c for c in contracts if c.covers(person) and c.running(desk.clock.now())]
    known, found = desk.configuration, []
    for name, role in sorted(known.roles.items()):
        if person.active and (person.is_employee or any(name in contract.roles for contract in running)):
            found.append((name, tuple(sorted(r.name for r in known.resources.values() if role.on.matches(r)))))
    return tuple(found)


async def _sessions(reading: Reading, who: Person, name: str) -> tuple[Activity, ...]:
    found: Sequence[Activity] = await reading.activities(person=name, limit=_LATELY)
    return tuple([activity for activity in found if await may_read_session(reading, who, activity)])
