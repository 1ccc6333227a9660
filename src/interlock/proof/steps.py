"""The steps of a counterexample: who does what, in an order that works."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """``person`` does ``what`` to ``target``, for ``for_whom`` when that is another, for the time ``length``.

    ``what`` is join, ask, break-glass, approve, approve-statement, run, duty; activate or ask-changed after a change of
    the policy; help or come-in where two let somebody in again; invite, arrive, admit or stay where two bring in
    a guest.
    """

    person: str
    what: str
    target: str
    for_whom: str = ""
    length: str = ""
