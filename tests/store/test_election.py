"""Who is elected, over a real PostgreSQL: one at a time, also when the one before is frozen and not dead."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from interlock.errors import Failure
from interlock.store.election import check_elected, elected
from interlock.store.home import StateAddress

_LOCK = (4711, 1)
_GIVEN_UP = timedelta(seconds=1.5)
_HOLDER = """
import asyncio, sys
from datetime import timedelta
from interlock.errors import Failure
from interlock.store.election import check_elected, elected

async def hold():
    async with elected(sys.argv[1], (4711, 1), timedelta(seconds=1.5)) as held:
        print("held", flush=True)
        while True:
            await asyncio.sleep(0.2)
            await check_elected(held)

try:
    asyncio.run(hold())
except Failure as failure:
    print("lost", failure.sentence, flush=True)
"""


@asynccontextmanager
async def _holder(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _HOLDER, url, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"held\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_one_that_is_frozen_is_followed_and_learns_of_it_when_it_wakes(state_database: StateAddress) -> None:
    async with _holder(state_database.url) as holder:
        holder.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(20), elected(state_database.url, _LOCK, _GIVEN_UP) as held:
            holder.send_signal(signal.SIGCONT)
            assert holder.stdout is not None
            assert (await asyncio.wait_for(holder.stdout.readline(), 20)).startswith(b"lost ")
            await check_elected(held)


async def test_one_that_has_long_work_elsewhere_keeps_its_election(state_database: StateAddress) -> None:
    async with elected(state_database.url, _LOCK, _GIVEN_UP) as held:
        # nothing is asked of it for longer than the server waits, and then several things at once
        await asyncio.sleep(2.5)
        await asyncio.gather(*(check_elected(held) for _ in range(5)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1), elected(state_database.url, _LOCK, _GIVEN_UP):
                pass


async def test_one_whose_connection_is_lost_is_told(state_database: StateAddress) -> None:
    async with elected(state_database.url, _LOCK) as held:
        with pytest.raises(asyncpg.PostgresError):
            await held.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(Failure):
            await check_elected(held)
