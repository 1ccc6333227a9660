"""A clock to set by hand, and a replay cache for tests without a database."""

from datetime import UTC, datetime, timedelta

NOW = datetime(2026, 11, 24, 9, 0, 30, tzinfo=UTC)


class HandClock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        self.at += by


class SeenProofs:
    """The port ReplayCache, in memory and for ever."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], datetime] = {}

    async def first_use(self, jkt: str, jti: str, until: datetime) -> bool:
        if (jkt, jti) in self.seen:
            return False
        self.seen[jkt, jti] = until
        return True

    async def was_used(self, jkt: str, jti: str) -> bool:
        return (jkt, jti) in self.seen
