"""A counterexample as what people would type, one line a step."""

import shlex
from collections.abc import Iterable

from interlock.proof.steps import Step

THE_POLICY = "a changed policy"
"""Stands for the role that whoever may change the policy can give themselves."""


def tell(steps: Iterable[Step]) -> list[str]:
    """``person: command`` for each step, in an order that works. What differs with each request stands in capitals."""
    return [f"{step.person}: {_command(step)}" for step in steps]


def _command(step: Step) -> str:
    if step.what == "ask":
        role, _, resource = step.target.partition(" on ")
        if role == THE_POLICY:
            return "interlock policy propose FILE --reason REASON    # one that lets them; then: policy activate"
        return f"interlock request {shlex.quote(resource)} --role {shlex.quote(role)} --for 1h --reason REASON"
    if step.what == "approve":
        return f"interlock approve REQUEST    # {step.for_whom}: {step.target}"
    if step.what == "approve-statement":
        return f"interlock approve REQUEST    # the held statement of {step.for_whom}: {step.target}"
    if step.what == "run":
        action, _, resource = step.target.partition(" on ")
        if resource == "the policy":
            return "interlock policy activate REQUEST"
        return f"interlock connect {shlex.quote(resource)}    # and there: {action}"
    if step.what == "duty":
        duty, _, chain = step.target.partition(" of ")
        return f"interlock duty take {shlex.quote(chain)} {shlex.quote(duty)} --artifact ARTIFACT"
    return f"adds {step.for_whom} to {step.target}"
