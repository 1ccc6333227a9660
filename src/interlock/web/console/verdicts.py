"""A verdict of the prover as a sentence."""

from interlock.proof.verdicts import Verdict
from interlock.web.console.records import counted


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
