"""What a changed policy would come to, as the prover sees it: who could do what that they cannot now, and how many it
would take.

Holds to:

* a proposal is looked at by whoever may read its request; a text that is not proposed yet by any employee, who could
  propose it and be told the same
* both sides are the prover's models of the state as it is: under the active policy, and with the changed one in effect.
  Who may come to an action with the yeses that its rules ask for counts as who could
* nothing is changed; what was not looked at in time is said to be missing
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from interlock.domain.actions import Action
from interlock.domain.people import Person
from interlock.errors import NotFound, Refusal
from interlock.policy.configuration import Configuration
from interlock.policy.diff import describe_changes
from interlock.ports.state import Reading
from interlock.proof.index import Team
from interlock.proof.model import THE_POLICY, Goal
from interlock.proof.prove import prove
from interlock.proof.reach import Reach
from interlock.proof.verdicts import Claim, Counted, Verdict
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.policy_change import judge_change, read_change, refuse_broken, rehearse
from interlock.services.proof_model import LiveState, build_model, claims_of
from interlock.services.prove_state import read_live
from interlock.services.reading_rights import check_may_read_request
from interlock.services.requests import locate, not_found_request
from interlock.services.searching import search_within

WAITS_S = 8.0
_LOOKS_S = 5.0
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Difference:
    """``word``: ``more``, ``fewer`` (persons who could), ``easier``, ``harder`` or ``other`` (how many it takes)."""

    word: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ChangeEffect:
    """``complete``: everything was looked at in time. ``refusal``: why it could not take effect at all."""

    differences: tuple[Difference, ...]
    complete: bool
    changes: tuple[str, ...] = ()
    refusal: Refusal | None = None


async def effect_of_proposal(desk: Desk, *, reader: str, request_id: str) -> ChangeEffect:
    """Raises NotFound for a request that is no change of the policy, or that the reader may not see."""
    async with desk.state.reading() as reading:
        who = await acting_person(reading, reader)
        await desk.check_policy(reading)
        await check_may_read_request(desk, reading, who, await locate(reading, request_id))
        proposal = await reading.proposal(request_id)
    if proposal is None:
        raise not_found_request(request_id)
    if proposal.base != desk.configuration.digest:
        raise NotFound("Another policy was activated since this was proposed.", "Compare it with the active one.")
    return await _effect(desk, read_change(desk, proposal.yaml, dict(proposal.cedar)))


async def effect_of_text(desk: Desk, *, person: str, yaml: str, cedar: Mapping[str, str]) -> ChangeEffect:
    """What proposing this would show. Raises Refusal (``not-employee``, ``bad-policy``)."""
    async with desk.state.reading() as reading:
        await _employee(reading, person)
        await desk.check_policy(reading)
    new = read_change(desk, yaml, dict(cedar))
    changes = describe_changes(desk.configuration, new)
    try:
        refuse_broken(await judge_change(desk, new))
    except Refusal as refusal:
        return ChangeEffect((), complete=True, changes=changes, refusal=refusal)
    effect = await _effect(desk, new)
    return ChangeEffect(effect.differences, effect.complete, changes)


async def _employee(reading: Reading, person: str) -> Person:
    found = await acting_person(reading, person)
    if not found.is_employee:
        raise Refusal("not-employee", f"{person} comes from {found.vendor}: employees propose.", "Ask your sponsor.")
    return found


async def _effect(desk: Desk, new: Configuration) -> ChangeEffect:
    async with desk.state.reading() as reading:
        before = await read_live(desk, reading)
    after = await rehearse(desk, new)
    found = await search_within(WAITS_S, partial(compare_states, before, after))
    return ChangeEffect((), complete=False) if found is None else found


def compare_states(before: LiveState, after: LiveState) -> ChangeEffect:
    """Who could do what, and how many each claim takes, under the one and under the other."""
    until = time.monotonic() + _LOOKS_S
    looked_at = frozenset(Action)
    old, new = (Reach(build_model(state, looked_at=looked_at)) for state in (before, after))
    resources = sorted({*before.configuration.resources, *after.configuration.resources})
    found: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    complete = True
    for resource in resources:
        for action in Action:
            if time.monotonic() > until:
                complete = False
                break
            was, would = _could(old, resource, action), _could(new, resource, action)
            if was == would and old.index.names == new.index.names:
                continue
            named = set(old.members(was)), set(new.members(would))
            for word, names in (("more", named[1] - named[0]), ("fewer", named[0] - named[1])):
                if names:
                    found.setdefault((word, tuple(sorted(names)), resource), []).append(action.value)
    differences = _gathered(found)
    return ChangeEffect((*differences, *_counted(before, after)), complete)


def _could(reach: Reach, resource: str, action: Action) -> Team:
    """Who may come to ``action``, everybody else helping as the rules ask."""
    team: Team = 0
    for lead in reach.leads(Goal(action.value, resource)):
        team |= lead.way.held
        # Every employee has a way to everything by a change of the policy: it would say nothing here.
        if lead.way.role != THE_POLICY and lead.way.askers & ~team and reach.can(reach.everybody, [lead]):
            team |= lead.way.askers
    return team & reach.everybody


def _gathered(found: Mapping[tuple[str, tuple[str, ...], str], Sequence[str]]) -> list[Difference]:
    """One difference for all resources of which the same is to be said."""
    alike: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (word, names, resource), actions in found.items():
        alike.setdefault((word, names, tuple(actions)), []).append(resource)
    return [_told(word, names, resources, actions) for (word, names, actions), resources in alike.items()]


def _told(word: str, names: Sequence[str], resources: Sequence[str], actions: Sequence[str]) -> Difference:
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    where = ", ".join(resources[:_NAMED]) + (f" and {len(resources) - _NAMED} more" if len(resources) > _NAMED else "")
    what = f"{', '.join(actions)} on {where}"
    many = "One person" if len(names) == 1 else f"{len(names)} persons"
    if word == "more":
        more = "One more person" if len(names) == 1 else f"{len(names)} more persons"
        return Difference(word, f"{more} could come to {what}: {shown}.")
    return Difference(word, f"{many} could no longer come to {what}: {shown}.")


def _counted(before: LiveState, after: LiveState) -> Iterator[Difference]:
    """Claims whose number of persons is another one."""
    was = {verdict.claim: verdict for verdict in _verdicts(before)}
    for verdict in _verdicts(after):
        earlier = was.get(verdict.claim)
        if verdict.claim.counted is Counted.ABSENCES:
            continue
        now = _takes(verdict)
        if earlier is None:
            yield Difference("other", f"{_thing(verdict.claim)}, which is new, takes {now}.")
        elif now != (then := _takes(earlier)):
            word = "easier" if _least(verdict) < _least(earlier) else "harder"
            yield Difference(word, f"{_thing(verdict.claim)} would take {now}; now it takes {then}.")


def _verdicts(state: LiveState) -> Sequence[Verdict]:
    return prove(build_model(state), claims_of(state.configuration)).verdicts


def _least(verdict: Verdict) -> int:
    return 1 << 30 if verdict.never else verdict.least


def _takes(verdict: Verdict) -> str:
    if verdict.never:
        return "more than all together can"
    unit = "vendor" if verdict.claim.counted is Counted.VENDORS else "person"
    return f"{verdict.least} {unit}{'' if verdict.least == 1 else 's'}{'' if verdict.exact else ' at least'}"


def _thing(claim: Claim) -> str:
    return f"The chain {claim.goal.chain}" if claim.goal.chain else f"{claim.goal.action} on {claim.goal.resource}"
