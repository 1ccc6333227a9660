"""A person says no to a request, and that ends it.

Holds to:

* one no is enough, from anybody whose yes could count, also after they said yes, as long as the request is open
* the requester does not deny but withdraws; a no needs no fresh proof of presence: it gives nothing
* a request that is approved or over is not denied; what came of it is ended instead
"""

from interlock.domain.approving import No
from interlock.domain.grants import Request, RequestKind, RequestState
from interlock.errors import Refusal
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.endings import Endings
from interlock.services.judging import open_case, refuse
from interlock.services.requests import check_reason, locate_open


async def deny_request(desk: Desk, *, by: str, request_id: str, reason: str) -> Request:
    """The request, denied. Raises Refusal or NotFound."""
    reason = check_reason(reason)
    async with desk.ending(by) as work:
        now = desk.clock.now()
        person = await acting_person(work, by)
        request = await locate_open(work, request_id, now)
        if request.person == by:
            raise Refusal(
                "self-denial", "This is your own request.", f"Take it back with `interlock withdraw {request.id}`."
            )
        if request.kind is RequestKind.REVIEW:
            raise Refusal(
                "review-stays",
                f"{request.id} is a review: it is closed by two who have looked, and not by a no.",
                f"Say yes when you have: interlock approve {request.id}",
            )
        case = await open_case(desk, work, request, now)
        answer = case.may_approve(person)
        if isinstance(answer, No):
            raise refuse(case, answer)
        return await Endings(work, by=by, reason=reason, at=now).request(request, RequestState.DENIED)
