"""A verdict of the prover as a sentence."""

from interlock.proof.steps import Step
from interlock.proof.story import THE_POLICY
from interlock.proof.verdicts import Verdict
from interlock.web.console.records import counted


def step_told(step: Step) -> str:
    """What somebody would do, as the pages say it."""
    if step.what == "ask":
        role, _, resource = step.target.partition(" on ")
        changes = role == THE_POLICY
        return (
            f"{step.person} proposes a policy that lets them"
            if changes
            else f"{step.person} asks for {role} on {resource}"
        )
    told = {
        "approve": f"says yes to {step.for_whom}",
        "approve-statement": f"says yes to the held statement of {step.for_whom}",
        "run": f"does it: {step.target}",
        "duty": f"carries {step.target}",
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
