"""The steps of a counterexample: who does what, in an order that works."""

from dataclasses import dataclass
from enum import StrEnum


class What(StrEnum):
    """Each kind of step; every one that a configuration can lead to is played in the running program by
    ``tests/app/test_counterexamples.py``."""

    ASK = "ask"
    APPROVE = "approve"
    BREAK_GLASS = "break-glass"
    RUN = "run"
    APPROVE_STATEMENT = "approve-statement"
    DUTY = "duty"
    ACTIVATE = "activate"
    """A change of the policy; after it comes ``ask-changed``."""
    ASK_CHANGED = "ask-changed"
    HELP = "help"
    """One half of letting somebody in again; with two of them comes ``come-in``."""
    COME_IN = "come-in"
    INVITE = "invite"
    """Then ``arrive``, ``admit`` and ``stay``, where two bring in a guest."""
    ARRIVE = "arrive"
    ADMIT = "admit"
    STAY = "stay"
    JOIN = "join"
    """A right to administer a group: a model can say it, a configuration cannot."""


@dataclass(frozen=True, slots=True)
class Step:
    """``person`` does ``what`` to ``target``, for ``for_whom`` when that is another, for the time ``length``."""

    person: str
    what: What
    target: str
    for_whom: str = ""
    length: str = ""
