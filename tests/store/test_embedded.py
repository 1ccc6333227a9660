"""The embedded server: made, found again, killed in every way, and never left behind."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvloop
from sqlalchemy import text

from interlock.errors import Failure, Misuse
from interlock.store.binaries import find_binaries
from interlock.store.connecting import connect, open_engine
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.failures import as_failures
from tests.support.databases import server_folder

QUICK = {"fsync": "off"}


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder() as made:
        yield made


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(folder / "postgres", settings=QUICK)
    made.start()
    yield made
    made.stop()


def _run(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        result = connection.execute(statement.encode())
        row = result.fetchone() if result.description else None
    return row[0] if row else None


def _wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _answers(url: str) -> bool:
    try:
        return _run(url, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def test_it_keeps_what_was_committed(folder: Path) -> None:
    for expected in (1, 2):
        server = EmbeddedPostgres(folder / "postgres", settings=QUICK)
        server.start()
        _run(server.url, "CREATE TABLE IF NOT EXISTS kept (x int)")
        _run(server.url, "INSERT INTO kept VALUES (1)")
        assert _run(server.url, "SELECT count(*) FROM kept") == expected
        pid = server.pid
        server.stop()
        assert pid is not None
        assert not _alive(pid)
        assert server.pid is None
        server.stop()


def test_its_settings_are_safe_and_small(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    shown = {
        name: _run(server.url, f"SHOW {name}")
        for name in ("fsync", "listen_addresses", "max_connections", "server_encoding", "timezone", "data_checksums")
    }
    server.stop()
    assert shown == {
        "fsync": "on",
        "listen_addresses": "",
        "max_connections": "100",
        "server_encoding": "UTF8",
        "timezone": "UTC",
        "data_checksums": "on",
    }


def test_nobody_else_gets_in(server: EmbeddedPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url.replace("postgres:", "postgres:x", 1))
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(f"host={server.folder / 'run'} user=postgres dbname=postgres")
    assert _mode(server.folder / "secrets.json") == 0o600
    assert _mode(server.folder / "data") == 0o700
    assert _mode(server.folder / "run") == 0o700
    assert _mode(server.folder / "server.log") == 0o600
    assert _mode(server.folder) == (0o711 if os.geteuid() == 0 else 0o700)


def test_it_does_not_run_as_root(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    assert Path(f"/proc/{server.pid}").stat().st_uid != 0
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{server.pid}/status").read_text().splitlines())
    assert "0" not in status["Uid"].split()
    assert "0" not in status["Gid"].split()
    assert os.geteuid() != 0 or not status["Groups"].split()


def test_its_log_names_no_secret(server: EmbeddedPostgres) -> None:
    _run(server.url, "CREATE TABLE t (x text UNIQUE)")
    for _ in range(2):
        try:
            _run(server.url, "INSERT INTO t VALUES ('hunter2')")
        except psycopg.errors.UniqueViolation:
            said = (server.folder / "server.log").read_text()
            assert "duplicate key" in said
            assert "hunter2" not in said


def test_a_second_one_in_the_folder_is_refused(server: EmbeddedPostgres) -> None:
    second = EmbeddedPostgres(server.folder)
    with pytest.raises(Failure, match=rf"in use by another running Interlock \(process {os.getpid()}\)"):
        second.start()
    assert _answers(server.url)
    with pytest.raises(Misuse):
        server.start()


def test_killed_in_the_middle_of_a_transaction_it_comes_back_by_itself(server: EmbeddedPostgres) -> None:
    _run(server.url, "CREATE TABLE t (x int)")
    _run(server.url, "INSERT INTO t VALUES (1)")
    for number in range(3):
        with psycopg.connect(server.url) as connection:
            connection.execute("INSERT INTO t VALUES (99)")
            before = server.pid
            assert before is not None
            os.kill(before, signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT pg_sleep(30)")
            connection.close()
        _wait_until(lambda: _answers(server.url))
        assert server.pid != before
        assert _run(server.url, "SELECT array_agg(x ORDER BY x) FROM t") == [*range(1, number + 2)]
        _run(server.url, f"INSERT INTO t VALUES ({number + 2})")


async def test_a_pool_finds_a_server_again_that_was_away(server: EmbeddedPostgres) -> None:
    """At once, when its connections were used a moment ago, and after a while."""
    engine = open_engine(server.url, connections=4)

    async def answers() -> bool:
        async with engine.connect() as connection:
            return bool((await connection.execute(text("SELECT 1"))).scalar_one() == 1)

    try:
        for rest_s in (0.0, 1.2):
            assert await asyncio.gather(*(answers() for _ in range(4))) == [True] * 4
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            await asyncio.sleep(rest_s)
            assert await asyncio.gather(*(answers() for _ in range(4))) == [True] * 4
    finally:
        await engine.dispose()


async def test_a_connection_that_died_unheard_is_not_handed_out(server: EmbeddedPostgres) -> None:
    """Its socket still looks open: what rested is asked before it is used."""
    engine = open_engine(server.url, connections=2)
    try:
        async with engine.connect() as connection:
            pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        await asyncio.sleep(1.2)
        # no turn of the loop between the end and the use
        os.kill(pid, signal.SIGTERM)
        with psycopg.connect(server.url, autocommit=True) as other:
            _wait_until(lambda: not other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchall())
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one() != pid
    finally:
        await engine.dispose()


def test_where_no_server_is_is_said(folder: Path) -> None:
    for run in (asyncio.run, uvloop.run):
        error = _error_of(run, "postgresql://dev:secret@127.0.0.1:1/state")
        assert "127.0.0.1:1" in error
        assert "secret" not in error
        assert str(folder) in _error_of(run, f"postgresql:///state?host={folder}&password=secret")


def _error_of(run: Callable[[Coroutine[Any, Any, object]], object], url: str) -> str:
    with pytest.raises(Failure) as caught, as_failures():
        run(connect(url))
    return str(caught.value)


def test_a_backend_that_is_killed_takes_nothing_with_it(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        before = server.pid
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
    _wait_until(lambda: _answers(server.url))
    assert server.pid == before


_PARENT = """
import sys, time
from pathlib import Path
from interlock.store.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"})
server.start()
print(server.pid, server.url, flush=True)
time.sleep(600)
"""


def test_it_does_not_outlive_a_killed_parent_and_starts_again_at_once(folder: Path) -> None:
    place = folder / "postgres"
    for number in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", _PARENT, str(place)], stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as parent:
            assert parent.stdout is not None
            pid, url = parent.stdout.readline().split()
            if number == 0:
                _run(url, "CREATE TABLE t (x int)")
            _run(url, f"INSERT INTO t VALUES ({number})")
            busy = psycopg.connect(url)
            # A backend that works while its server is told to stop: the next start has to wait for both.
            busy.execute("INSERT INTO t SELECT 99 FROM generate_series(1, 100000)")
            parent.kill()
        busy.close()
        server = EmbeddedPostgres(place, settings=QUICK)
        server.start()
        assert not _alive(int(pid))
        assert server.url == url
        assert _run(server.url, "SELECT count(*) FROM t WHERE x < 99") == number + 1
        server.stop()


def test_a_start_that_was_killed_is_done_again(folder: Path) -> None:
    place = folder / "postgres"
    for delay_s in (0.05, 0.2, 0.35, 0.5):
        with subprocess.Popen([sys.executable, "-c", _PARENT, str(place)], stdout=subprocess.DEVNULL) as parent:
            time.sleep(delay_s)
            parent.kill()
    server = EmbeddedPostgres(place, settings=QUICK)
    server.start()
    assert _answers(server.url)
    server.stop()


def test_a_stale_pid_file_stops_nothing(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres", settings=QUICK)
    server.start()
    server.stop()
    stale = folder / "postgres" / "data" / "postmaster.pid"
    rest = f"\n{stale.parent}\n1\n5432\n\n\n\nready\n"
    for content in (f"1{rest}", f"{os.getpid()}{rest}", f"999999999{rest}", f"-5{rest}", f"nonsense{rest}", ""):
        stale.write_text(content)
        server.start()
        assert _answers(server.url)
        server.stop()


def test_a_socket_path_that_is_too_long_is_made_short(folder: Path) -> None:
    place = folder / ("long-" * 20) / "postgres"
    place.parent.mkdir(mode=0o711)
    server = EmbeddedPostgres(place, settings=QUICK)
    server.start()
    with psycopg.connect(server.url) as connection:
        where = Path(connection.info.host)
    assert len(bytes(where / ".s.PGSQL.5432")) < 60
    assert _mode(where) == 0o700
    server.stop()
    assert not where.exists()


def test_a_short_folder_that_is_not_ours_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    place = folder / ("long-" * 20) / "postgres"
    place.parent.mkdir(mode=0o711)
    server = EmbeddedPostgres(place, settings=QUICK)
    server.start()
    short = next(folder.glob("interlock-*"))
    server.stop()
    short.mkdir(mode=0o777)
    short.chmod(0o777)
    with pytest.raises(Failure, match="made by somebody else"):
        server.start()
    short.rmdir()
    short.symlink_to("/tmp")
    with pytest.raises(Failure, match="made by somebody else"):
        server.start()


def test_a_folder_that_the_account_cannot_reach_is_named(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o711)
    server = EmbeddedPostgres(closed / "postgres", settings=QUICK)
    closed.chmod(0o700 if os.geteuid() == 0 else 0o600)
    try:
        with pytest.raises(Failure, match=str(closed)) as failure:
            server.start()
    finally:
        closed.chmod(0o711)
    assert failure.value.remedy
    server.start()
    server.stop()


def test_a_cluster_of_another_version_is_a_sentence(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres", settings=QUICK)
    server.start()
    server.stop()
    (folder / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(Failure, match="was made by PostgreSQL 9, and only"):
        server.start()


def test_the_servers_last_words_are_in_the_sentence(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres", settings={**QUICK, "shared_buffers": "lots"})
    with pytest.raises(Failure, match=r"did not start.*shared_buffers"):
        server.start()
    server = EmbeddedPostgres(folder / "postgres", settings=QUICK)
    server.start()
    server.stop()


def test_lost_passwords_are_a_sentence(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres", settings=QUICK)
    server.start()
    server.stop()
    (folder / "postgres" / "secrets.json").unlink()
    server.start()
    try:
        with pytest.raises(Failure, match="cannot be read"):
            _ = server.url
    finally:
        server.stop()


def test_it_can_listen_on_the_loopback_with_a_password_of_ones_own(folder: Path) -> None:
    for password in ('it\'s; "fine"', "another"):
        server = EmbeddedPostgres(folder / "orders", port=0, password=password, database="orders", settings=QUICK)
        server.start()
        assert server.port
        with psycopg.connect(
            host="127.0.0.1", port=server.port, user="postgres", password=password, dbname="orders"
        ) as connection:
            row = connection.execute("SHOW listen_addresses").fetchone()
            assert row == ("127.0.0.1",)
        assert _run(server.url, "SELECT current_database()") == "orders"
        server.stop()


def test_its_logins_are_ordinary_roles(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres", logins=("one", "two"), database="things", settings=QUICK)
    server.start()
    try:
        assert _run(server.url_for("one"), "SELECT current_user || ' in ' || current_database()") == "one in things"
        assert _run(server.url_for("one"), "CREATE SCHEMA mine") is None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            _run(server.url_for("two"), "CREATE SCHEMA mine")
        with pytest.raises(Misuse):
            server.url_for("three")
    finally:
        server.stop()


def test_the_programs_are_found() -> None:
    found = find_binaries()
    assert found.major >= 14
    assert find_binaries(found.major) == found
    with pytest.raises(Failure, match="was made by PostgreSQL 8"):
        find_binaries(8)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
