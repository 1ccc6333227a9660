"""Publishes the ledger to a disk until it is full, and goes on when there is room again.

    mount -t tmpfs -o size=256k tmpfs /mnt/small
    python -m tests.chaos.full_disk /mnt/small

The folder is on a small file system of its own. What must hold: nothing is torn, the last checkpoint stands, and with
room everything is published, continuing the last.
"""

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

from interlock.ledger.audit import Sound
from interlock.store.home import embedded_address, embedded_state
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles
from tests.store.test_sequencer import append, published, sequencing, until_size, verdict
from tests.support.databases import migrate_now, server_folder

_WAIT_S = 3.0


async def _run(url: str, folder: Path) -> str:
    state, tiles = PostgresState(url), ObjectTiles(str(folder / "log"), create=True)
    try:
        async with sequencing(url, tiles):
            await append(state, 10)
            before = await until_size(tiles, 10)
            filler = folder / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 1024)
            await append(state, 300, "more")
            await asyncio.sleep(_WAIT_S)
            full = await published(tiles)
            if full != before or not isinstance(await verdict(tiles, before), Sound):
                return f"with a full disk {full} is published, and before it was {before}"
            filler.unlink()
            await until_size(tiles, 310)
            if not isinstance(await verdict(tiles, before), Sound):
                return "with room again what is published does not continue what was"
    finally:
        await state.close()
    return ""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    with server_folder() as home:
        server = embedded_state(home / "postgres")
        server.start()
        try:
            migrate_now(embedded_address(server).owner_url)
            wrong = asyncio.run(_run(embedded_address(server).url, folder))
        finally:
            server.stop()
    print(wrong or "10 entries stood while the disk was full, 310 were published when it was not")  # noqa: T201 -- a report
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
