"""The steps of a counterexample: who does what, in an order that works."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """``person`` does ``what`` (join, ask, approve, run, approve-statement, duty) to ``target``; ``for_whom`` else."""

    person: str
    what: str
    target: str
    for_whom: str = ""
