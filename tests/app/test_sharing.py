"""Two tellers of one sink, over one real PostgreSQL: once each, handed over, fenced, and both know how it goes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from interlock.app.data_folder import open_data_folder
from interlock.app.discovery import find_sinks
from interlock.app.sharing import share_sink
from interlock.app.sinking import Cursor, Feeding
from interlock.policy.configuration import SinkSource
from interlock.services.credentials import Credentials
from interlock.services.outflow import Outflow
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from interlock.store.tellings import PostgresTellings, Told
from tests.sinks.test_sinks import Receiver, serving
from tests.store.test_sequencer import append, until


@dataclass(frozen=True)
class Teller:
    feeding: Feeding
    outflow: Outflow
    task: "asyncio.Task[None]"

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def _telling(
    state: PostgresState, address: StateAddress, folder: Path, name: str, to: str
) -> AsyncIterator[Teller]:
    tellings = PostgresTellings(address.url)
    outflow = Outflow(["s"])
    home = open_data_folder(folder / name)
    feeding = Feeding(find_sinks(), Credentials({}, {}), home, outflow, tellings, name)
    task = asyncio.create_task(share_sink(state, SinkSource("s", "otlp", to, enforced=True), feeding))
    teller = Teller(feeding, outflow, task)
    try:
        yield teller
    finally:
        await teller.stop()
        await tellings.close()


def _all(receiver: Receiver, upto: int) -> bool:
    return set(receiver.sequences()) >= set(range(1, upto + 1))


async def _kept(teller: Teller, position: int) -> Told:
    """What the database says once it has come that far."""
    async with asyncio.timeout(20):
        while True:
            told = await teller.feeding.tellings.look("s")
            if told is not None and told.position == position:
                return told
            await asyncio.sleep(0.05)


async def test_each_event_is_told_once_by_one_of_two_and_the_other_goes_on_from_there(
    state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    receiver = Receiver()
    async with serving(receiver.api) as address, AsyncExitStack() as held:
        to = f"{address}/v1/logs"
        await append(state, 700)
        one = await held.enter_async_context(_telling(state, state_database, tmp_path, "one", to))
        two = await held.enter_async_context(_telling(state, state_database, tmp_path, "two", to))
        await until(partial(_all, receiver, 700))
        for turn in range(4):
            await append(state, 5, f"turn{turn}-")
            await until(partial(_all, receiver, 700 + 5 * (turn + 1)))
        await until(lambda: not one.outflow.why_stopped and not two.outflow.why_stopped)
        told = await _kept(one, 720)
        first, second = (one, two) if told.teller == "one" else (two, one)
        await first.stop()
        await append(state, 5, "after-")
        await until(partial(_all, receiver, 725))
        assert set(Counter(receiver.sequences()).values()) == {1}, "each once, over a handing over too"
        told = await _kept(second, 725)
        assert told.teller == second.feeding.teller
        # who had it moves nothing any more, nor lets it go
        assert not await first.feeding.tellings.move("s", first.feeding.teller, 900)
        await first.feeding.tellings.leave("s", first.feeding.teller, "of before")
        assert await first.feeding.tellings.look("s") == told


async def test_a_sink_that_must_be_told_and_is_not_stops_the_gateways_of_both(
    state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    receiver = Receiver()
    async with serving(receiver.api) as address, AsyncExitStack() as held:
        to = f"{address}/v1/logs"
        await append(state, 1)
        one = await held.enter_async_context(_telling(state, state_database, tmp_path, "one", to))
        two = await held.enter_async_context(_telling(state, state_database, tmp_path, "two", to))
        await until(lambda: not one.outflow.why_stopped and not two.outflow.why_stopped)
        receiver.down = True
        await append(state, 1, "unheard")
        await until(lambda: bool(one.outflow.why_stopped and two.outflow.why_stopped))
        told = await one.feeding.tellings.look("s")
        assert told is not None
        assert told.fault, "and the database says why"
        receiver.down = False
        await until(lambda: not one.outflow.why_stopped and not two.outflow.why_stopped)
    assert receiver.sequences() == [1, 2]


async def test_what_an_installation_of_before_kept_in_a_file_is_gone_on_from(
    state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    receiver = Receiver()
    await append(state, 5)
    cursor = Cursor(open_data_folder(tmp_path / "one").sinks / "s.json")
    cursor.write(3)
    async with (
        serving(receiver.api) as address,
        _telling(state, state_database, tmp_path, "one", f"{address}/v1/logs"),
    ):
        await until(lambda: len(receiver.sequences()) == 2)
    assert receiver.sequences() == [4, 5]
    assert not cursor.there
