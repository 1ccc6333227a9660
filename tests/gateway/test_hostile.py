"""Bytes that mean nothing, sides that say nothing, obligations that nobody keeps: each ends as it should, alone."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from interlock.domain.snapshot import PolicyText
from interlock.errors import Failure
from interlock.gateway.listening import open_listener
from interlock.gateway.settings import Limits, Listen
from interlock.policy.load import digest_of
from tests.gateway.world import gateway, outer_worker, policy, surroundings, until

LIMITED = """
@id("a-few-only")
@limit("10")
permit (principal, action == Action::"read", resource == Resource::"things")
when { context.roles.contains("reader") };
"""


async def test_random_bytes_end_their_own_connection_and_nothing_else(tmp_path: Path) -> None:
    noise = random.Random(7)
    async with surroundings(tmp_path, limits=Limits(stranger_s=1.0)) as gate, outer_worker(gate) as worker:
        gate.lend("reader")
        client = await gate.enter()
        for _ in range(60):
            other = await gate.connect()
            starts = [
                b"",
                b"\x16\x03\x01",
                b"HELLO ",
                b"STARTTLS\n",
                b"STARTTLS\n\x16\x03\x01\x00\x05",
                b"INTERRUPT 00\n",
            ]
            other.writer.write(noise.choice(starts) + noise.randbytes(noise.randrange(1, 3000)))
            other.writer.write_eof()
        for other in gate.clients[1:]:
            await other.rest()
        assert await client.ask("get a") == "+(nothing)"
        assert worker.process.returncode is None
        assert [line for line in gate.store.lines if line != "get a"] == []


async def test_an_obligation_that_the_machine_cannot_keep_refuses(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        plain = policy(gate.store.port, version=2, more="cedar: policies\n")
        cedar = {"limits.cedar": LIMITED}
        gate.desk.change_policy(PolicyText(2, digest_of(plain.yaml, cedar), plain.yaml, cedar))
        gate.lend("reader")
        client = await gate.enter()
        assert (await client.ask("get a")).startswith("-The policy allows this only with RowLimit, which the gateway")
        assert not gate.store.lines


async def test_a_resource_that_says_nothing_is_left(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=Limits(handshake_s=0.3)) as gate:
        visitors: list[asyncio.StreamWriter] = []

        async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            visitors.append(writer)

        async with await asyncio.start_server(listen, "127.0.0.1", 0) as silent:
            port = silent.sockets[0].getsockname()[1]
            changed = policy(port, version=2, tls=f"{{mode: verify-full, ca: {tmp_path / 'keys' / 'authority.pem'}}}")
            gate.desk.change_policy(changed)
            gate.lend("reader")
            assert await gate.knock() == "*The store cannot be reached: things did not let the gateway in in time"
            for visitor in visitors:
                visitor.close()


async def test_a_grant_that_ends_while_the_resource_is_being_reached_ends_the_attempt(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        visitors: list[asyncio.StreamWriter] = []

        async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            visitors.append(writer)
            gate.desk.drop("grants", "g-1")

        async with await asyncio.start_server(listen, "127.0.0.1", 0) as silent:
            port = silent.sockets[0].getsockname()[1]
            changed = policy(port, version=2, tls=f"{{mode: verify-full, ca: {tmp_path / 'keys' / 'authority.pem'}}}")
            gate.desk.change_policy(changed)
            gate.lend("reader")
            assert "g-1 (reader) has ended" in await gate.knock()
            for visitor in visitors:
                visitor.close()
        assert not gate.desk.starts


async def test_one_report_that_is_refused_keeps_no_other_from_landing(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        gate.desk.refuse_first_report = True
        one, other = await gate.enter(), await gate.enter()
        await until(lambda: len(gate.desk.starts) == 1)
        one.close()
        other.close()
        await until(lambda: len(gate.desk.ends) == 1)


def test_a_port_is_shared_among_workers_and_with_nobody_else() -> None:
    first = open_listener("toy", Listen("127.0.0.1", 0))
    port = first.getsockname()[1]
    second = open_listener("toy", Listen("127.0.0.1", port))
    first.close()
    second.close()
    with pytest.raises(Failure, match=r"cannot listen for toy on 192\.0\.2\.1:7: Cannot assign"):
        open_listener("toy", Listen("192.0.2.1", 7))


async def test_a_protocol_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as gate:
        gate.address = ("", 0)
        settings = replace(gate.settings(), listen={"telnet": Listen("127.0.0.1", 0)})
        with pytest.raises(Failure, match="There is no protocol telnet to listen for"):
            async with gate.working(settings):
                pass
