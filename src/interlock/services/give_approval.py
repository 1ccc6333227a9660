"""A person says yes to a request; with the last yes that is needed it takes effect.

Holds to, in this order:

1. the approver acts in an active login and has not left; the request is open and its time is not over
2. never the requester, in whichever login; never somebody whom no rule describes, or of the requester's vendor (unless
   the rule says so); rules count as they were when it was opened and as they are now
3. never from the requester's own key: that is one machine
4. the digest that the approver saw is the request's: a yes to something else is no yes; never the same person twice
5. the approver's passkey has signed this very digest; of who has none, the proof of presence is younger than
   ``timing.presence``, always
6. when the yes would be the last: every approver is judged again as they are now, and who no longer may does not count;
   the requester, the contract, the role and, for a statement, the session are looked at again
7. a grant starts in this same unit of work: its window is now plus the time asked for, or the contract's end if that is
   sooner, written once; a statement's request becomes ``approved`` and waits for its gateway to use it, once; a
   recording is deleted, or a hold lifted, in this same unit of work (``retention``)
8. what is asked for a deployment: its gate is asked anew at each yes (``Desk.look_again``)
"""

from dataclasses import dataclass
from datetime import datetime

from interlock.domain.approving import No, Tally
from interlock.domain.grants import Approval, Grant, Login, Request, RequestKind, RequestState
from interlock.domain.people import Contract
from interlock.domain.requesting import Wish
from interlock.domain.rights_events import ApprovalGiven, GrantStarted
from interlock.errors import Misuse, Refusal
from interlock.ports.state import UnitOfWork
from interlock.services import retention
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.endings import Endings
from interlock.services.glass_reviews import begin_emergency
from interlock.services.holding import refuse_dead_session
from interlock.services.ids import new_id
from interlock.services.judging import Case, open_case, refuse
from interlock.services.lends import lends_by
from interlock.services.logins import active_login, check_presence
from interlock.services.open_request import contract_of, refuse_hopeless
from interlock.services.requests import locate_open
from interlock.services.separating import refuse_separated


@dataclass(frozen=True, slots=True)
class Approved:
    """The request as it now is, how far the approvals go, and the grant if it started."""

    request: Request
    tally: Tally
    grant: Grant | None = None


async def give_approval(
    desk: Desk, *, login_id: str, request_id: str, digest: str, signed_at: datetime | None = None
) -> Approved:
    """``login_id`` is the approver's login, ``signed_at`` when their passkey signed for this digest, if it did.

    Raises Refusal or NotFound; nothing is kept of an approval refused.
    """
    async with desk.state.reading() as reading:
        actor = (await active_login(reading, login_id, desk.clock.now())).person
        asked = await reading.request(request_id)
    await _look_again(desk, asked)
    async with desk.deciding(actor) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        await acting_person(work, login.person)
        request = await locate_open(work, request_id, now)
        case = await open_case(desk, work, request, now)
        await _refuse_judge(desk, work, case, login, digest)
        present_at = signed_at or await _presence(desk, work, login, request)
        approval = Approval(request.id, login.person, digest, now, present_at)
        await work.save(approval)
        work.record(ApprovalGiven(request=request.id, person=login.person, digest=digest, present_at=present_at))
        tally = case.tally(await work.approvals(request.id))
        if not tally.complete:
            return Approved(request, tally)
        return await _activate(desk, work, case, tally, login)


async def _look_again(desk: Desk, request: Request | None) -> None:
    """A deployment's gate is asked anew. What is taken back between this and the yes ends the request by itself."""
    if request is None or request.kind is not RequestKind.GRANT or request.state is not RequestState.OPEN:
        return
    if not request.content.get("deploys"):
        return
    if desk.look_again is None:
        raise Refusal("no-gate", "There is no repository here, whose gate could be asked.", "See `repositories`.")
    await desk.look_again(request)


async def _presence(desk: Desk, work: UnitOfWork, login: Login, request: Request) -> datetime:
    if await work.passkeys(login.person):
        raise Refusal(
            "passkey-needed",
            f"{login.person} has a passkey, and approves with it: it signs this very request.",
            f"Approve it in your browser, on the console's page /decide/{request.id}",
        )
    return check_presence(login, desk.clock.now(), desk.configuration.timing.presence)


