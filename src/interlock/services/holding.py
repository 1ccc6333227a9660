"""What the use cases around a held statement share: the session that waits for it."""

from datetime import datetime

from interlock.domain.grants import Activity, Grant, Request
from interlock.errors import Refusal
from interlock.ports.state import Reading


async def refuse_dead_session(reading: Reading, request: Request, now: datetime) -> Activity:
    """The session that waits, if it still may run anything: open, not cut, its person, login and grants active."""
    activity = await reading.activity(request.session) if request.session is not None else None
    if activity is None or activity.closed_at is not None or activity.cut_why:
        raise _over(request, "the session that waited for it is over")
    login = await reading.login(activity.login)
    person = await reading.person(activity.person)
    if person is None or not person.active or login is None or not login.active(now):
        raise _over(request, f"{activity.person} is no longer signed in")
    for grant_id in activity.grants:
        grant = await reading.grant(grant_id)
        if grant is None or not grant.active(now):
            raise _over(request, f"the grant {grant_id}, on which its session rests, is over")
        if grant.contract is not None:
            contract = await reading.contract(grant.contract)
            if contract is None or not contract.running(now):
                raise _over(request, f"the contract {grant.contract} is over")
    return activity


def _over(request: Request, why: str) -> Refusal:
    return Refusal("session-over", f"{request.id} can no longer run: {why}.", "Connect and send the statement again.")


async def grants_of(reading: Reading, activity: Activity) -> list[Grant]:
    """The grants on which a session rests."""
    found = [await reading.grant(grant_id) for grant_id in activity.grants]
    return [grant for grant in found if grant is not None]
