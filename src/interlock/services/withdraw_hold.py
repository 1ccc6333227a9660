"""The client no longer wants its held statement: it cancelled, or its session is over.

Holds to:

* only the gateway that has the session withdraws it
* an open hold is withdrawn; one that is over or approved stays as it is, without a complaint: an approved one that is
  never used runs nothing, and is worth nothing once its time is over
"""

from interlock.domain.grants import RequestKind, RequestState
from interlock.errors import Refusal
from interlock.services.desk import Desk
from interlock.services.endings import Endings
from interlock.services.requests import locate


async def withdraw_hold(desk: Desk, *, gateway: str, request_id: str, reason: str) -> None:
    """Raises Refusal (``not-held``, ``not-yours``) or NotFound."""
    async with desk.state.reading() as reading:
        request = await locate(reading, request_id)
        activity = await reading.activity(request.session) if request.session is not None else None
    if request.kind is not RequestKind.STATEMENT:
        raise Refusal("not-held", f"{request.id} is not about a held statement.", "See `interlock requests`.")
    if activity is None or activity.gateway != gateway:
        raise Refusal(
            "not-yours", f"{request.id} belongs to another gateway.", "Look at the gateways with `interlock doctor`."
        )
    try:
        await _withdraw(desk, f"gateway:{gateway}", request_id, reason)
    except _TooLateError:
        return


class _TooLateError(Exception):
    """It was decided first: there is nothing to commit."""


async def _withdraw(desk: Desk, actor: str, request_id: str, reason: str) -> None:
    async with desk.ending(actor) as work:
        request = await locate(work, request_id)
        if request.state is not RequestState.OPEN:
            raise _TooLateError
        endings = Endings(work, by=actor, reason=reason or "the client cancelled", at=desk.clock.now())
        await endings.request(request, RequestState.WITHDRAWN)
