import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from interlock.errors import Misuse
from interlock.store.home import StateAddress
from interlock.store.replay import PRUNE_EVERY, PostgresReplayCache

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=60)


@dataclass
class HandClock:
    time: datetime = field(default=NOW)

    def now(self) -> datetime:
        return self.time


async def test_a_proof_is_used_once(state_database: StateAddress) -> None:
    cache = PostgresReplayCache(state_database.url, clock=HandClock())
    assert await cache.first_use("key", "one", SOON)
    assert not await cache.first_use("key", "one", SOON)
    assert await cache.first_use("key", "two", SOON)
    assert await cache.first_use("other", "one", SOON)
    # the pair is what counts, not the two run together
    assert await cache.first_use("keyo", "ne", SOON)
    await cache.close()


async def test_what_clients_send_does_no_harm(state_database: StateAddress) -> None:
    cache = PostgresReplayCache(state_database.url, clock=HandClock())
    for jti in ("", "\0", "x" * 1_000_000, "\udcff", "'; DROP TABLE"):
        assert await cache.first_use("key", jti, SOON)
        assert not await cache.first_use("key", jti, SOON)
    await cache.close()


async def test_of_many_at_once_in_two_control_planes_one_is_first(state_database: StateAddress) -> None:
    caches = [PostgresReplayCache(state_database.url, clock=HandClock()) for _ in range(2)]
    for jti in map(str, range(20)):
        first = await asyncio.gather(*(cache.first_use("key", jti, SOON) for cache in caches for _ in range(5)))
        assert sum(first) == 1
    for cache in caches:
        await cache.close()


async def test_what_is_over_is_pruned(state_database: StateAddress) -> None:
    clock = HandClock()
    cache = PostgresReplayCache(state_database.url, clock=clock)
    for number in range(5):
        await cache.first_use("key", str(number), SOON)
    assert _count(state_database) == 5
    clock.time = SOON + PRUNE_EVERY
    await cache.first_use("key", "later", clock.time + timedelta(seconds=60))
    assert _count(state_database) == 1
    await cache.close()


async def test_a_time_has_a_zone(state_database: StateAddress) -> None:
    cache = PostgresReplayCache(state_database.url, clock=HandClock())
    with pytest.raises(Misuse):
        await cache.first_use("key", "one", SOON.replace(tzinfo=None))
    await cache.close()


def _count(database: StateAddress) -> object:
    with psycopg.connect(database.url) as connection:
        row = connection.execute("SELECT count(*) FROM interlock.seen_proofs").fetchone()
    return row[0] if row else None
