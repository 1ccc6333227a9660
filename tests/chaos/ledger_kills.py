"""Kills the sequencer, the worker that appends and the store's database at random moments, and verifies each time.

    python -m tests.chaos.ledger_kills --kills 60

What must hold after every kill: everything works again by itself, each entry that was said to be kept is published,
and the new tree continues the last one.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from interlock.errors import Failure
from interlock.ledger.audit import Trust, audit
from interlock.ledger.notes import Checkpoint
from interlock.ledger.verify import Broken
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import embedded_address, embedded_state
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles
from tests.store.test_sequencer import SIGNER, append, published, sequencer_command, verdict
from tests.support.databases import migrate_now, server_folder

PARTS = ("sequencer", "worker", "store")
_WITHIN_S = 60.0
_WORKER = (
    "import asyncio, sys\n"
    "from interlock.errors import Failure\n"
    "from interlock.store.state import PostgresState\n"
    "from tests.store.test_sequencer import append\n"
    "async def work():\n"
    "    state = PostgresState(sys.argv[1])\n"
    "    number = 0\n"
    "    while True:\n"
    "        number += 1\n"
    "        name = f'{sys.argv[2]}-{number}-'\n"
    "        try:\n"
    "            await append(state, 1, name)\n"
    "            print(name + '0', flush=True)\n"
    "        except Failure:\n"
    "            await asyncio.sleep(0.05)\n"
    "asyncio.run(work())\n"
)


@dataclass(slots=True)
class Verdict:
    """``lost`` were said to be kept and are not published; ``broken`` is what verification said, when it did."""

    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    acknowledged: int = 0
    entries: int = 0
    lost: frozenset[str] = frozenset()
    broken: str = ""
    slowest_s: float = 0.0


class _Run:
    def __init__(self, server: EmbeddedPostgres, tiles: ObjectTiles) -> None:
        self.server = server
        self.tiles = tiles
        self.url = embedded_address(server).url
        self.state = PostgresState(self.url)
        self.verdict = Verdict()
        self.said: set[str] = set()
        self.old: Checkpoint | None = None
        self._sequencers: list[asyncio.subprocess.Process] = []
        self._worker: asyncio.subprocess.Process | None = None
        self._workers = 0

    async def start(self) -> None:
        for _ in range(2):
            self._sequencers.append(await self._start_sequencer())
        self._worker = await self._start_worker()

    async def stop(self) -> None:
        for process in self._sequencers:
            await _end(process)
        await self._end_worker()
        await self.state.close()

    async def kill(self, part: str, chance: random.Random) -> None:
        self.verdict.kills[part] += 1
        if part == "sequencer":
            at = chance.randrange(len(self._sequencers))
            await _end(self._sequencers[at])
            self._sequencers[at] = await self._start_sequencer()
        elif part == "worker":
            await self._end_worker()
            self._worker = await self._start_worker()
        else:
            kill_server(self.server)

    async def recover(self) -> bool:
        """Wait until something new is kept and published, and verify; False when that does not hold."""
        begun = time.monotonic()
        async with asyncio.timeout(_WITHIN_S):
            size = await self._append_in_the_end()
            while True:
                with suppress(Failure):
                    found = await published(self.tiles)
                    if found is not None and found.size >= size:
                        break
                await asyncio.sleep(0.05)
        self.verdict.slowest_s = max(self.verdict.slowest_s, time.monotonic() - begun)
        result = await verdict(self.tiles, self.old)
        if isinstance(result, Broken):
            self.verdict.broken = result.reason
            return False
        self.old = found
        return True

    async def finish(self) -> Verdict:
        await self._end_worker()
        await self.recover()
        kept: set[str] = set()

        async def note(position: int, body: bytes) -> str:
            kept.add(body.decode())
            return ""

        result = await audit(self.tiles, Trust(SIGNER.verifier), check=note)
        if isinstance(result, Broken):
            self.verdict.broken = result.reason
        text = "\n".join(kept)
        self.verdict.entries = len(kept)
        self.verdict.acknowledged = len(self.said)
        self.verdict.lost = frozenset(name for name in self.said if f'"vendor":"{name}"' not in text)
        return self.verdict

    async def _append_in_the_end(self) -> int:
        while True:
            try:
                await append(self.state, 1, f"mark-{time.time_ns()}-")
                async with self.state.reading() as reading:
                    return await reading.ledger_head()
            except Failure:
                await asyncio.sleep(0.05)

    async def _start_sequencer(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *sequencer_command(self.url, self.tiles), stderr=asyncio.subprocess.DEVNULL
        )

    async def _start_worker(self) -> asyncio.subprocess.Process:
        self._workers += 1
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _WORKER,
            self.url,
            f"w{self._workers}",
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )

    async def _end_worker(self) -> None:
        if self._worker is None:
            return
        worker, self._worker = self._worker, None
        await _end(worker)
        if worker.stdout is not None:
            # what was written in half when it was killed was not said
            lines = (await worker.stdout.read()).decode().split("\n")[:-1]
            self.said.update(lines)


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    if process.stdout is None:
        await process.wait()


def kill_server(server: EmbeddedPostgres) -> None:
    """The server and every process of it: none finishes what it was doing."""
    parent = server.pid
    if parent is None:
        return
    children = [
        int(process.parent.name)
        for process in Path("/proc").glob("[0-9]*/stat")
        if int(process.read_text().rpartition(")")[2].split()[1]) == parent
    ]
    for pid in (parent, *children):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def _run(server: EmbeddedPostgres, folder: Path, kills: int, seed: int) -> Verdict:
    chance = random.Random(seed)
    run = _Run(server, ObjectTiles(str(folder), create=True))
    async with AsyncExitStack() as held:
        held.push_async_callback(run.stop)
        await run.start()
        await run.recover()
        for number in range(kills):
            await asyncio.sleep(chance.uniform(0.1, 1.0))
            await run.kill(PARTS[number % len(PARTS)], chance)
            if not await run.recover():
                return run.verdict
        return await run.finish()


def run(kills: int, seed: int) -> Verdict:
    with server_folder() as folder, tempfile.TemporaryDirectory(prefix="interlock-chaos-") as log:
        server = embedded_state(folder / "postgres")
        server.start()
        try:
            migrate_now(embedded_address(server).owner_url)
            return asyncio.run(_run(server, Path(log) / "log", kills, seed))
        finally:
            server.stop()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20261128)
    chosen = parser.parse_args(arguments)
    found = run(chosen.kills, chosen.seed)
    print(  # noqa: T201 -- a program's report
        f"seed {chosen.seed}: {sum(found.kills.values())} kills {found.kills}, {found.acknowledged:,} entries said to "
        f"be kept, {found.entries:,} published, {len(found.lost)} lost, slowest recovery {found.slowest_s:.1f} s"
        f"{chr(10) + found.broken if found.broken else ''}"
    )
    return 1 if found.lost or found.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
