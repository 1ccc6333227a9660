"""A counterexample as what people would type, one line a step."""

import shlex
from collections.abc import Iterable

from interlock.proof.model import OURS, THE_POLICY
from interlock.proof.steps import Step, What


def tell(steps: Iterable[Step]) -> list[str]:
    """``person: command`` for each step, in an order that works. What differs with each request stands in capitals."""
    return [f"{step.person}: {_command(step)}" for step in steps]


def _command(step: Step) -> str:
    subject, _, resource = step.target.partition(" on ")
    on = shlex.quote(resource)
    match step.what:
        case What.ASK if subject == THE_POLICY:
            what = (
                "a change of it"
                if resource == OURS
                else f"one that lends {step.for_whom or 'them'} a role on {resource}"
            )
            return f"interlock policy propose FILE --reason REASON    # {what}"
        case What.ASK | What.BREAK_GLASS:
            asked = f"interlock request {on} --role {shlex.quote(subject)} --for {step.length or '1h'} --reason REASON"
            return asked if step.what is What.ASK else f"{asked} --break-glass"
        case What.ASK_CHANGED:
            return f"interlock request {shlex.quote(step.target)} --role ROLE --for 1h --reason REASON"
        case What.APPROVE:
            return f"interlock approve REQUEST    # {step.for_whom}: {step.target}"
        case What.APPROVE_STATEMENT:
            return f"interlock approve REQUEST    # the held statement of {step.for_whom}: {step.target}"
        case What.ACTIVATE:
            return "interlock policy activate REQUEST"
        case What.RUN:
            return f"interlock connect {on}    # and there: {subject}"
        case What.DUTY:
            duty, _, chain = step.target.partition(" of ")
            which = f"{shlex.quote(chain)} {shlex.quote(duty)} --artifact ARTIFACT"
            return f"interlock duty take {which} && interlock duty done {which} --content CONTENT"
        case What.HELP:
            return f"interlock recover {shlex.quote(step.target)} --reason REASON"
        case What.COME_IN:
            return f"interlock login --person {shlex.quote(step.target)} --code HALF+HALF    # from now on as them"
        case What.INVITE:
            return f"interlock contract invite {on} {shlex.quote(subject)}    # brings them in; prints LINK"
        case What.ARRIVE:
            return f"interlock arrive LINK    # as {subject}, on a machine of their own: shows WORDS"
        case What.ADMIT:
            return f"interlock contract admit INVITATION --words WORDS    # {step.target}"
        case What.STAY:
            return f"interlock arrive LINK    # there again: from now on as {subject}"
        case What.JOIN:
            return f"adds {step.for_whom} to {step.target}"
