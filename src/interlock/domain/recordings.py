"""Recordings as the control plane knows them: their segments, their keys, who must not delete them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """One stored segment of a session's recording. ``number`` counts from 1; ``digest`` is the SHA-256 (hex) of the
    object and names it; ``records`` is the number of the last record in it."""

    session: str
    number: int
    digest: str
    records: int
    kept_at: datetime


@dataclass(frozen=True, slots=True)
class RecordingKey:
    """The key of one recording, wrapped by the master key that ``master`` names.

    Destroyed, because the recording was deleted: ``wrapped`` is empty. ``erased_at`` is when its segments were gone.
    """

    session: str
    wrapped: str
    master: str
    made_at: datetime
    destroyed_at: datetime | None = None
    erased_at: datetime | None = None
