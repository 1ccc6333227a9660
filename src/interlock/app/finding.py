"""One thing that `interlock doctor` found: good, doubtful or bad."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """``check`` is a stable word for machines, ``sentence`` what was found, ``remedy`` how to mend it."""

    check: str
    verdict: Verdict
    sentence: str
    remedy: str = ""


def good(check: str, sentence: str) -> Finding:
    return Finding(check, Verdict.GOOD, sentence)


def doubtful(check: str, sentence: str, remedy: str) -> Finding:
    return Finding(check, Verdict.DOUBTFUL, sentence, remedy)


def bad(check: str, sentence: str, remedy: str) -> Finding:
    return Finding(check, Verdict.BAD, sentence, remedy)
