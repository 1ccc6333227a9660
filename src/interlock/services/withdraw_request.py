"""The requester takes a request back.

Holds to:

* only the person who opened a request withdraws it; any of the person's logins will do
* only an open request is withdrawn: what was approved is a grant and is ended, what is over stays as it is
"""

from interlock.domain.grants import Request, RequestKind, RequestState
from interlock.errors import Refusal
from interlock.services.desk import Desk
from interlock.services.endings import Endings
from interlock.services.requests import locate_open


async def withdraw_request(desk: Desk, *, person: str, request_id: str) -> Request:
    async with desk.ending(person) as work:
        now = desk.clock.now()
        request = await locate_open(work, request_id, now)
        if request.person != person:
            raise Refusal(
                "not-yours",
                f"{request.id} is the request of {request.person}; only {request.person} can withdraw it.",
                f"If it should not happen, type `interlock deny {request.id} --reason …`.",
            )
        if request.kind is RequestKind.REVIEW:
            raise Refusal(
                "review-stays",
                f"{request.id} is the review of a glass that {person} broke: two others close it.",
                f"See who may: interlock show {request.id}",
            )
        endings = Endings(work, by=person, reason="withdrawn by the requester", at=now)
        return await endings.request(request, RequestState.WITHDRAWN)
