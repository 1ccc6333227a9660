"""A verdict of the prover as a sentence."""

from interlock.proof.model import THE_POLICY
from interlock.proof.steps import Step
from interlock.proof.verdicts import Verdict
from interlock.web.console.records import counted


def step_told(step: Step) -> str:
    """What somebody would do, as the pages say it."""
    subject, _, resource = step.target.partition(" on ")
    if step.what == "ask" and subject == THE_POLICY:
        return f"{step.person} proposes a changed policy" + (
            f" that lends {step.for_whom or 'them'} a role on {resource}" if resource else ""
        )
    told = {
        "ask": f"asks for {step.target}",
        "break-glass": f"breaks the glass: {step.target}",
        "ask-changed": f"asks for the new role on {step.target}",
        "approve": f"says yes to {step.for_whom}",
        "approve-statement": f"says yes to the held statement of {step.for_whom}",
        "activate": "puts the change into effect",
        "run": f"does it: {step.target}",
        "duty": f"carries {step.target}",
        "help": f"gives one half of a code that lets {step.target} in again",
        "come-in": f"comes in as {step.target}",
        "invite": f"gives an invitation to {step.target}",
        "arrive": f"opens it as {step.target}",
        "admit": f"admits {step.target}",
        "stay": f"comes in as {step.target}",
        "join": f"lets {step.for_whom} into {step.target}",
    }
    return f"{step.person} {told.get(step.what, step.what)}"


def sentence_of(verdict: Verdict) -> str:
    thing, claimed = str(verdict.claim.goal), verdict.claim.least
    team = ", ".join(verdict.team)
    if verdict.claim.counted == "absences":
        if verdict.never:
            return f"{thing} cannot be done at all, not even by all together"
        if verdict.outcome == "proven":
            return f"{thing} can be done" + (f" with any {counted(claimed, 'person')} away" if claimed else "")
        return f"{thing} cannot be done without {team}, and is to survive {counted(claimed, 'absence')}"
    unit = "vendor" if verdict.claim.counted == "vendors" else "person"
    if verdict.never:
        return f"nobody can do {thing}, not even all together"
    if verdict.outcome == "proven":
        fewest = f"; the fewest who can: {team}" if team else ""
        return f"{thing} takes {counted(verdict.least, unit)} at least{fewest}"
    if verdict.outcome == "refuted":
        return f"{thing} takes {counted(verdict.least, unit)}, not {counted(claimed, unit)}: {team}"
    return f"whether {thing} takes {counted(claimed, unit)} is not known; {counted(verdict.least, unit)} at least"
