"""Verdicts for tests: who may what, as callables over statements."""

from collections.abc import Callable

from interlock.domain.actions import Action
from interlock.domain.decisions import Fence
from interlock.ports.protocol import Held, Proceed, Refused, Verdict
from interlock.ports.statement import Effect, Statement

SENTENCE = "You may not do that on orders. Ask: interlock request orders --role writer"


def refusing(*words: str) -> Callable[[Statement], Verdict]:
    """Refuses texts that hold one of ``words``."""

    def rule(statement: Statement) -> Verdict:
        return Refused(SENTENCE) if any(word in statement.text for word in words) else Proceed()

    return rule


def fencing(rows: int) -> Callable[[Statement], Verdict]:
    """Everything may run; what changes something keeps to a fence."""

    def rule(statement: Statement) -> Verdict:
        return Proceed() if statement.effect is Effect.NEVER else Proceed((Fence(rows),))

    return rule


def holding(*actions: Action) -> Callable[[Statement], Verdict]:
    """Holds what needs one of ``actions``, and has it measured."""

    def rule(statement: Statement) -> Verdict:
        held = any(need.action in actions for need in statement.needs)
        return Held(measure=True, lock_wait_s=0.5, measure_s=5) if held else Proceed()

    return rule
