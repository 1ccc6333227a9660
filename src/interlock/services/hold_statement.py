"""A gateway asks people about one held statement.

Holds to:

* it comes from the gateway that reported the session, for a live session of that person on that resource, whose grants
  are active: a hold gives nothing that the grants do not
* the rules are ``hold.approvals`` of the roles that ask for the hold, else one person who could approve the role
* it is refused at once when nobody could approve it: nobody is left waiting for a yes that cannot come
* the content is the exact text, parameters, measured impact, session and number; its digest binds every approval
* of a sample of rows the content says how much was taken, and its salted hash; no row is in it (``sample_rows``)
* the same hold asked again, because its answer was lost on the way, is the same request
* it stays open for ``timing.hold``, and an approval that was not used by then is worth nothing
"""

from datetime import datetime

from interlock.domain.approving import Ask, rules_for_hold
from interlock.domain.codec import to_plain
from interlock.domain.grants import Activity, Request, RequestKind, RequestState
from interlock.domain.roles import ApprovalRule
from interlock.errors import Refusal
from interlock.ports.control import HoldOpened, HoldOpening
from interlock.ports.state import UnitOfWork
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.holding import grants_of, refuse_dead_session
from interlock.services.judging import describe_judges
from interlock.services.open_request import unused_request_id
from interlock.services.requests import digest_of, opened
from interlock.services.sample_rows import describe_sample
from interlock.services.separating import refuse_session_conflicts

_LATEST = 200


class _KnownError(Exception):
    """This very hold was opened before: there is nothing to commit."""

    def __init__(self, opened: HoldOpened) -> None:
        super().__init__()
        self.opened = opened


async def hold_statement(desk: Desk, *, gateway: str, opening: HoldOpening) -> HoldOpened:
    """``gateway`` is the gateway's name. Raises Refusal (``not-yours``, ``session-over``, ``nobody-to-approve`` …)."""
    try:
        return await _open(desk, gateway, opening)
    except _KnownError as known:
        return known.opened


async def _open(desk: Desk, gateway: str, opening: HoldOpening) -> HoldOpened:
    async with desk.deciding(f"gateway:{gateway}") as work:
        now = desk.clock.now()
        activity = await _session_of(work, gateway, opening)
        person = await acting_person(work, opening.person)
        rules = _rules(desk, opening)
        request = await _compose(desk, work, opening, activity, rules, now)
        await refuse_dead_session(work, request, now)
        await refuse_session_conflicts(desk, work, person, await grants_of(work, activity))
        ask = Ask(person, frozenset(opening.roles))
        who = describe_judges(ask, rules, await work.people(), await work.contracts(), now)
        known = await _same_hold(work, request)
        if known is not None:
            raise _KnownError(HoldOpened(known.id, known.digest, who, known.expires_at))
        await work.save(request)
        work.record(opened(request))
    return HoldOpened(request.id, request.digest, who, request.expires_at)


async def _same_hold(work: UnitOfWork, request: Request) -> Request | None:
    """The request that is this hold already. Its digest covers the session and the statement's number in it."""
    for state in (RequestState.OPEN, RequestState.APPROVED):
        for other in await work.requests(state=state, person=request.person, limit=_LATEST):
            if other.session == request.session and other.digest == request.digest:
                return other
    return None


async def _session_of(work: UnitOfWork, gateway: str, opening: HoldOpening) -> Activity:
    activity = await work.activity(opening.session)
    if activity is None:
        raise Refusal("session-over", f"The session {opening.session} has not been reported.", "Connect again.")
    if (activity.gateway, activity.person, activity.resource) != (gateway, opening.person, opening.resource):
        raise Refusal(
            "not-yours",
            f"{opening.session} is not a session of {opening.person} on {opening.resource} here.",
            "Look at the gateways with `interlock doctor`.",
        )
    return activity


def _rules(desk: Desk, opening: HoldOpening) -> tuple[ApprovalRule, ...]:
    roles = [desk.configuration.roles.get(name) for name in sorted(set(opening.roles))]
    known = [role for role in roles if role is not None]
    if not known or len(known) < len(roles):
        raise Refusal("unknown-role", "The policy no longer has the roles that hold this statement.", "Connect again.")
    return rules_for_hold(known)


async def _compose(
    desk: Desk,
    work: UnitOfWork,
    opening: HoldOpening,
    activity: Activity,
    rules: tuple[ApprovalRule, ...],
    now: datetime,
) -> Request:
    grants = [await work.grant(grant_id) for grant_id in activity.grants]
    contracts = sorted({grant.contract for grant in grants if grant is not None and grant.contract is not None})
    login = await work.login(activity.login)
    content: dict[str, object] = {
        "person": opening.person,
        "resource": opening.resource,
        "roles": sorted(set(opening.roles)),
        "session": opening.session,
        "number": opening.number,
        "text": opening.text,
        "parameters": list(opening.parameters),
        "needs": to_plain(opening.needs),
        "impact": to_plain(opening.impact),
        "contract": contracts[0] if len(contracts) == 1 else None,
        "rules": to_plain(rules),
    }
    if (sample := describe_sample(opening)) is not None:
        content["sample"] = sample
    return Request(
        id=await unused_request_id(work),
        kind=RequestKind.STATEMENT,
        person=opening.person,
        resource=opening.resource,
        role=", ".join(sorted(set(opening.roles))),
        content=content,
        digest=digest_of(content),
        rules=rules,
        reason=opening.why,
        key=login.key if login is not None else "",
        opened_at=now,
        expires_at=now + desk.configuration.timing.hold,
        session=opening.session,
    )
