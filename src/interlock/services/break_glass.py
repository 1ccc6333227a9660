"""In an emergency a person takes a role at once, without anybody's approval: loud, short, looked at afterwards.

Holds to:

* only a role that says ``break_glass``, by whom it names, for no longer than it says and than a contract runs
* a reason, and a proof of presence that is fresh (``timing.presence``) in this very login
* it replaces the approvals of the lending and nothing else: conflicts of roles, the scope of a contract, holds and
  fences stand as they do
* refused when no two others could review it
* everybody whom the role names is told: they stand in the ledger's entry, which sinks and notices carry, and see the
  review; the reviewers have it among what they are to decide
* the review opens in the same unit of work as the grant begins. It never expires, nobody withdraws or denies it; two
  others close it, when the grant is over, each with fresh presence, and neither of the breaker's vendor
* until it is closed the person breaks no glass, of whichever role: also after a restart, or after leaving and returning
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from interlock.domain.approving import Ask
from interlock.domain.codec import to_plain
from interlock.domain.grants import Grant, Login, Request, RequestKind
from interlock.domain.guard_events import GlassBroken
from interlock.domain.people import Contract
from interlock.domain.requesting import Wish, explain_shortage
from interlock.domain.roles import BreakGlass
from interlock.errors import Misuse, Refusal
from interlock.ports.state import UnitOfWork
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.give_approval import lend
from interlock.services.glass_reviews import NEVER, described_by, refuse_open_review
from interlock.services.lends import lends_by
from interlock.services.logins import active_login, check_presence
from interlock.services.open_request import (
    check_asked,
    contract_of,
    refuse_hopeless,
    refuse_past_gate,
    unused_request_id,
)
from interlock.services.requests import digest_of, opened, told_of
from interlock.services.separating import refuse_separated


@dataclass(frozen=True, slots=True)
class Broken:
    """The grant, and the review that two others must close."""

    grant: Grant
    review: Request


async def break_glass(
    desk: Desk, *, login_id: str, resource: str, role: str, duration: timedelta, reason: str, artifact: str = ""
) -> Broken:
    """Raises Refusal (``needs-gate``, ``no-glass``, ``not-your-glass``, ``presence-needed``, ``review-open`` …)."""
    reason, artifact = check_asked(reason, artifact, duration)
    async with desk.state.reading() as reading:
        actor = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(actor) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        person = await acting_person(work, login.person)
        wish = Wish(person.name, resource, role, duration)
        # Who wrote a change would deploy it alone: an emergency goes through the gate as well.
        refuse_past_gate(desk, resource, role)
        await refuse_hopeless(desk, work, wish, now, emergency=True)
        await refuse_separated(desk, work, person, role, artifact, now)
        await refuse_open_review(work, person.name)
        present_at = check_presence(login, now, desk.configuration.timing.presence)
        glass = desk.configuration.roles[role].break_glass
        if glass is None:
            raise Misuse(f"the role {role} was let through without break_glass")
        contract = await contract_of(work, person.name, role, now)
        review = await _compose(desk, work, wish, login, glass, contract, reason, now)
        if artifact:
            content = {**review.content, "artifact": artifact}
            review = replace(review, artifact=artifact, content=content, digest=digest_of(content))
        await work.save(review)
        work.record(opened(review))
        grant = await lend(work, review, now, now + duration, contract)
        work.record(
            GlassBroken(
                grant=grant.id,
                request=review.id,
                person=person.name,
                role=role,
                resource=resource,
                reason=reason,
                told=told_of(review),
                ends_at=grant.ends_at,
                present_at=present_at,
            )
        )
    return Broken(grant, review)


async def _compose(
    desk: Desk,
    work: UnitOfWork,
    wish: Wish,
    login: Login,
    glass: BreakGlass,
    contract: Contract | None,
    reason: str,
    now: datetime,
) -> Request:
    people, contracts = await work.people(), await work.contracts()
    person = await acting_person(work, wish.person)
    shortage = explain_shortage(Ask(person, frozenset({wish.role})), (glass.review,), people, contracts, now)
    if shortage is not None:
        raise Refusal(
            "nobody-to-review",
            f"Two others would have to review it, and there are not two {glass.review.who} who could.",
            "Ask for the role as usual: interlock request",
        )
    content: dict[str, object] = {
        "person": wish.person,
        "role": wish.role,
        "resource": wish.resource,
        "duration_s": to_plain(wish.duration),
        "reason": reason,
        "key": login.key,
        "contract": contract.name if contract is not None else None,
        "lends": lends_by(desk.configuration, wish.role),
        "told": sorted(p.name for p in people if p.active and p.name != wish.person and described_by(glass.tell, p)),
        "rules": to_plain((glass.review,)),
    }
    return Request(
        id=await unused_request_id(work),
        kind=RequestKind.REVIEW,
        person=wish.person,
        resource=wish.resource,
        role=wish.role,
        content=content,
        digest=digest_of(content),
        rules=(glass.review,),
        reason=reason,
        key=login.key,
        opened_at=now,
        expires_at=NEVER,
        duration=wish.duration,
    )
