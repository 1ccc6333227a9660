"""The sequencer in front of a real database: elections, takeovers, kills, and what a superuser can do."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from interlock.domain.people import Vendor
from interlock.domain.rights_events import VendorAdded
from interlock.ledger.audit import Sound, Trust, audit
from interlock.ledger.notes import Checkpoint, SignerKey, new_signer, open_checkpoint, read_checkpoint
from interlock.ledger.tiles import CHECKPOINT, bundle_path, tile_path
from interlock.ledger.verify import Broken
from interlock.ports.log_keys import LogKey
from interlock.store import sequencer
from interlock.store.connecting import driver_url
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import StateAddress
from interlock.store.locks import SEQUENCER_LOCK
from interlock.store.sequencer import Sequencer
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles

SIGNER = new_signer("log.example/test")

_PROGRAM = (
    "import asyncio, sys\n"
    "from interlock.ledger.notes import read_signer\n"
    "from interlock.ports.log_keys import LogKey\n"
    "from interlock.store.sequencer import Sequencer\n"
    "from interlock.store.tiles import ObjectTiles\n"
    "signer = read_signer(sys.argv[3])\n"
    "async def sign(text): return signer.sign(text)\n"
    "asyncio.run(Sequencer(sys.argv[1], ObjectTiles(sys.argv[2]), LogKey(signer.verifier, sign)).run())\n"
)


def sequencer_command(url: str, tiles: ObjectTiles) -> list[str]:
    """A sequencer as a process of its own, to be killed."""
    return [sys.executable, "-c", _PROGRAM, url, tiles.where, SIGNER.secret_text()]


def log_key(signer: SignerKey = SIGNER) -> LogKey:
    async def sign(text: str) -> str:
        return signer.sign(text)

    return LogKey(signer.verifier, sign)


@asynccontextmanager
async def sequencing(url: str, tiles: ObjectTiles) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(Sequencer(url, tiles, log_key()).run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def append(state: PostgresState, count: int, name: str = "v") -> None:
    async with state.changing("system") as work:
        for number in range(count):
            await work.save(Vendor(f"{name}{number}"))
            work.record(VendorAdded(vendor=f"{name}{number}"))


async def published(tiles: ObjectTiles) -> Checkpoint | None:
    content = await tiles.read(CHECKPOINT)
    return None if content is None else open_checkpoint(content, SIGNER.verifier).checkpoint


async def until_size_of(tiles: ObjectTiles, size: int) -> None:
    """Whoever signed it."""
    async with asyncio.timeout(20):
        while True:
            content = await tiles.read(CHECKPOINT)
            if content is not None and read_checkpoint(content).checkpoint.size >= size:
                return
            await asyncio.sleep(0.02)


async def until_size(tiles: ObjectTiles, size: int) -> Checkpoint:
    async with asyncio.timeout(20):
        while True:
            found = await published(tiles)
            if found is not None and found.size >= size:
                return found
            await asyncio.sleep(0.02)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def verdict(tiles: ObjectTiles, since: Checkpoint | None = None) -> Sound | Broken:
    return await audit(tiles, Trust(SIGNER.verifier), since=since)


@pytest.fixture
def tiles(tmp_path: Path) -> ObjectTiles:
    return ObjectTiles(str(tmp_path / "log"), create=True)


async def superuser(server: EmbeddedPostgres, address: StateAddress) -> asyncpg.Connection:
    name = address.url.rpartition("/")[2].partition("?")[0]
    connection = await asyncpg.connect(driver_url(server.url_for("postgres", name)))
    await connection.execute("ALTER TABLE interlock.ledger DISABLE TRIGGER USER")
    await connection.execute("ALTER TABLE interlock.changes DISABLE TRIGGER USER")
    return connection


async def test_what_is_committed_is_published_and_holds(
    state: PostgresState, state_database: StateAddress, tiles: ObjectTiles
) -> None:
    async with sequencing(state_database.url, tiles):
        empty = await until_size(tiles, 0)
        for count in (1, 300, 5):
            before = await published(tiles)
            await append(state, count, f"n{count}-")
            await until_size(tiles, (before.size if before else 0) + count)
            assert isinstance(await verdict(tiles, before), Sound)
        assert isinstance(await verdict(tiles, empty), Sound)


async def test_of_two_one_publishes_and_the_other_takes_over(
    state: PostgresState, state_database: StateAddress, tiles: ObjectTiles
) -> None:
    async with sequencing(state_database.url, tiles) as first:
        await append(state, 3, "a")
        old = await until_size(tiles, 3)
        async with sequencing(state_database.url, tiles):
            await append(state, 3, "b")
            await until_size(tiles, 6)
            first.cancel()
            await append(state, 300, "c")
            await until_size(tiles, 306)
            assert isinstance(await verdict(tiles, old), Sound)


async def test_two_that_are_both_elected_make_no_gap_and_no_fork(
    state: PostgresState, state_database: StateAddress, tiles: ObjectTiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the database's word on the election was lost: each holds a lock of its own, and both publish."""
    old = None
    async with sequencing(state_database.url, tiles) as first:
        await append(state, 3)
        await until_size(tiles, 3)
        monkeypatch.setattr(sequencer, "SEQUENCER_LOCK", (SEQUENCER_LOCK[0], SEQUENCER_LOCK[1] + 1000))
        async with sequencing(state_database.url, tiles) as second:
            for turn in range(12):
                await append(state, 61, f"turn{turn}-")
                found = await until_size(tiles, 3 + 61 * (turn + 1))
                assert isinstance(await verdict(tiles, old), Sound)
                old = found
            assert not first.done()
            assert not second.done()
    assert isinstance(await verdict(tiles, old), Sound)