async def _refuse_judge(desk: Desk, work: UnitOfWork, case: Case, login: Login, digest: str) -> None:
    request = case.request
    answer = case.may_approve(case.people[login.person])
    if isinstance(answer, No):
        raise refuse(case, answer)
    if login.key == request.key:
        raise Refusal(
            "same-key",
            f"This login uses the very key that {request.person} asked with: that is one machine, not two persons.",
            "Approve from your own machine, with your own key.",
        )
    _refuse_changed_role(desk, case)
    if request.kind is RequestKind.GRANT:
        asker = case.people[request.person]
        await refuse_separated(desk, work, asker, request.role, request.artifact, case.at, own=request.id)
    if request.kind is RequestKind.POLICY and request.content.get("base") != desk.configuration.digest:
        raise Refusal(
            "base-changed",
            f"Another policy was activated since {request.id} was proposed.",
            f"{request.person} has to propose the change again.",
        )
    if request.kind is RequestKind.REVIEW:
        await _refuse_early_review(work, request, case.at)
    if digest != request.digest:
        raise Refusal(
            "stale-digest",
            f"What you were shown is not what {request.id} asks.",
            f"Look at it again with `interlock show {request.id}`, then approve.",
        )
    said = {approval.person for approval in await work.approvals(request.id)}
    if login.person in said:
        others = [name for name in case.judges() if name not in said]
        raise Refusal(
            "already-approved",
            f"You have approved {request.id} already; one person counts once.",
            f"Others who may: {', '.join(others) or 'nobody'}.",
        )


async def _refuse_early_review(work: UnitOfWork, request: Request, now: datetime) -> None:
    """What is still going on has not been looked at."""
    for grant in await work.grants(active_at=now, person=request.person):
        if grant.request in (request.id, request.content.get("request")):
            raise Refusal(
                "not-over",
                f"{request.person} still has {grant.role} on {grant.resource}, until {grant.ends_at:%H:%M:%S} UTC.",
                f"Look at it when it is over, or end it: interlock end {grant.id}",
            )


def _refuse_changed_role(desk: Desk, case: Case) -> None:
    """A yes is to what the role lent when it was asked for."""
    request, role = case.request, case.role_now
    if request.kind is not RequestKind.GRANT or role is None:
        return
    if lends_by(desk.configuration, role.name) != request.content.get("lends"):
        raise Refusal(
            "role-changed",
            f"The role {role.name} lends something else since {request.person} asked for it.",
            f"{request.person} has to ask again: interlock withdraw {request.id}, then interlock request.",
        )


async def _activate(desk: Desk, work: UnitOfWork, case: Case, tally: Tally, login: Login) -> Approved:
    request, now = case.request, case.at
    grant = None
    if request.kind is RequestKind.GRANT:
        grant = await _start_grant(desk, work, request, now)
        if _is_emergency(request):
            await begin_emergency(desk, work, request, grant, login.person)
    elif request.kind in retention.KINDS:
        await retention.carry_out(desk, work, request, now, login.person)
    elif request.kind is RequestKind.STATEMENT:
        await refuse_dead_session(work, request, now)
    endings = Endings(work, by=login.person, reason="the last approval that was needed", at=now)
    return Approved(await endings.request(request, RequestState.APPROVED), tally, grant)


async def _start_grant(desk: Desk, work: UnitOfWork, request: Request, now: datetime) -> Grant:
    if request.duration is None:
        raise Misuse(f"the request {request.id} is for a grant and has no duration")
    contract = await contract_of(work, request.person, request.role, now)
    ends_at = now + request.duration
    if contract is not None:
        ends_at = min(ends_at, contract.end)
    # What keeps duties and roles apart was asked of this very moment with the approval that is the last.
    wish = Wish(request.person, request.resource, request.role, ends_at - now)
    await refuse_hopeless(desk, work, wish, now, emergency=_is_emergency(request))
    return await lend(work, request, now, ends_at, contract)


def _is_emergency(request: Request) -> bool:
    """Whether it deploys past a shut gate (``services.emergency_deployment``)."""
    return bool(request.content.get("emergency"))


async def lend(
    work: UnitOfWork, request: Request, now: datetime, ends_at: datetime, contract: Contract | None
) -> Grant:
    """The grant that ``request`` asked for, begun. Whoever calls has judged it."""
    grant = Grant(
        id=await _unused_grant_id(work),
        request=request.id,
        person=request.person,
        role=request.role,
        resource=request.resource,
        key=request.key,
        starts_at=now,
        ends_at=ends_at,
        contract=contract.name if contract is not None else None,
    )
    await work.save(grant)
    work.record(
        GrantStarted(
            grant=grant.id,
            request=request.id,
            person=grant.person,
            role=grant.role,
            resource=grant.resource,
            key=grant.key,
            starts_at=grant.starts_at,
            ends_at=grant.ends_at,
            contract=grant.contract,
        )
    )
    return grant


async def _unused_grant_id(work: UnitOfWork) -> str:
    while await work.grant(grant_id := new_id("g")) is not None:
        continue
    return grant_id
