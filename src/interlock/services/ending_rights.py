"""Who may end what. Ending is deliberately easier than giving, and always somebody's: the name is in the ledger."""

from collections.abc import Iterable

from interlock.domain.approving import Ask, Yes, may_approve_any
from interlock.domain.grants import Grant
from interlock.domain.people import ADMINISTRATORS, Contract, Person
from interlock.errors import NotFound, Refusal
from interlock.ports.state import Reading
from interlock.services.desk import Desk


async def acting_person(reading: Reading, name: str) -> Person:
    """The person who acts, as the state knows them now. Refuses who is unknown or has left."""
    person = await reading.person(name)
    if person is None:
        raise NotFound(f"There is no person named {name}.", "See `interlock people`.")
    if not person.active:
        raise Refusal("person-ended", f"{name} has been offboarded.", "Ask an administrator if that was a mistake.")
    return person


def is_administrator(person: Person) -> bool:
    return person.active and ADMINISTRATORS in person.groups


def sponsors_of(person: Person, contracts: Iterable[Contract]) -> frozenset[str]:
    """Who sponsors a contract that covers ``person`` and that nobody has ended."""
    return frozenset(c.sponsor for c in contracts if c.covers(person) and c.ended_at is None)


async def may_end_grant(desk: Desk, reading: Reading, person: Person, grant: Grant) -> bool:
    """The person who has it, administrators, the contract's sponsor, and whoever could approve the role for them."""
    if person.name == grant.person or is_administrator(person):
        return True
    if grant.contract is not None:
        contract = await reading.contract(grant.contract)
        if contract is not None and contract.sponsor == person.name:
            return True
    role = desk.configuration.roles.get(grant.role)
    holder = await reading.person(grant.person)
    if role is None or holder is None:
        return False
    ask = Ask(holder, frozenset({grant.role}))
    answer = may_approve_any(ask, person, role.lending.approvals, await reading.contracts(), desk.clock.now())
    return isinstance(answer, Yes)
