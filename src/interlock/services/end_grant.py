"""A grant ends before its time.

Holds to:

* the person who has the grant ends it, or an administrator, or the sponsor of the contract it rests on, or somebody who
  could approve that role for that person
* a grant that has ended, or whose window is over, is not ended again
* live sessions that rest on the grant are cut: the end travels by the feed
"""

from interlock.domain.grants import Grant
from interlock.errors import NotFound, Refusal
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, may_end_grant
from interlock.services.endings import Endings
from interlock.services.requests import check_reason


async def end_grant(desk: Desk, *, by: str, grant_id: str, reason: str) -> Grant:
    """The grant as it then is. Raises Refusal (``not-yours``, ``over``) or NotFound."""
    reason = check_reason(reason)
    async with desk.ending(by) as work:
        now = desk.clock.now()
        person = await acting_person(work, by)
        grant = await work.grant(grant_id)
        if grant is None:
            raise NotFound(f"There is no grant {grant_id}.", "See `interlock grants`.")
        if not await may_end_grant(desk, work, person, grant):
            raise Refusal(
                "not-yours",
                f"{by} may not end {grant.id}: it belongs to {grant.person}.",
                "Ask its owner, the contract's sponsor, one of its approvers or an administrator.",
            )
        if not grant.active(now):
            raise Refusal("over", f"{grant.id} is over already.", "See `interlock grants` for what is not.")
        return await Endings(work, by=by, reason=reason, at=now).grant(grant)
