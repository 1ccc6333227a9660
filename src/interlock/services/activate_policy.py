"""A change of the policy that was approved takes effect.

Holds to:

* the policy that it was a change of is still the active one: on another base its approvals say nothing
* every approver is judged again as they are now, and so is the proposer; approved and not activated in time is worth
  nothing, and exactly one activation wins
* it is proved again on the state as it is now, and what was proved is what takes effect: when the state moved between
  the two, it is proved anew
* the first administrator activates alone until a second person has ever signed in, with a fresh proof of presence; the
  ledger says so
* the policy, the people and contracts that it names, and everything that ends by it are one unit of work
"""

from dataclasses import dataclass

from interlock.domain.approving import Yes
from interlock.domain.grants import Login, Request, RequestKind, RequestState
from interlock.domain.people import Person
from interlock.domain.proposals import Proposal
from interlock.errors import Failure, Refusal
from interlock.policy.configuration import Configuration
from interlock.ports.state import Reading, UnitOfWork
from interlock.proof.certificate import digest_of
from interlock.services.apply_configuration import Activation, Applied, put_into_effect
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.endings import Endings
from interlock.services.judging import open_case
from interlock.services.logins import active_login, check_presence
from interlock.services.policy_change import judge_change, read_change, refuse_broken
from interlock.services.proof_model import build_model
from interlock.services.propose_policy import acts_alone
from interlock.services.prove_state import read_live
from interlock.services.requests import locate

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Activated:
    """The request, used, and what came of it."""

    request: Request
    applied: Applied


class _MovedError(Exception):
    """The state is no longer what was proved."""


async def activate_policy(desk: Desk, *, login_id: str, request_id: str) -> Activated:
    """Raises Refusal (``not-approved``, ``base-changed``, ``approval-void``, ``breaks-claim`` …) or NotFound."""
    async with desk.state.reading() as reading:
        login = await active_login(reading, login_id, desk.clock.now())
        await desk.check_policy(reading)
        proposal = await _proposal(reading, await locate(reading, request_id))
        _refuse_base(desk, proposal)
    new = read_change(desk, proposal.yaml, dict(proposal.cedar))
    if new.digest != proposal.digest:
        raise Failure(f"The text of {request_id} is not what its digest says.", "Type: interlock ledger verify")
    for _ in range(_TRIES):
        judged = await judge_change(desk, new)
        refuse_broken(judged)
        try:
            activated = await _activate(desk, login, request_id, new, judged.model_sha256)
        except _MovedError:
            continue
        desk.adopt(activated.applied.policy)
        return activated
    raise Failure("The state keeps changing while the policy is proved.", "Try again.")


async def _activate(desk: Desk, login: Login, request_id: str, new: Configuration, model_sha256: str) -> Activated:
    async with desk.deciding(login.person) as work:
        now = desk.clock.now()
        login = await active_login(work, login.id, now)
        person = await acting_person(work, login.person)
        request = await locate(work, request_id)
        _refuse_base(desk, await _proposal(work, request))
        alone = await _may_activate(desk, work, request, person, login)
        endings = Endings(work, by=person.name, reason="the policy was activated", at=now)
        if alone:
            endings = endings.because("the first administrator, before anybody else has signed in")
            request = await endings.request(request, RequestState.APPROVED)
        request = await endings.request(request, RequestState.USED)
        applied = await put_into_effect(work, new, now, Activation(person.name, request.id, alone))
        if digest_of(build_model(await read_live(desk, work, new))) != model_sha256:
            raise _MovedError
    return Activated(request, applied)


async def _may_activate(desk: Desk, work: UnitOfWork, request: Request, person: Person, login: Login) -> bool:
    """Whether it is the first administrator alone; refused when nobody, or not this person, may."""
    now = desk.clock.now()
    if request.state not in (RequestState.OPEN, RequestState.APPROVED):
        raise Refusal("not-approved", f"{request.id} is {request.state.value}.", "Propose the change again.")
    if now >= request.expires_at:
        raise Refusal("expired", f"{request.id} was not activated in time.", "Propose the change again.")
    case = await open_case(desk, work, request, now)
    approvals = await work.approvals(request.id)
    if request.state is RequestState.OPEN:
        if request.person == person.name and await acts_alone(work, person):
            check_presence(login, now, desk.configuration.timing.presence)
            return True
        said = {approval.person for approval in approvals}
        others = ", ".join(name for name in case.judges() if name not in said) or "nobody now"
        raise Refusal(
            "not-approved",
            f"{request.id} is not approved yet.",
            f"Who may: {others}. They type: interlock approve {request.id}",
        )
    if not case.people[request.person].active:
        raise Refusal("person-ended", f"{request.person}, who proposed it, has left.", "Propose the change again.")
    if not case.tally(approvals).complete:
        raise Refusal("approval-void", f"An approver of {request.id} may no longer approve it.", "Propose it again.")
    known = {request.person, *(approval.person for approval in approvals)}
    if person.name not in known and not is_administrator(person) and not isinstance(case.may_approve(person), Yes):
        raise Refusal("not-yours", f"{person.name} has no part in {request.id}.", f"Ask {request.person}.")
    return False


async def _proposal(reading: Reading, request: Request) -> Proposal:
    proposal = await reading.proposal(request.id)
    if request.kind is not RequestKind.POLICY or proposal is None:
        raise Refusal("not-a-policy", f"{request.id} is no change of the policy.", "See `interlock requests`.")
    return proposal


def _refuse_base(desk: Desk, proposal: Proposal) -> None:
    if proposal.digest == desk.configuration.digest:
        raise Refusal("base-changed", f"{proposal.request} is the active policy.", "See it: interlock policy show")
    if proposal.base != desk.configuration.digest:
        raise Refusal(
            "base-changed",
            f"Another policy was activated since {proposal.request} was proposed.",
            "Look at the active one, and propose the change again.",
        )
