"""Events of the delivery chain: evidence that was given or taken back, and what gates answered."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.domain.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceGiven(Event):
    """A duty was done on a commit. ``envelope`` is the signed statement (docs/evidence.md)."""

    kind: ClassVar[str] = "evidence.given"
    evidence: str
    chain: str
    duty: str
    artifact: str
    person: str
    how: str
    environment: str = ""
    build_digest: str = ""
    envelope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceVoided(Event):
    """Evidence no longer counts: the forge says that it was taken back there."""

    kind: ClassVar[str] = "evidence.voided"
    evidence: str
    chain: str
    duty: str
    artifact: str
    person: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecided(Event):
    """A gate answered ``allow`` or ``deny``, for ``person``; ``why`` has the codes of what was missing."""

    kind: ClassVar[str] = "gate.decided"
    chain: str
    duty: str
    artifact: str
    environment: str
    person: str
    answer: str
    why: str
    evidences: tuple[str, ...] = ()
