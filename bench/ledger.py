"""The ledger's figures: appending through the unit of work, publishing, verifying. `python -m bench.ledger`.

Ratios within one run, since the machine is shared: appending to plain INSERTs of the same rows, verifying to
`sha256sum` of the same bytes. The PostgreSQL is the embedded one, as the product starts it, with every commit flushed.

What appending is: eight writers, each with units of work one after another; in each a hundred events, and an entity
saved with each event. The plain INSERTs are eight connections that write the same three rows for each event (entry,
entity, change), a hundred events a transaction, with no trigger, no index, no order and no hash. With one event a unit
it is said too: there the flush decides, which plain ones share and units, being in one order, do not.
"""

import argparse
import asyncio
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import asyncpg

from interlock.domain.actions import Action, Need
from interlock.domain.decisions import Decision, Effect
from interlock.domain.people import Vendor
from interlock.domain.rights_events import VendorAdded
from interlock.domain.work_events import PasswordUsed
from interlock.gateway.clock import WorkerClock
from interlock.gateway.journal import Journal
from interlock.gateway.loop import PumpLoop, pump_of
from interlock.gateway.pump import Pump
from interlock.gateway.recorder import Recording
from interlock.gateway.sealing import Kept, RecordingStore, keep_frames
from interlock.ledger.audit import Sound, Trust, audit
from interlock.ledger.entries import Recorded, body_of
from interlock.ledger.notes import Checkpoint, SignerKey, new_signer, open_checkpoint, sign_checkpoint
from interlock.ledger.tiles import CHECKPOINT, Growth
from interlock.ports.log_keys import LogKey
from interlock.ports.statement import Described, Outcome, Statement
from interlock.ports.statement import Effect as TakesEffect
from interlock.store.connecting import connect, driver_url
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import embedded_address, embedded_state
from interlock.store.migrate import migrate
from interlock.store.sequencer import Sequencer
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles

_WRITERS = 8
_START = datetime(2026, 1, 1, tzinfo=UTC)


def body(position: int) -> bytes:
    event = PasswordUsed(person=f"person{position % 97}@example.com", login="l-0123456789", resource="orders", left=3)
    return body_of(Recorded(position, _START + timedelta(milliseconds=position), "gateway:one", event))


def write_log(folder: Path, signer: SignerKey, count: int) -> None:
    """A published log of ``count`` entries."""
    growth = Growth()
    for start in range(0, count, 65_536):
        bodies = [body(number + 1) for number in range(start, min(count, start + 65_536))]
        for path, content in growth.add(bodies):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    checkpoint = Checkpoint(signer.verifier.name, growth.size, growth.frontier.root())
    (folder / CHECKPOINT).write_text(str(sign_checkpoint(checkpoint, signer).note))


