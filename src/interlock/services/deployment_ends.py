"""What was lent for a deployment ends when evidence that its gate rested on is taken back.

Holds to:

* in the unit of work that voids the evidence: no grant outlives what it was lent for, and the gateways cut the
  sessions that rest on it
* open requests are denied, so that nobody approves what the gate would no longer open to
"""

from datetime import datetime

from interlock.domain.grants import Request, RequestKind, RequestState
from interlock.ports.state import UnitOfWork
from interlock.services.desk import SYSTEM
from interlock.services.endings import MANY, Endings


async def end_what_rested(work: UnitOfWork, evidence: str, said: str, at: datetime) -> None:
    """``said``: what was taken back, as a clause."""
    endings = Endings(work, by=SYSTEM, reason=f"{said} was taken back, and the gate rested on it", at=at)
    for request in await work.requests(state=RequestState.OPEN, limit=MANY):
        if rests_on(request, evidence):
            await endings.request(request, RequestState.DENIED)
    for grant in await work.grants(active_at=at, limit=MANY):
        asked = await work.request(grant.request)
        if asked is not None and rests_on(asked, evidence):
            await endings.grant(grant)


def rests_on(request: Request, evidence: str) -> bool:
    named = request.content.get("rests_on")
    return request.kind is RequestKind.GRANT and isinstance(named, list) and evidence in named
