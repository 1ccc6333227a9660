"""How long from the end of a grant to the closed connection, over many live sessions on one machine.

    python -m bench.cut --sessions 200

Each session rests on the one grant; each client waits in ``pg_sleep``. The clock starts when `interlock end` is typed
at the API, so that the control plane's transaction, the feed and the worker are all in the figure.
"""

import argparse
import json
import selectors
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg import pq
from tests.chaos.kills import chaos_stack

from interlock.identity.api_client import ApiClient
from interlock.identity.keys import load_or_create_key


def measure(sessions: int, workers: int) -> list[float]:
    """Seconds from the request that ends the grant to each closed connection."""
    with chaos_stack(workers) as (_, stack, conninfo):
        with ThreadPoolExecutor(8) as pool:
            connections = list(pool.map(lambda _: psycopg.connect(conninfo, autocommit=True), range(sessions)))
        selector = selectors.DefaultSelector()
        for connection in connections:
            connection.pgconn.send_query(b"select pg_sleep(120)")
            while connection.pgconn.flush():
                time.sleep(0.001)
            selector.register(connection.pgconn.socket, selectors.EVENT_READ, connection)
        time.sleep(1)
        dev = stack.member("dev@example.com")
        grant = next(found["id"] for found in stack.ask(dev, "grants"))
        login = json.loads((dev.home / "login.json").read_text())
        with ApiClient(
            stack.server,
            key=load_or_create_key(dev.home / "key.pem"),
            authority=(dev.home / "authority.pem").read_text(),
            token=login["token"],
        ) as api:
            api.get("/v1/whoami")
            began = time.perf_counter()
            api.post(f"/v1/grants/{grant}/end", {"reason": "measured"})
        took: list[float] = []
        while len(took) < sessions and time.perf_counter() - began < 30:
            for key, _ in selector.select(1):
                connection = key.data
                try:
                    connection.pgconn.consume_input()
                    ended = connection.pgconn.status == pq.ConnStatus.BAD
                except psycopg.OperationalError:
                    ended = True
                if ended:
                    took.append(time.perf_counter() - began)
                    selector.unregister(key.fileobj)
        if len(took) < sessions:
            raise SystemExit(f"only {len(took)} of {sessions} connections were closed within 30 s")
        return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    for number in range(chosen.rounds):
        took = sorted(second * 1000 for second in measure(chosen.sessions, chosen.workers))
        p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
        print(
            f"round {number + 1}: {len(took)} sessions, p50 {statistics.median(took):.0f} ms, "
            f"p99 {p99:.0f} ms, last {took[-1]:.0f} ms"
        )


if __name__ == "__main__":
    main()