def measure_verify(count: int, rounds: int) -> None:
    signer = new_signer("log.example/bench")
    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as name:
        folder = Path(name)
        # in a process of its own, so that the peak of this one is what verifying needs
        writer = get_context("fork").Process(target=write_log, args=(folder, signer, count))
        writer.start()
        writer.join()
        bundles = sorted(str(path) for path in (folder / "tile" / "entries").rglob("*") if path.is_file())
        size = sum(Path(path).stat().st_size for path in bundles)
        ratios, verified, summed = [], [], []
        for _ in range(rounds):
            begun = time.perf_counter()
            sound = asyncio.run(audit(ObjectTiles(name), Trust(signer.verifier)))
            middle = time.perf_counter()
            subprocess.run(
                ["xargs", "-0", "cat"],
                input="\0".join(bundles).encode(),
                stdout=(folder / "all").open("wb"),
                check=True,
            )
            before = time.perf_counter()
            subprocess.run(["sha256sum", str(folder / "all")], stdout=subprocess.DEVNULL, check=True)
            after = time.perf_counter()
            if not isinstance(sound, Sound):
                raise SystemExit(sound.reason)
            verified.append(middle - begun)
            summed.append(after - before)
            ratios.append(verified[-1] / summed[-1])
    print(
        f"verify: {count:,} entries ({size / 1e6:.0f} MB) in {statistics.median(verified):.1f} s, "
        f"sha256sum {statistics.median(summed):.2f} s, ratio {statistics.median(ratios):.1f}, "
        f"peak memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )


async def _append(state: PostgresState, units: int, events: int, name: str) -> float:
    async def writer(number: int) -> None:
        for unit in range(units):
            async with state.changing("system") as work:
                for event in range(events):
                    vendor = f"{name}-{number}-{unit}-{event}"
                    await work.save(Vendor(vendor))
                    work.record(VendorAdded(vendor=vendor))

    begun = time.perf_counter()
    await asyncio.gather(*(writer(number) for number in range(_WRITERS)))
    return _WRITERS * units * events / (time.perf_counter() - begun)


async def _insert(url: str, units: int, events: int) -> float:
    """The same rows (a ledger entry, a vendor and a change for each event) with no trigger, no order and no hash."""
    connections = [await asyncpg.connect(driver_url(url)) for _ in range(_WRITERS)]
    await connections[0].execute(
        "CREATE TABLE IF NOT EXISTS plain_ledger (position bigint, at timestamptz, actor text, kind text, body bytea, "
        "link bytea, transaction bigint); CREATE TABLE IF NOT EXISTS plain_vendors (name text);"
        "CREATE TABLE IF NOT EXISTS plain_changes (position bigint, entity text, key text[])"
    )
    one = body(1)

    async def writer(number: int) -> None:
        connection = connections[number]
        for unit in range(units):
            async with connection.transaction():
                for event in range(events):
                    vendor = f"v-{number}-{unit}-{event}"
                    await connection.execute("INSERT INTO plain_vendors VALUES ($1)", vendor)
                    await connection.execute(
                        "INSERT INTO plain_ledger VALUES ($1, $2, 'system', 'vendor.added', $3, $4, 1)",
                        event,
                        _START,
                        one,
                        one[:32],
                    )
                    await connection.execute("INSERT INTO plain_changes VALUES ($1, 'vendors', $2)", event, [vendor])

    begun = time.perf_counter()
    await asyncio.gather(*(writer(number) for number in range(_WRITERS)))
    rate = _WRITERS * units * events / (time.perf_counter() - begun)
    for connection in connections:
        await connection.close()
    return rate


async def _measure_append(server: EmbeddedPostgres, folder: Path, rounds: int) -> None:
    address = embedded_address(server)
    await migrate(address.owner_url)
    state = PostgresState(address.url)
    # the first units and inserts make connections and plans
    await _append(state, 2, 100, "warm")
    await _insert(server.url_for("postgres", "postgres"), 2, 100)
    for units, events in ((25, 100), (60, 1)):
        ours, plain = [], []
        for turn in range(rounds):
            ours.append(await _append(state, units, events, f"{turn}-{events}"))
            plain.append(await _insert(server.url_for("postgres", "postgres"), units, events))
        ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
        print(
            f"append: {_WRITERS} writers, {events} events a unit of work: {statistics.median(ours):,.0f} events/s, "
            f"plain INSERTs {statistics.median(plain):,.0f}/s, ratio {ratio:.2f}"
        )
    await _measure_cover(state, address.url, folder)
    await state.close()


async def _measure_cover(state: PostgresState, url: str, folder: Path) -> None:
    signer = new_signer("log.example/bench")

    async def sign(text: str) -> str:
        return signer.sign(text)

    tiles = ObjectTiles(str(folder / "log"), create=True)
    task = asyncio.create_task(Sequencer(url, tiles, LogKey(signer.verifier, sign)).run())
    waits: list[float] = []
    connection = await connect(url)
    for turn in range(40):
        async with state.changing("system") as work:
            await work.save(Vendor(f"cover-{turn}"))
            work.record(VendorAdded(vendor=f"cover-{turn}"))
        begun = time.perf_counter()
        size = await connection.fetchval("SELECT max(position) FROM interlock.ledger")
        await _until_covered(tiles, signer, size)
        if turn:  # before the first the whole ledger was published
            waits.append(time.perf_counter() - begun)
    await connection.close()
    task.cancel()
    waits.sort()
    print(f"cover: a checkpoint covers an event after {statistics.median(waits):.2f} s, at most {waits[-1]:.2f} s")


async def _until_covered(tiles: ObjectTiles, signer: SignerKey, size: int) -> None:
    for _ in range(20_000):
        if await _size(tiles, signer) >= size:
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


async def _size(tiles: ObjectTiles, signer: SignerKey) -> int:
    content = await tiles.read(CHECKPOINT)
    return -1 if content is None else open_checkpoint(content, signer.verifier).checkpoint.size


class _Shelf:
    """Remembers which files there are, as the archive does."""

    def __init__(self) -> None:
        self.files: set[int] = set()

    def holds(self, file: int, session: str) -> None:
        self.files.add(file)


async def _record(folder: Path, statements: int, sessions: int, pump: Pump) -> tuple[float, float]:
    """Records a second of one worker, a statement and its outcome each: durable in the journal; then in segments."""
    journal = Journal(folder / "journal", pump, file_bytes=64 * 1024 * 1024, durable_s=0.02, stall_s=1.0)
    clock, shelf, durable = WorkerClock(), _Shelf(), asyncio.Event()
    clock.anchor(datetime.now(UTC))
    recordings = [Recording(f"s-{number:013d}", journal, clock, shelf) for number in range(sessions)]
    described = Described((Need(Action.READ, "table public.pgbench_accounts"),), TakesEffect.NEVER, "SELECT")
    decision = Decision(Effect.ALLOW, "", ("role:reader",))
    outcome = Outcome(rows=1, size_bytes=64, tag="SELECT 1")
    template = "SELECT abalance FROM pgbench_accounts WHERE aid = "
    began = time.perf_counter()
    for number in range(statements):
        recording = recordings[number % sessions]
        recording.statement(number, Statement(template + str(number), described), decision)
        recording.outcome(number, outcome, 250)
        if number % 200 == 0:
            await asyncio.sleep(0)
    journal.append(recordings[0], b'{"n":0}', durable.set)
    await durable.wait()
    written = 2 * statements
    journal_s = time.perf_counter() - began
    paths = {file: journal.path(file) for file in shelf.files}
    store, key = RecordingStore(str(folder / "recordings")), secrets.token_bytes(32)
    began = time.perf_counter()
    for recording in recordings[1:]:
        keep_frames(store, recording.session, key, Kept(), paths, recording.index)
    segments_s = (time.perf_counter() - began) * sessions / (sessions - 1)
    await journal.close()
    return written / journal_s, written / segments_s


def measure_records(statements: int, rounds: int) -> None:
    found = []
    for _ in range(rounds):
        with (
            tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder,
            asyncio.Runner(loop_factory=PumpLoop) as runner,
            pump_of(runner.get_loop()) as pump,
        ):
            found.append(runner.run(_record(Path(folder), statements, 16, pump)))
    for what, rates in zip(("durable in the journal", "put into segments"), zip(*found, strict=True), strict=True):
        shown = ", ".join(f"{rate:,.0f}" for rate in rates)
        print(f"records of one worker {what}: {statistics.median(rates):,.0f}/s (goal 100,000/s; rounds: {shown})")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["append", "verify", "records"])
    parser.add_argument("--statements", type=int, default=200_000)
    chosen = parser.parse_args(arguments)
    if chosen.only in (None, "records"):
        measure_records(chosen.statements, chosen.rounds)
    if chosen.only in (None, "verify"):
        measure_verify(chosen.entries, chosen.rounds)
    if chosen.only not in (None, "append"):
        return
    folder = Path(tempfile.mkdtemp(prefix="interlock-bench-"))
    folder.chmod(0o711)
    server = embedded_state(folder / "postgres")
    server.start()
    try:
        asyncio.run(_measure_append(server, folder, chosen.rounds))
    finally:
        server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
