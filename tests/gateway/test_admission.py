"""Who is let in, and what everybody else is told."""

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from interlock.domain.snapshot import UpstreamCredential
from interlock.gateway.settings import Limits
from interlock.identity.authority import Authority
from interlock.identity.keys import new_key
from interlock.ports.control import PasswordHolder
from tests.gateway.world import DEV, Gate, ToyClient, gateway, until


def _context(gate: Gate, certificate: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=gate.folder / "keys" / "authority.pem")
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


async def _secure(gate: Gate, certificate: Path | None = None) -> ToyClient:
    client = await gate.connect()
    assert await client.ask("STARTTLS") == "+TLS"
    await client.writer.start_tls(_context(gate, certificate), server_hostname="localhost")
    return client


async def test_a_certificate_opens_a_session(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await _secure(gate, gate.certificate())
        assert await client.ask("HELLO things") == f"+welcome {DEV} (read only)"
        assert await client.ask("get a") == "+(nothing)"


async def test_tls_may_start_at_once(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("writer")
        context = _context(gate, gate.certificate())
        context.set_alpn_protocols(["toy"])
        reader, writer = await asyncio.open_connection(*gate.address, ssl=context, server_hostname="localhost")
        client = ToyClient(reader, writer)
        assert await client.ask("HELLO things") == f"+welcome {DEV}"
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "toy"
        client.close()


async def test_each_no_says_why_and_what_to_type(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        certificate = gate.certificate()
        no_grant = (
            '-You have no grant on things. To ask for one: interlock request things --role reader --for 8h --reason "…"'
        )
        assert await (await _secure(gate, certificate)).ask("HELLO things") == no_grant
        grant = gate.lend("reader")
        gate.desk.put("grants", "g-1", replace(grant, key="another"))
        said = await (await _secure(gate, certificate)).ask("HELLO things")
        assert "g-1 (reader) is bound to another key than this login's" in said
        gate.desk.put("grants", "g-1", replace(grant, starts_at=grant.ends_at - timedelta(seconds=1)))
        assert "starts at" in await (await _secure(gate, certificate)).ask("HELLO things")
        assert "There is no resource nothing" in await (await _secure(gate, certificate)).ask("HELLO nothing")
        gate.lend("reader")
        gate.desk.drop("credentials", "things")
        assert "has no secret for things" in await (await _secure(gate, certificate)).ask("HELLO things")
        gate.desk.put("credentials", "things", UpstreamCredential("toy"))
        gate.desk.drop("contracts", "acme-work")
        said = await (await _secure(gate, certificate)).ask("HELLO things")
        assert "the contract acme-work does not run" in said
        assert "ask your sponsor" in said
        gate.desk.drop("logins", "l-1")
        said = await (await _secure(gate, certificate)).ask("HELLO things")
        assert said == "-Your login l-1 is over. Type: interlock login"


async def test_a_certificate_that_is_over_is_told_so_in_a_sentence(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        then = datetime.now(UTC) - timedelta(hours=9)
        over = gate.certificate(replace(gate.login, ends_at=then + timedelta(hours=1)), at=then)
        said = await (await _secure(gate, over)).ask("HELLO things")
        assert said.startswith("-Your client certificate is valid until")
        assert said.endswith("Type: interlock login")


async def test_a_certificate_for_another_key_than_the_logins_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        gate.desk.put("logins", "l-1", gate.login)
        gate.login_key = new_key()
        said = await (await _secure(gate, gate.certificate())).ask("HELLO things")
        assert "has another key than the login l-1" in said


async def test_a_certificate_of_another_authority_never_gets_through_tls(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        other = Gate(tmp_path, Authority.open(tmp_path / "other", datetime.now(UTC)), gate.desk, gate.store)
        client = await _secure(gate, other.certificate())
        await client.say("HELLO things")
        assert await client.line() == ""


async def test_a_password_is_for_one_connection_to_one_resource(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        gate.desk.passwords["sesame@things"] = PasswordHolder(DEV, "l-1")
        assert (await (await gate.connect()).ask("HELLO others sesame")).startswith("-This password")
        assert (await (await gate.connect()).ask("HELLO things sesame")).startswith("+welcome")
        assert (await (await gate.connect()).ask("HELLO things sesame")).startswith("-This password")


async def test_an_unreachable_resource_is_a_sentence(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        gate.store.close()
        gate.desk.passwords["sesame@things"] = PasswordHolder(DEV, "l-1")
        client = await gate.connect()
        said = await client.ask("HELLO things sesame")
        assert said == f"*The store cannot be reached: 127.0.0.1:{gate.store.port}: Connection refused"
        await until(lambda: gate.worker is not None and not len(gate.worker.shared.sessions))
        assert not gate.desk.starts


async def test_silent_clients_are_bounded_in_number_and_delay_nobody(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=Limits(strangers_per_address=5)) as gate:
        gate.lend("reader")
        silent = [await gate.connect() for _ in range(20)]
        client = await gate.enter()
        assert await client.ask("get a") == "+(nothing)"
        await until(lambda: sum(one.reader.at_eof() for one in silent) >= 15)
        assert gate.worker is not None
        assert len(gate.worker.shared.strangers) <= 5


async def test_silent_clients_are_bounded_in_seconds(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=Limits(stranger_s=0.3)) as gate:
        client = await gate.connect()
        assert await client.line() == ""


async def test_strangers_are_bounded_in_bytes(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=Limits(stranger_bytes=4096)) as gate:
        client = await gate.connect()
        client.writer.write(b"\x16\x03\x01\x02\x00" + b"x" * 100)
        client.writer.write(b"x" * 100_000)
        assert await client.line() == ""
        await until(lambda: gate.worker is not None and not len(gate.worker.shared.strangers))


async def test_a_port_scan_leaves_nothing_behind(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for _ in range(20):
            (await gate.connect()).writer.write_eof()
        await until(lambda: gate.worker is not None and not len(gate.worker.shared.strangers))
