"""Joins the rulings on the needs of one statement into one decision with its obligations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from interlock.domain.actions import Action, Need
from interlock.domain.decisions import Fence, Mask, Obligation, RowLimit
from interlock.policy.annotations import MASKED, READING
from interlock.policy.ask_cedar import Ruling
from interlock.policy.cedar_policy import Policy


@dataclass(slots=True)
class Terms:
    """The terms of all policies that permitted, the strictest of each kind."""

    fence: int | None = None
    limit: int | None = None
    mfa: timedelta | None = None
    masks: dict[str, None] = field(default_factory=dict)
    held: dict[Need, None] = field(default_factory=dict)
    holding_roles: set[str] = field(default_factory=set)

    def add(self, need: Need, policy: Policy, roles: frozenset[str]) -> None:
        terms = policy.terms
        self.mfa = _least(self.mfa, terms.mfa)
        if need.action is Action.WRITE:
            self.fence = _least(self.fence, terms.fence)
        if need.action in READING:
            self.limit = _least(self.limit, terms.limit)
        if need.action in MASKED:
            self.masks.update(dict.fromkeys(terms.mask))
        if need.action in terms.hold:
            self.held[need] = None
            self.holding_roles |= policy.roles & roles

    @property
    def obligations(self) -> tuple[Obligation, ...]:
        """What the protocol has to keep.

        Presence is not among them: whoever decides has looked at it. Nor is a fence on a held statement: the person
        who approves it sees how many rows it would touch, and says yes to those.
        """
        found: list[Obligation] = []
        if self.fence is not None and not self.held:
            found.append(Fence(self.fence))
        if self.limit is not None:
            found.append(RowLimit(self.limit))
        if self.masks:
            found.append(Mask(tuple(sorted(self.masks))))
        return tuple(found)


def join_terms(answers: Sequence[tuple[Need, Ruling]], policies: Mapping[str, Policy], roles: frozenset[str]) -> Terms:
    """The joined terms of rulings that all permit."""
    terms = Terms()
    for need, ruling in answers:
        for name in ruling.policies:
            terms.add(need, policies[name], roles)
    return terms


_Bound = TypeVar("_Bound", int, timedelta)


def _least(one: _Bound | None, other: _Bound | None) -> _Bound | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
