"""The versions of the policy, the text of the active one, and of one that is proposed.

Holds to:

* administrators read every version
* employees read the active policy: it says how their own requests are decided
* a proposal is read by whoever may see its request; who may not learns nothing, not even that it is there
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from interlock.domain.grants import RequestState
from interlock.domain.proposals import Proposal
from interlock.domain.snapshot import PolicyText
from interlock.errors import Failure, NotFound, Refusal
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.propose_policy import acts_alone
from interlock.services.reading_rights import check_may_read_policy, check_may_read_request
from interlock.services.requests import locate, not_found_request


class Activates(Enum):
    """Whether somebody may put a change into effect: after its approvals, or as the first administrator alone."""

    NO = "no"
    APPROVED = "approved"
    ALONE = "alone"


@dataclass(frozen=True, slots=True)
class ProposalView:
    """``active`` is the policy of now; ``current`` says whether the proposal is a change of that very one."""

    proposal: Proposal
    active: PolicyText
    current: bool


async def read_active(desk: Desk, *, person: str) -> PolicyText:
    """Raises Refusal (``not-yours``)."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        policy = await reading.policy()
    if not reader.is_employee:
        raise Refusal("not-yours", f"{person} may not read the policy.", "Ask your sponsor what it says.")
    if policy is None:
        raise Failure("No policy is active yet.", "Start the control plane with an interlock.yaml.")
    return policy


async def read_proposal(desk: Desk, *, person: str, request_id: str) -> ProposalView:
    """Raises NotFound."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        await desk.check_policy(reading)
        await check_may_read_request(desk, reading, reader, await locate(reading, request_id))
        proposal, active = await reading.proposal(request_id), await reading.policy()
    if proposal is None or active is None:
        raise not_found_request(request_id)
    return ProposalView(proposal, active, proposal.base == active.digest)


async def may_activate(desk: Desk, *, person: str, request_id: str) -> Activates:
    """Whether ``activate_policy`` could be for this person now; it decides anew."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        request = await locate(reading, request_id)
        proposal, active = await reading.proposal(request_id), await reading.policy()
        if proposal is None or active is None or proposal.base != active.digest:
            return Activates.NO
        if request.state is RequestState.OPEN:
            alone = request.person == person and await acts_alone(reading, reader)
            return Activates.ALONE if alone else Activates.NO
        if request.state is not RequestState.APPROVED or desk.clock.now() >= request.expires_at:
            return Activates.NO
        yeses = {approval.person for approval in await reading.approvals(request_id)}
        known = person in {request.person, *yeses} or is_administrator(reader)
        return Activates.APPROVED if known else Activates.NO


@dataclass(frozen=True, slots=True)
class History:
    """A version, the one before it where there is one, and which versions there are: numbers and digests.

    ``active`` is the number of the one that is in effect, ``following`` where the list goes on, or 0.
    """

    shown: PolicyText
    before: PolicyText | None
    active: int
    versions: Sequence[tuple[int, str]]
    following: int


_LAST = 2**31
_VERSIONS = 50


async def read_history(desk: Desk, *, person: str, version: int = 0, before: int = 0) -> History:
    """``version``: 0 for the active one; ``before``: where the list begins. Raises Refusal or NotFound."""
    async with desk.state.reading() as reading:
        check_may_read_policy(await acting_person(reading, person))
        active = await reading.policy()
        found = await reading.policies(upto=version or _LAST, limit=2)
        versions = await reading.policy_versions(before=before or _LAST, limit=_VERSIONS + 1)
    if active is None or not found or (version and found[0].version != version):
        raise NotFound("There is no such version of the policy.", "See the page Policy.")
    older = found[1] if len(found) > 1 else None
    following = versions[_VERSIONS - 1][0] if len(versions) > _VERSIONS else 0
    return History(found[0], older, active.version, versions[:_VERSIONS], following)
