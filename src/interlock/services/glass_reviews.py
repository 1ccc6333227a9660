"""The reviews of what was done under a broken glass, and who must be there to close them.

Holds to:

* a review never expires; until it is closed neither who broke the glass nor who confirmed it breaks another
* that of an emergency deployment opens in the unit of work in which its grant begins; whoever asked, confirmed or wrote
  what was deployed does not close it
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from interlock.domain.approving import Ask
from interlock.domain.codec import to_plain
from interlock.domain.grants import Grant, Request, RequestKind, RequestState
from interlock.domain.guard_events import GlassBroken
from interlock.domain.people import Person
from interlock.domain.requesting import explain_shortage
from interlock.domain.roles import ApprovalRule, BreakGlass
from interlock.errors import Misuse, Refusal
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.endings import MANY
from interlock.services.open_request import unused_request_id
from interlock.services.requests import digest_of, opened, told_of

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""When a review expires."""


async def refuse_open_review(work: UnitOfWork, person: str) -> None:
    """Whoever broke a glass, or confirmed that another did, breaks none until that was looked at."""
    for request in await work.requests(state=RequestState.OPEN, limit=MANY):
        if request.kind is RequestKind.REVIEW and person in (request.person, request.content.get("confirmed_by")):
            raise Refusal(
                "review-open",
                f"{person} broke the glass on {request.opened_at:%Y-%m-%d %H:%M} UTC, and the review {request.id} "
                "of that is not closed.",
                f"Who may close it: interlock show {request.id}. Until then ask as usual: interlock request",
            )


def glass_of(desk: Desk, role: str) -> BreakGlass:
    glass = desk.configuration.roles[role].break_glass
    if glass is None:
        raise Misuse(f"the role {role} was let through without break_glass")
    return glass


async def refuse_lonely(
    reading: Reading, person: Person, rules: Sequence[ApprovalRule], role: str, apart: frozenset[str], now: datetime
) -> None:
    """For each of ``rules`` there must be people who meet it and are not ``apart``. Raises Refusal."""
    others = [one for one in await reading.people() if one.name not in apart]
    contracts, ask = await reading.contracts(), Ask(person, frozenset({role}))
    for rule in rules:
        if explain_shortage(ask, (rule,), others, contracts, now) is not None:
            raise Refusal(
                "nobody-apart",
                f"{rule} who had no part in it would have to confirm it, or look at it afterwards, and there are none.",
                "Whoever keeps the policy can add people.",
            )


async def begin_emergency(desk: Desk, work: UnitOfWork, request: Request, grant: Grant, confirmed_by: str) -> Request:
    """The review of ``grant``, which has begun; everybody who is to know is told. Raises Refusal."""
    now, glass = grant.starts_at, glass_of(desk, request.role)
    for name in (request.person, confirmed_by):
        await refuse_open_review(work, name)
    named = request.content.get("involved")
    involved = sorted({confirmed_by, *(map(str, named) if isinstance(named, list) else ())})
    person = await acting_person(work, request.person)
    await refuse_lonely(work, person, (glass.review,), request.role, frozenset(involved), now)
    content: dict[str, object] = {
        **{name: value for name, value in request.content.items() if name not in ("emergency", "rules", "involved")},
        "request": request.id,
        "confirmed_by": confirmed_by,
        "involved": involved,
        "rules": to_plain((glass.review,)),
    }
    review = Request(
        id=await unused_request_id(work),
        kind=RequestKind.REVIEW,
        person=request.person,
        resource=request.resource,
        role=request.role,
        content=content,
        digest=digest_of(content),
        rules=(glass.review,),
        reason=request.reason,
        key=request.key,
        opened_at=now,
        expires_at=NEVER,
        duration=request.duration,
    )
    await work.save(review)
    work.record(opened(review))
    work.record(
        GlassBroken(
            grant=grant.id,
            request=review.id,
            person=request.person,
            role=request.role,
            resource=request.resource,
            reason=request.reason,
            told=told_of(review),
            ends_at=grant.ends_at,
            confirmed_by=confirmed_by,
            deploys=str(request.content.get("deploys")),
        )
    )
    return review


def described_by(rule: ApprovalRule, person: Person) -> bool:
    in_group = rule.group is None or rule.group in person.groups
    return in_group and (not rule.people or person.name in rule.people)
