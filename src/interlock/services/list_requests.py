"""The requests that a person may see, each with how it stands.

Holds to:

* nobody sees a request that is neither theirs nor theirs to answer for (``reading_rights``)
* what there is to decide is open, within its time, not yet approved by this person, and theirs to approve
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from interlock.domain.approving import Yes
from interlock.domain.grants import Approval, Request, RequestState
from interlock.domain.people import Person
from interlock.ports.state import Reading
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.judging import Case, open_cases
from interlock.services.reading_rights import check_may_read_request, may_read_case
from interlock.services.requests import locate

_LOOKED_THROUGH = 2000


class Scope(StrEnum):
    MINE = "mine"
    TO_DECIDE = "to-decide"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request and its approvals; how many persons are missing, who could be one, and whether the reader could."""

    request: Request
    approvals: tuple[Approval, ...]
    missing: int
    judges: tuple[str, ...]
    may_decide: bool


async def list_requests(
    desk: Desk, *, person: str, scope: Scope, before: str = "", limit: int = 200
) -> tuple[RequestView, ...]:
    """The newest first; with ``before``, the number of a request, those that follow it. Raises NotFound.

    ``all`` looks through the newest 2,000 of everybody's from there on.
    """
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        last = await locate(reading, before) if before else None
        if last is not None:
            await check_may_read_request(desk, reading, reader, last)
        found = await reading.requests(
            person=person if scope is Scope.MINE else None,
            state=RequestState.OPEN if scope is Scope.TO_DECIDE else None,
            before=last,
            limit=limit if scope is Scope.MINE else _LOOKED_THROUGH,
        )
        views: list[RequestView] = []
        for case in await open_cases(desk, reading, found, desk.clock.now()):
            if len(views) >= limit:
                break
            view = await _view(reading, case, person)
            if scope is Scope.TO_DECIDE and not view.may_decide:
                continue
            if may_read_case(reader, case, [approval.person for approval in view.approvals]):
                views.append(view)
    return tuple(views)


async def view_requests(
    desk: Desk, reading: Reading, reader: Person, found: Sequence[Request]
) -> Sequence[RequestView]:
    """Those of ``found`` that the reader may see, in their order."""
    views = []
    for case in await open_cases(desk, reading, found, desk.clock.now()):
        view = await _view(reading, case, reader.name)
        if may_read_case(reader, case, [approval.person for approval in view.approvals]):
            views.append(view)
    return views


async def show_request(desk: Desk, *, person: str, request_id: str) -> RequestView:
    """Raises NotFound for a request that is not there, or that the person may not see."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        case = await check_may_read_request(desk, reading, reader, await locate(reading, request_id))
        return await _view(reading, case, person)


async def _view(reading: Reading, case: Case, person: str) -> RequestView:
    request = case.request
    approvals = tuple(await reading.approvals(request.id))
    gave = {approval.person for approval in approvals}
    decidable = request.state is RequestState.OPEN and case.at < request.expires_at
    judges = tuple(name for name in case.judges() if name not in gave) if decidable else ()
    return RequestView(
        request=request,
        approvals=approvals,
        missing=case.tally(approvals).missing if decidable else 0,
        judges=judges,
        may_decide=person in judges and isinstance(case.may_approve(case.people[person]), Yes),
    )
