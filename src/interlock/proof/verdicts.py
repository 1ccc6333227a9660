"""Claims and what is said of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from interlock.proof.model import Goal
from interlock.proof.steps import Step


class Counted(StrEnum):
    PERSONS = "persons"
    VENDORS = "vendors"
    ABSENCES = "absences"


class Outcome(StrEnum):
    PROVEN = "proven"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Claim:
    """``least`` persons or vendors are needed for ``goal``; or its chain can be done with ``least`` persons away."""

    goal: Goal
    counted: Counted
    least: int


@dataclass(frozen=True, slots=True)
class Cut:
    """These; or, with ``but``, everybody who is there but these."""

    names: tuple[str, ...]
    but: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """``least``: so many are needed at least, ``most``: so many suffice, None when that was not looked for or there
    are none. For absences: so many stop the chain at least, at most. ``exact``: both are the same.

    ``team`` and ``steps`` are a smallest team that can, and how. ``cuts``: every team that can has one of each; none
    where it is enough to count who has to ask and to say yes. ``never``: not even all together can. ``vendors``: so
    many vendors at least must have a part, where persons are counted.
    """

    claim: Claim
    outcome: Outcome
    least: int
    exact: bool
    never: bool = False
    team: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    cuts: tuple[Cut, ...] = ()
    most: int | None = None
    vendors: int | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """``assumptions`` are what the verdicts rest on, as sentences. ``bottlenecks``: a chain and who alone stops it."""

    verdicts: tuple[Verdict, ...]
    assumptions: tuple[str, ...]
    bottlenecks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every claim is proven; no claim at all holds nothing."""
        return bool(self.verdicts) and all(v.outcome is Outcome.PROVEN for v in self.verdicts)


ASSUMPTIONS = (
    (
        "Every identity, account and agent counts as the person it is linked to in the state; persons who share an "
        "account, or who have one that is linked to nobody, are not seen."
    ),
    "Persons outside the team say yes to nothing any more; what they have said yes to already counts.",
    (
        "Contracts that have not started yet, grants and requests that wait count as if they were here now; conflicts "
        "of roles, windows and proofs of presence are taken as no obstacle."
    ),
    (
        "Whoever can change the control plane's machine, its database or the interlock.yaml it is started with, or has "
        "a resource's own credential, is outside of this model."
    ),
    "An action is what the classification of statements says it is.",
)
