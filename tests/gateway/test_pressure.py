"""Slow sides cost bounded memory, in both directions, in plain and under TLS."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.gateway.world import Gate, ToyClient, WorkerProcess, outer_worker, surroundings, until

_LOT = 512 * 1024 * 1024
_BOUND_KIB = 24 * 1024


def _resident_kib(worker: WorkerProcess) -> int:
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


async def _enter(gate: Gate, *, tls: bool) -> ToyClient:
    if not tls:
        return await gate.enter()
    context = ssl.create_default_context(cafile=gate.folder / "keys" / "authority.pem")
    context.load_cert_chain(gate.certificate())
    client = ToyClient(*await asyncio.open_connection(*gate.address, ssl=context, server_hostname="localhost"))
    gate.clients.append(client)
    assert (await client.ask("HELLO things")).startswith("+welcome")
    return client


@pytest.mark.parametrize("tls", [False, True])
async def test_a_client_that_does_not_read_holds_the_upstream_back(tmp_path: Path, tls: bool) -> None:
    async with surroundings(tmp_path) as gate, outer_worker(gate) as worker:
        gate.lend("reader")
        client = await _enter(gate, tls=tls)
        before = _resident_kib(worker)
        await client.say(f"dump {_LOT}")
        await asyncio.sleep(1.0)
        assert _resident_kib(worker) - before < _BOUND_KIB
        assert not gate.store.lines[1:]
        other = await gate.enter()
        assert await other.ask("get a") == "+(nothing)"


async def test_everything_arrives_at_a_client_that_reads_slowly(tmp_path: Path) -> None:
    size = 48 * 1024 * 1024
    async with surroundings(tmp_path) as gate, outer_worker(gate) as worker:
        gate.lend("reader")
        client = await _enter(gate, tls=True)
        before = _resident_kib(worker)
        assert await client.ask(f"dump {size}") == f"={size}"
        left = size
        while left:
            left -= len(await client.reader.readexactly(min(left, 1 << 20)))
        assert _resident_kib(worker) - before < _BOUND_KIB
        client.close()
        await until(lambda: gate.desk.starts)
        (session,) = gate.desk.starts
        records = await gate.recording(session)
        assert records[2]["size_bytes"] == size + len(f"={size}\n")


async def test_a_client_that_sends_without_end_is_held_back(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as gate, outer_worker(gate) as worker:
        gate.lend("reader")
        client = await gate.enter()
        before = _resident_kib(worker)
        await client.say("wait 60000")
        pushing = asyncio.create_task(_push(client))
        await asyncio.sleep(1.0)
        assert not pushing.done()
        assert _resident_kib(worker) - before < _BOUND_KIB
        gate.desk.drop("grants", "g-1")
        await until(lambda: pushing.done() or gate.desk.ends)
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)


async def _push(client: ToyClient) -> None:
    for _ in range(4096):
        client.writer.write(b"get a\n" * 10_000)
        await client.writer.drain()
