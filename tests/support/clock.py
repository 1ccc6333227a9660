"""A clock that a test holds in its hand."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass
class FixedClock:
    """Stands still until it is moved."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by