async def test_one_that_is_killed_in_the_middle_leaves_no_gap(
    state: PostgresState, state_database: StateAddress, tiles: ObjectTiles
) -> None:
    words = sequencer_command(state_database.url, tiles)
    old = None
    for turn in range(3):
        process = await asyncio.create_subprocess_exec(*words)
        await append(state, 400, f"turn{turn}-")
        # killed once it has begun to write, wherever it is then
        begun = Path(tiles.where) / bundle_path(turn)
        await until(begun.exists)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        if old is not None:
            assert isinstance(await verdict(tiles, old), Sound)
        async with sequencing(state_database.url, tiles):
            old = await until_size(tiles, 400 * (turn + 1))
        assert isinstance(await verdict(tiles, old), Sound)


def _holds(path: Path, content: bytes) -> bool:
    return path.read_bytes() == content


async def test_a_torn_tile_is_made_anew(state: PostgresState, state_database: StateAddress, tiles: ObjectTiles) -> None:
    async with sequencing(state_database.url, tiles):
        await append(state, 300)
        old = await until_size(tiles, 300)
    for path in (tile_path(0, 1, 44), bundle_path(1, 44), tile_path(1, 0, 1)):
        torn = Path(tiles.where) / path
        whole = torn.read_bytes()
        torn.write_bytes(whole[: len(whole) // 2])
        assert isinstance(await verdict(tiles), Broken)
        async with sequencing(state_database.url, tiles):
            await until(partial(_holds, torn, whole))
        assert isinstance(await verdict(tiles, old), Sound)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("DELETE FROM interlock.ledger WHERE position > 250", "went backwards"),
        ("UPDATE interlock.ledger SET body = body || ' ' WHERE position = 290", "Entry 290"),
    ],
)
async def test_what_a_superuser_did_to_what_was_published_stops_it(
    state: PostgresState,
    state_database: StateAddress,
    tiles: ObjectTiles,
    postgres_server: EmbeddedPostgres,
    caplog: pytest.LogCaptureFixture,
    what: str,
    said: str,
) -> None:
    async with sequencing(state_database.url, tiles):
        await append(state, 300)
        before = await until_size(tiles, 300)
    connection = await superuser(postgres_server, state_database)
    await connection.execute("DELETE FROM interlock.changes")
    await connection.execute(what)
    await connection.close()
    async with sequencing(state_database.url, tiles):
        await until(lambda: said in caplog.text)
    assert await published(tiles) == before
    assert isinstance(await verdict(tiles, before), Sound)


async def test_a_row_changed_before_it_is_published_is_not_published(
    state: PostgresState,
    state_database: StateAddress,
    tiles: ObjectTiles,
    postgres_server: EmbeddedPostgres,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await append(state, 5)
    connection = await superuser(postgres_server, state_database)
    await connection.execute(
        "UPDATE interlock.ledger SET body = replace(body::text, '76', '77')::bytea WHERE position = 3"
    )
    await connection.close()
    async with sequencing(state_database.url, tiles):
        await until(lambda: "Entry 3 does not follow" in caplog.text)
    assert await published(tiles) is None


async def test_a_late_writer_cannot_set_the_checkpoint_back(
    state: PostgresState, state_database: StateAddress, tiles: ObjectTiles
) -> None:
    async with sequencing(state_database.url, tiles):
        await append(state, 3)
        await until_size(tiles, 3)
        late = await tiles.read(CHECKPOINT)
        await append(state, 3, "w")
        await until_size(tiles, 6)
        assert late is not None
        await tiles.write(CHECKPOINT, late)
        await until_size(tiles, 6)


async def test_a_store_that_cannot_be_written_delays_and_loses_nothing(
    state: PostgresState, state_database: StateAddress, tiles: ObjectTiles, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = Path(tiles.where) / "tile"
    in_the_way.write_text("a file where the folder of tiles should be: nothing can be written below it")
    async with sequencing(state_database.url, tiles):
        await append(state, 3)
        await until(lambda: "not published" in caplog.text)
        before = await published(tiles)
        assert before is None or before.size == 0
        in_the_way.unlink()
        await until_size(tiles, 3)
    assert isinstance(await verdict(tiles), Sound)
