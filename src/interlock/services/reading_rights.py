"""Who may see what. Everybody sees what is theirs; others see what they answer for.

============  =====================================================================================================
requests      the requester · who could approve it or did · the sponsors of the requester · administrators
grants        the person · the sponsor of the contract it rests on · administrators
sessions      the person · the sponsors of the contracts its grants rest on · administrators · its readers
recordings    the person, unless ``recordings.own`` says otherwise · who holds a role that allows ``replay`` there, and
              nobody else, administrators neither. Each reading is in the ledger
people        employees see everybody · a contractor sees themself, their vendor's people and their sponsors
contracts     employees see all · a contractor sees those that cover them
duties        employees · who has a part in them
policy        administrators
ledger        administrators
============  =====================================================================================================
"""

from collections.abc import Sequence

from interlock.domain.approving import Yes
from interlock.domain.grants import Activity, Grant, Request
from interlock.domain.people import Contract, Person
from interlock.errors import Refusal
from interlock.ports.state import Reading
from interlock.services.desk import Desk
from interlock.services.ending_rights import is_administrator, sponsors_of
from interlock.services.judging import Case, open_case
from interlock.services.requests import not_found_request, told_of


def may_read_case(person: Person, case: Case, approvers: Sequence[str]) -> bool:
    request = case.request
    return (
        person.name == request.person
        or is_administrator(person)
        or person.name in approvers
        or person.name in told_of(request)
        or person.name in sponsors_of(case.ask.requester, case.contracts)
        or isinstance(case.may_approve(person), Yes)
    )


async def check_may_read_request(desk: Desk, reading: Reading, person: Person, request: Request) -> Case:
    """The case of a request that ``person`` may see. Who may not see it learns nothing, not even that it is there."""
    case = await open_case(desk, reading, request, desk.clock.now())
    approvers = [approval.person for approval in await reading.approvals(request.id)]
    if not may_read_case(person, case, approvers):
        raise not_found_request(request.id)
    return case


def may_read_grant(person: Person, grant: Grant, contracts: Sequence[Contract]) -> bool:
    return (
        person.name == grant.person
        or is_administrator(person)
        or any(c.name == grant.contract and c.sponsor == person.name for c in contracts)
    )


async def may_read_session(reading: Reading, person: Person, activity: Activity) -> bool:
    if person.name == activity.person or is_administrator(person):
        return True
    for grant_id in activity.grants:
        grant = await reading.grant(grant_id)
        if grant is None or grant.contract is None:
            continue
        contract = await reading.contract(grant.contract)
        if contract is not None and contract.sponsor == person.name:
            return True
    return False


def may_read_person(reader: Person, person: Person, contracts: Sequence[Contract]) -> bool:
    if reader.is_employee or reader.name == person.name or reader.vendor == person.vendor:
        return True
    return person.name in sponsors_of(reader, contracts)


def may_read_contract(reader: Person, contract: Contract) -> bool:
    return reader.is_employee or contract.covers(reader)


def check_may_read_ledger(person: Person) -> None:
    _check_administrator(person, "read the ledger")


def check_may_read_policy(person: Person) -> None:
    """The policy names everybody, every resource and where its secrets are kept."""
    _check_administrator(person, "read the policy")


def check_may_prove(person: Person) -> None:
    """A proof tells what everybody could do."""
    _check_administrator(person, "ask what everybody could do")


def _check_administrator(person: Person, what: str) -> None:
    if not is_administrator(person):
        raise Refusal("not-yours", f"{person.name} may not {what}.", "Ask an administrator.")
