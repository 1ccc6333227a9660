"""Roles: named sets of actions on sets of resources, with the conditions under which they are lent."""

from dataclasses import dataclass, field
from datetime import timedelta

from interlock.domain.actions import Action
from interlock.domain.resources import Selector


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """``count`` persons out of those described; all that is given must hold for each of them.

    ``sponsor`` means the sponsor of the contract under which the requester works.
    ``same_vendor`` lifts, for this rule alone, the ban on approvers from the requester's own vendor.
    ``any_of`` describes alternatives: who meets one of them (apart from its count) meets the rule.
    """

    count: int
    group: str | None = None
    sponsor: bool = False
    people: frozenset[str] = field(default_factory=frozenset)
    same_vendor: bool = False
    any_of: tuple["ApprovalRule", ...] = ()

    def __str__(self) -> str:
        noun = "person" if self.count == 1 else "persons"
        return f"{self.count} {noun} {self.who}".rstrip()

    @property
    def who(self) -> str:
        """Whom the rule describes: 'of the group dba', 'who sponsors the contract or among …'."""
        who = []
        if self.group is not None:
            who.append(f"of the group {self.group}")
        if self.sponsor:
            who.append("who sponsors the contract")
        if self.people:
            who.append("among " + ", ".join(sorted(self.people)))
        if self.any_of:
            who.append(" or ".join(dict.fromkeys(rule.who for rule in self.any_of)))
        return " and ".join(who)


@dataclass(frozen=True, slots=True)
class Lending:
    """The conditions of a role: the longest window, who must approve (all rules, AND), whether MFA is asked."""

    longest: timedelta
    approvals: tuple[ApprovalRule, ...]
    mfa: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Actions that run only when another person approves the very statement.

    ``approvals`` empty means: one person who could approve the role itself.
    """

    actions: frozenset[Action]
    approvals: tuple[ApprovalRule, ...] = ()


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """In an emergency the role is taken at once: by whom ``by`` describes, for ``longest`` at most.

    Whom ``tell`` describes is told, and the two persons of ``review`` must look at what was done. It replaces the
    approvals of the lending and nothing else: holds, fences and separations stay.
    """

    longest: timedelta
    by: ApprovalRule
    tell: ApprovalRule
    review: ApprovalRule


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of actions on a set of resources. ``fence_rows`` bounds what one write may touch; ``masks`` are
    columns (``schema.table.column``, ``*`` for any part) whose values are not shown."""

    name: str
    on: Selector
    allow: frozenset[Action]
    lending: Lending
    hold: Hold | None = None
    fence_rows: int | None = None
    break_glass: BreakGlass | None = None
    masks: tuple[str, ...] = ()
