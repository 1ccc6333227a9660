"""A person proposes a change of the policy.

Holds to:

* any employee proposes, in an active login; contractors, agents and unlinked identities do not
* the whole of the new text is kept, and the digest of the policy that it changes; the request's digest, to which every
  approval is bound, covers both, and the changes in sentences
* it is proved at once: a change that would break a claim is refused, with the claim and who could do what
* who approves is what the active policy says of its own change, now and when it was opened; it is refused at once when
  nobody could, but for the first administrator before anybody else has ever signed in, who acts alone
"""

from collections.abc import Mapping

from interlock.domain.approving import Ask
from interlock.domain.codec import to_plain
from interlock.domain.grants import Login, Request, RequestKind, RequestState
from interlock.domain.guard_events import PolicyProposed
from interlock.domain.people import Person
from interlock.domain.proposals import Proposal
from interlock.domain.requesting import explain_shortage
from interlock.errors import Refusal
from interlock.policy.configuration import Configuration
from interlock.policy.diff import describe_changes
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.judging import rules_for_policy
from interlock.services.logins import active_login
from interlock.services.open_request import OPEN_AT_MOST, unused_request_id
from interlock.services.policy_change import Judged, judge_change, read_change, refuse_broken
from interlock.services.requests import check_reason, digest_of, opened

OURS = "interlock"
"""The resource of a change of the policy: Interlock itself."""
_MOST_SENTENCES = 500


async def propose_policy(desk: Desk, *, login_id: str, yaml: str, cedar: Mapping[str, str], reason: str) -> Request:
    """The open request. Raises Refusal (``bad-policy``, ``no-change``, ``breaks-claim``, ``nobody-to-approve`` …)."""
    reason = check_reason(reason)
    async with desk.state.reading() as reading:
        login = await active_login(reading, login_id, desk.clock.now())
        await _proposer(reading, login)
        await desk.check_policy(reading)
        base = desk.configuration
    new = read_change(desk, yaml, dict(cedar))
    if new.digest == base.digest:
        raise Refusal("no-change", "This is the active policy.", "See it with `interlock policy show`.")
    judged = await judge_change(desk, new)
    refuse_broken(judged)
    async with desk.deciding(login.person) as work:
        login = await active_login(work, login_id, desk.clock.now())
        person = await _proposer(work, login)
        if desk.configuration.digest != base.digest:
            raise Refusal("base-changed", "Another policy was activated meanwhile.", "Look at it, and propose again.")
        request = await _compose(desk, work, login, person, new, judged, reason)
        await work.save(request)
        await work.save(Proposal(request.id, base.digest, new.digest, yaml, dict(cedar)))
        _record(work, request, base.digest, new.digest, judged)
    return request


def _record(work: UnitOfWork, request: Request, base: str, digest: str, judged: Judged) -> None:
    work.record(opened(request))
    work.record(
        PolicyProposed(
            request=request.id, person=request.person, base=base, digest=digest, model_sha256=judged.model_sha256
        )
    )


async def acts_alone(reading: Reading, person: Person) -> bool:
    """Whether this is the first administrator, before anybody else has ever signed in."""
    return is_administrator(person) and list(await reading.signed_in(limit=2)) == [person.name]


async def _proposer(reading: Reading, login: Login) -> Person:
    person = await acting_person(reading, login.person)
    if not person.is_employee:
        raise Refusal("not-employee", f"{person.name} comes from {person.vendor}: employees propose.", "Ask one.")
    return person


async def _compose(
    desk: Desk,
    work: UnitOfWork,
    login: Login,
    person: Person,
    new: Configuration,
    judged: Judged,
    reason: str,
) -> Request:
    now, old = desk.clock.now(), desk.configuration
    people, contracts = await work.people(), await work.contracts()
    rules = rules_for_policy(old, people)
    alone = await acts_alone(work, person)
    shortage = explain_shortage(Ask(person, frozenset()), rules, people, contracts, now)
    if shortage is not None and not alone:
        raise Refusal(
            "nobody-to-approve",
            f"Nobody could approve a change of the policy that {person.name} proposes.",
            "Another employee among the administrators, or whom policy.approvals names, has to propose it.",
        )
    await _refuse_crowd(desk, work, person, new)
    changes = describe_changes(old, new)
    content: dict[str, object] = {
        "person": person.name,
        "base": old.digest,
        "policy": new.digest,
        "changes": [*changes[:_MOST_SENTENCES]],
        "more_changes": max(0, len(changes) - _MOST_SENTENCES),
        "proved": {"claims": judged.claims, "model_sha256": judged.model_sha256},
        "reason": reason,
        "key": login.key,
        "rules": to_plain(rules),
    }
    return Request(
        id=await unused_request_id(work),
        kind=RequestKind.POLICY,
        person=person.name,
        resource=OURS,
        role="policy",
        content=content,
        digest=digest_of(content),
        rules=rules,
        reason=reason,
        key=login.key,
        opened_at=now,
        expires_at=now + old.timing.request,
    )


async def _refuse_crowd(desk: Desk, work: UnitOfWork, person: Person, new: Configuration) -> None:
    mine = await work.requests(state=RequestState.OPEN, person=person.name, limit=1000)
    waiting = [request for request in mine if request.kind is RequestKind.POLICY]
    for request in waiting:
        if request.content.get("policy") == new.digest and desk.clock.now() < request.expires_at:
            raise Refusal(
                "already-open",
                f"You have proposed exactly this already: {request.id}.",
                f"Type `interlock show {request.id}`, or `interlock withdraw {request.id}`.",
            )
    if len(waiting) >= OPEN_AT_MOST:
        raise Refusal("too-many", f"You have {len(waiting)} open proposals.", "Withdraw what you no longer need.")
