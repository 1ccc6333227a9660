"""Whether a changed policy may take effect: what would be so with it, and whether every claim that holds still would.

Holds to:

* what is proved is the state as it would be: the change is put into effect in a unit of work that is never committed
* claimed is what the new policy claims, and what the active one does of itself, and of the chains and resources that
  stay. So nobody breaks a claim and lowers it in one act: it is lowered first, for everybody to see, and then broken
* a claim that was not true before is not broken by the change, unless fewer could with it than before; one that is new,
  or was true, must be proven. A search that was given up proves nothing
* what is lent at this moment makes no room: a claim that is untrue for it alone is looked at as if nothing was lent
* a policy that nobody could change any more is refused too
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace

from interlock.domain.approving import Ask, count_approvals
from interlock.domain.snapshot import PolicyText
from interlock.errors import ConfigurationError, Failure, Refusal
from interlock.policy.configuration import Configuration
from interlock.policy.load import digest_of
from interlock.proof.certificate import digest_of as digest_of_model
from interlock.proof.model import OURS, Goal
from interlock.proof.prove import prove
from interlock.proof.story import tell
from interlock.proof.verdicts import Claim, Counted, Outcome, Verdict
from interlock.services.apply_configuration import AT_START, put_into_effect
from interlock.services.desk import SYSTEM, Desk
from interlock.services.judging import rules_for_policy
from interlock.services.proof_model import LiveState, build_model, claims_of
from interlock.services.prove_state import TURN, read_live

_SHOWN_MISTAKES = 20


@dataclass(frozen=True, slots=True)
class Judged:
    """``broken`` are the verdicts on claims that the change would break, ``claims`` how many were looked at."""

    model_sha256: str
    claims: int
    broken: tuple[Verdict, ...]


def read_change(desk: Desk, yaml: str, cedar: dict[str, str]) -> Configuration:
    """The policy that is proposed. Raises Refusal (``bad-policy``) with its mistakes."""
    if desk.read_policy is None:
        raise Failure("This control plane cannot read another policy.", "Start it with `interlock up`.")
    try:
        return desk.read_policy(PolicyText(0, digest_of(yaml, cedar), yaml, cedar))
    except ConfigurationError as error:
        shown = error.mistakes[:_SHOWN_MISTAKES]
        more = f"\n… and {len(error.mistakes) - len(shown)} more" if len(error.mistakes) > len(shown) else ""
        raise Refusal(
            "bad-policy",
            "This policy has mistakes:\n" + "\n".join(shown) + more,
            "Mend them; `interlock policy check FILE` says the same.",
        ) from error


class _RehearsedError(Exception):
    """What was to be seen has been seen: nothing of it is kept."""


async def rehearse(desk: Desk, configuration: Configuration) -> LiveState:
    """The state as it would be with ``configuration`` in effect."""
    seen: list[LiveState] = []

    async def look() -> None:
        async with desk.ending(SYSTEM) as work:
            await put_into_effect(work, configuration, desk.clock.now(), AT_START)
            seen.append(await read_live(desk, work, configuration))
            raise _RehearsedError

    with suppress(_RehearsedError):
        await look()
    return seen[0]


async def judge_change(desk: Desk, configuration: Configuration) -> Judged:
    """What ``configuration`` would break. Raises Refusal (``locks-itself``)."""
    async with desk.state.reading() as reading:
        await desk.check_policy(reading)
        before = await read_live(desk, reading)
    after = await rehearse(desk, configuration)
    _refuse_lock(after)
    async with TURN:
        return await asyncio.to_thread(_judge, before, after)


def _refuse_lock(after: LiveState) -> None:
    people = [person for person in after.people if person.active]
    rules = rules_for_policy(after.configuration, people)
    running = [contract for contract in after.contracts if contract.running(after.at)]
    for person in people:
        others = [other for other in people if other.name != person.name]
        if person.is_employee and count_approvals(Ask(person, frozenset()), rules, others, running, after.at).complete:
            return
    raise Refusal(
        "locks-itself",
        "With this policy nobody could ever change it again: no employee would find enough others to approve.",
        "Name enough people under policy.approvals, or a second employee among the administrators.",
    )


def _judge(before: LiveState, after: LiveState) -> Judged:
    old, new = claims_of(before.configuration), claims_of(after.configuration)
    stay = [claim for claim in old if _is_there(claim, after.configuration)]
    stay += _moved(old, before.configuration, after.configuration)
    claims = tuple(dict.fromkeys([*new, *stay]))
    model = build_model(after)
    unproven = [verdict for verdict in prove(model, claims).verdicts if verdict.outcome is not Outcome.PROVEN]
    was = _in_order({verdict.claim for verdict in unproven} & set(old))
    untrue = {v.claim: v for v in prove(build_model(before), was).verdicts if v.outcome is not Outcome.PROVEN}
    broken = [verdict for verdict in unproven if verdict.claim not in untrue or _worse(verdict, untrue[verdict.claim])]
    broken += _broken_beside(before, after, _in_order(set(untrue) - {verdict.claim for verdict in broken}))
    return Judged(digest_of_model(model), len(claims), tuple(broken))


def _moved(old: list[Claim], before: Configuration, after: Configuration) -> list[Claim]:
    """Of repositories that stay and are carried by another chain now: it keeps what was claimed of the one."""
    found: list[Claim] = []
    for name in sorted(before.repositories.keys() & after.repositories.keys()):
        was, is_ = before.repositories[name].chain, after.repositories[name].chain
        found += [replace(one, goal=Goal(chain=is_)) for one in old if was != is_ and one.goal.chain == was]
    return found


def _broken_beside(before: LiveState, after: LiveState, untrue: list[Claim]) -> list[Verdict]:
    """Of claims that are untrue as things are, those that the change breaks all the same: they would be true once what
    is lent now has ended, or more would be needed then than with the change."""
    if not untrue or not (before.grants or before.asked or after.grants or after.asked):
        return []
    was = prove(build_model(_with_nothing_lent(before)), untrue).verdicts
    is_ = prove(build_model(_with_nothing_lent(after)), untrue).verdicts
    return [new for old, new in zip(was, is_, strict=True) if _worse(new, old)]


def _with_nothing_lent(state: LiveState) -> LiveState:
    return replace(state, grants=(), asked=(), yeses=())


def _worse(new: Verdict, old: Verdict) -> bool:
    """Whether fewer can with the change, of persons, vendors or absences, or might."""
    if new.outcome is Outcome.PROVEN:
        return False
    least = old.claim.least + (old.claim.counted is Counted.ABSENCES) if old.outcome is Outcome.PROVEN else old.least
    return (new.least if new.most is None or new.outcome is Outcome.UNKNOWN else new.most) < least


def _in_order(claims: set[Claim]) -> list[Claim]:
    return sorted(claims, key=lambda claim: (str(claim.goal), claim.counted.value, claim.least))


def _is_there(claim: Claim, configuration: Configuration) -> bool:
    goal = claim.goal
    return goal.chain in configuration.chains if goal.chain else goal.resource in (OURS, *configuration.resources)


def refuse_broken(judged: Judged) -> None:
    """Raises Refusal (``breaks-claim``) with the claim and who could do it how."""
    if not judged.broken:
        return
    first, *rest = judged.broken
    steps = "".join(f"\n    {line}" for line in tell(first.steps))
    more = f"\nAnd {len(rest)} more: {'; '.join(says(v) for v in rest[:5])}." if rest else ""
    raise Refusal(
        "breaks-claim",
        f"It would break a claim: {says(first)}.{steps}{more}\nSo it cannot take effect.",
        "Change the policy so that the claim holds; `interlock prove --policy FILE` looks at a file.",
    )


def says(verdict: Verdict) -> str:
    """What is claimed and what would be so, as a clause."""
    claim, team = verdict.claim, ", ".join(verdict.team)
    if claim.counted is Counted.ABSENCES:
        if verdict.never:
            return f"{claim.goal} could not be done at all"
        return f"{claim.goal} is to survive {claim.least} absences, and without {team or 'a few'} it could not be done"
    unit = claim.counted.value
    if verdict.outcome is Outcome.UNKNOWN:
        return f"{claim.goal} takes {claim.least} {unit}, and whether it still would was not found out"
    return f"{claim.goal} takes {claim.least} {unit}, and {team} could"
