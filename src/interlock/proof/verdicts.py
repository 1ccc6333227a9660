"""Claims and what is said of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from interlock.proof.model import Goal, Model
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


def assumptions_of(model: Model) -> tuple[str, ...]:
    """What verdicts on ``model`` rest on, as sentences."""
    said = [_OUTSIDE[one.kind].format(", ".join(one.names)) for one in model.outsiders if one.kind in _OUTSIDE]
    brought = [one.contract for one in model.invitations]
    more = (_BROUGHT_IN.format(", ".join(brought)),) if brought else ()
    return (*ASSUMPTIONS, *(_TAKEN_OVER.format(one) for one in model.takeovers), *more, *said)


_TAKEN_OVER = (
    "{0.count} employees of {0.group} can come in as anybody else by letting them in again (recovery): that is counted "
    "wherever persons or vendors are, and not where somebody's absence is."
)
_BROUGHT_IN = (
    "The sponsor and another employee could bring in a guest on the contracts {} and come in as that person "
    "(invitation), also when a contractor who is known here has not come in yet: that is counted wherever persons or "
    "vendors are, and not where somebody's absence is."
)
_OUTSIDE = {
    "provider": "Whoever administers the identity provider {} signs in only those who are there themselves.",
    "directory": "Whoever administers the company's directory (SCIM) lets into {} only those who belong there.",
    "forge": "Whoever administers the forge {} says truly who pushed and who approved there.",
    "workload": "Only its owner, or those whom the owner answers for, can change what runs as the workload {}.",
    "newcomer": "No state was asked: everybody of the contracts {} is taken to have come in already.",
    "vault": "Whoever administers the vault {} uses no key and no credential of it.",
    "unfenced": (
        "What the roles {} write is `write`, however many rows it changes or deletes, and no `destroy`: they have no "
        "fence, and no hold on it. Whoever is lent one writes alone."
    ),
    "sponsor": (
        "Who sponsors {} goes on doing so: that an administrator offboards a sponsor, and another employee takes the "
        "contract and says yes in their place, is not counted. Two persons it takes in any case."
    ),
    "contract": (
        "Who sponsors a contract does so as long as it is asked about. Nobody who is still here sponsors {}: any "
        "employee is taken to."
    ),
}
"""Of outsiders by their kind."""
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
        "Whoever can change the control plane's machine, its database or the interlock.yaml it is started with, makes "
        "enrolment codes or lets gateways in there, or has a resource's own credential, is outside of this model."
    ),
    (
        "A yes to a held statement, or to a change of the policy, counts for that text alone: what was said already is "
        "not counted."
    ),
    "An action is what the classification of statements says it is.",
)
