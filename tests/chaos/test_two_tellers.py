"""Two whole control planes and one sink: told once by one of them, over a stop, a waking up and a kill of that one.

A receiver of security events that never answers stands beside it and in nobody's way.
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable

import psycopg

from interlock.domain.identity_events import LoginEnded
from interlock.store.state import PostgresState
from tests.store.test_sequencer import append
from tests.support.control_planes import ControlPlanes, running_control_planes
from tests.support.listeners import HttpListener, listening

_CONFIG = """\
listen: {console: "{console}"}
state: env:INTERLOCK_STATE
people:
  admin@example.com: {groups: [administrators]}
sinks:
  siem: {kind: otlp, to: "http://127.0.0.1:PORT/v1/logs", enforced: true}
receivers:
  idp: {to: "https://127.0.0.1:1/events", audience: https://idp.example}
"""
_BATCH = 500


def _until(holds: Callable[[], bool], within_s: float = 40) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)


def _happen(planes: ControlPlanes, prefix: str) -> int:
    """Some entries; the position of the last."""

    async def write() -> int:
        state = PostgresState(planes.url)
        try:
            await append(state, 20, prefix)
            async with state.changing("system") as work:
                work.record(LoginEnded(login="a-login", person="admin@example.com", reason="it is over"))
            async with state.reading() as reading:
                return await reading.ledger_head()
        finally:
            await state.close()

    return asyncio.run(write())


def _teller(planes: ControlPlanes, *, other_than: str = "") -> str:
    """Its name among the two, once there is one."""
    names = {process.pid: name for name, process in planes.processes.items()}
    found: list[str] = []

    def there() -> bool:
        with psycopg.connect(planes.url) as connection:
            row = connection.execute(
                "SELECT teller FROM interlock.tellings WHERE sink = 'siem' AND until > clock_timestamp()"
            ).fetchone()
        if row is not None and row[0]:
            found.append(names.get(int(row[0].split("/")[1]), ""))
        return bool(found and found[-1] and found[-1] != other_than)

    _until(there)
    return found[-1]


def _doctor(planes: ControlPlanes, name: str, about: str = "sink siem") -> str:
    said = planes.stack.run(None, "doctor", "--data", str(planes.folder(name)), "--json", check=False).stdout
    document = json.loads(said)
    findings = document["findings"] if isinstance(document, dict) else document
    return " ".join(json.dumps(one) for one in findings if about in json.dumps(one))


def _says_stopped(planes: ControlPlanes, name: str) -> bool:
    return "gateways are stopped" in _doctor(planes, name)


def test_one_of_two_tells_and_whatever_becomes_of_it_nothing_is_lost() -> None:
    listener = HttpListener()
    with listening(listener), running_control_planes(_CONFIG.replace("PORT", str(listener.port)), {}) as planes:

        def has(position: int) -> bool:
            return set(listener.got) >= set(range(1, position + 1))

        head = _happen(planes, "both-")
        _until(lambda: has(head))
        time.sleep(1)
        assert set(Counter(listener.got).values()) == {1}, "two control planes, and each event once"
        # stopped, taken over from, and awake again
        stopped = _teller(planes)
        os.kill(planes.processes[stopped].pid, signal.SIGSTOP)
        try:
            head = _happen(planes, "stopped-")
            _until(lambda: has(head))
            assert _teller(planes) != stopped
        finally:
            os.kill(planes.processes[stopped].pid, signal.SIGCONT)
        head = _happen(planes, "awake-")
        _until(lambda: has(head))
        # what is wrong is known to either, also to the one that tells nobody
        listener.down()
        _happen(planes, "unheard-")
        _until(lambda: _says_stopped(planes, "first"))
        assert _says_stopped(planes, "second"), planes.stack.run(
            None, "doctor", "--data", str(planes.folder("second")), check=False
        ).stdout
        for name in ("first", "second"):
            said = _doctor(planes, name, "receiver idp")
            assert "is behind" in said, said
            assert "https://127.0.0.1:1/events does not answer" in said
        listener.up()
        head = _happen(planes, "heard-")
        _until(lambda: has(head))
        # killed
        killed = _teller(planes)
        planes.kill(killed)
        head = _happen(planes, "killed-")
        _until(lambda: has(head))
        assert _teller(planes) != killed
        counted = Counter(listener.got)
        assert set(counted) == set(range(1, max(counted) + 1)), "none is left out"
        assert sum(counted.values()) - len(counted) <= 2 * _BATCH, "at most a batch comes again for each of the two"
