"""A gateway uses the approval of a held statement, right before the statement goes out.

Holds to:

* exactly one use wins, also of two in the same moment: ``approved`` becomes ``used``, and nothing comes after
* only the gateway that has the session uses it, for exactly the approved content, before the hold's time is over
* every approver is judged again as they are now; who has left or no longer may does not count
* the session still lives, and its person, login, grants and contract are active
* with it the wish of a detection is met, that another person approve the session's next statement
* taken first, run after: a crash between the two leaves a statement that did not run and an approval that is spent
"""

from dataclasses import replace

from interlock.domain.grants import Activity, Request, RequestKind, RequestState
from interlock.errors import Refusal
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.endings import Endings
from interlock.services.holding import grants_of, refuse_dead_session
from interlock.services.judging import open_case
from interlock.services.requests import locate
from interlock.services.separating import refuse_session_conflicts

_AGAIN = "Send the statement again to ask again."


async def take_hold(desk: Desk, *, gateway: str, request_id: str, digest: str) -> Request:
    """The request, used. Raises Refusal (``not-approved``, ``used``, ``expired``, ``stale-digest`` …) or NotFound."""
    actor = f"gateway:{gateway}"
    async with desk.deciding(actor) as work:
        now = desk.clock.now()
        request = await locate(work, request_id)
        if request.kind is not RequestKind.STATEMENT:
            raise Refusal("not-held", f"{request.id} is not about a held statement.", "See `interlock requests`.")
        if request.state is RequestState.USED:
            raise Refusal("used", f"The approval of {request.id} has been used.", _AGAIN)
        if request.state is not RequestState.APPROVED:
            raise Refusal("not-approved", f"{request.id} is {request.state.value}, not approved.", _AGAIN)
        if now >= request.expires_at:
            raise Refusal("expired", f"The approval of {request.id} was not used in time.", _AGAIN)
        if digest != request.digest:
            raise Refusal("stale-digest", f"This is not the content that was approved in {request.id}.", _AGAIN)
        await work.lock(Activity, request.session or "")
        activity = await refuse_dead_session(work, request, now)
        asker = await acting_person(work, request.person)
        await refuse_session_conflicts(desk, work, asker, await grants_of(work, activity))
        if activity.gateway != gateway:
            raise Refusal(
                "not-yours",
                f"{request.id} belongs to the gateway {activity.gateway}, not to {gateway}.",
                "Look at the gateways with `interlock doctor`.",
            )
        case = await open_case(desk, work, request, now)
        if not case.tally(await work.approvals(request.id)).complete:
            raise Refusal("approval-void", f"An approver of {request.id} may no longer approve it.", _AGAIN)
        if activity.held_why:
            await work.save(replace(activity, held_why=""))
        endings = Endings(work, by=actor, reason="the approved statement goes out", at=now)
        return await endings.request(request, RequestState.USED)
