"""What `interlock login` leaves in a home, in the hands of programs that are not ours: psql and OpenSSL's s_client."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interlock.app.psql import find_psql
from interlock.identity.authority import Authority
from tests.support.stack import Member, Stack

_RESOURCE = "store"


@pytest.fixture(scope="module")
def reading(stack: Stack, ann: Member, lead: Member) -> Iterator[Member]:
    """Ann, while she may read."""
    grant = stack.grant(ann, _RESOURCE, "reader", [lead])
    yield ann
    stack.ask(ann, "end", grant, "--reason", "enough")


def _psql(stack: Stack, member: Member, **other: str) -> "subprocess.CompletedProcess[str]":
    """One question, by psql's own libpq, with the files of the member's home; ``other`` replaces variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    words = ("--no-psqlrc", "--no-password", "-At", "-c", "SELECT count(*) FROM orders")
    environment = {**kept, "HOME": str(stack.folder), **stack.variables(member, _RESOURCE), **other}
    return subprocess.run(
        [find_psql(), *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def _s_client(stack: Stack, member: Member, *more: str, authority: Path | None = None) -> str:
    """What OpenSSL says of the gateway's side of a handshake."""
    words = ["openssl", "s_client", "-starttls", "postgres", "-connect", stack.ports["postgres"], "-tls1_3"]
    words += ["-CAfile", str(authority or member.home / "authority.pem"), "-verify_return_error", "-x509_strict"]
    words += ["-purpose", "sslserver", "-cert", str(member.home / "certificate.pem")]
    words += ["-key", str(member.home / "key.pem"), *more]
    done = subprocess.run(words, input="", capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def _stranger(folder: Path) -> Path:
    """The certificate of an authority that is not this gateway's."""
    Authority.open(folder, datetime.now(UTC))
    return folder / "authority.pem"


def test_psql_signs_in_with_the_files_of_a_home(stack: Stack, reading: Member) -> None:
    done = _psql(stack, reading)
    assert (done.returncode, done.stdout) == (0, "100\n"), done.stderr


def test_psql_without_them_or_with_another_persons_gets_nothing(stack: Stack, reading: Member, boss: Member) -> None:
    nothing = str(stack.folder / "no-such-file")
    without = _psql(stack, reading, PGSSLCERT=nothing, PGSSLKEY=nothing)
    # A certificate is public: without its key it signs nobody in.
    anothers_key = _psql(stack, reading, PGSSLKEY=str(boss.home / "key.pem"))
    # Who says to be Ann is whom the certificate names: the boss, who has no grant.
    anothers_files = _psql(stack, boss, PGUSER=reading.name)
    for done in (without, anothers_key, anothers_files):
        assert done.returncode == 2
        assert done.stdout == ""
    assert "key values mismatch" in anothers_key.stderr
    assert "You have no grant on store" in anothers_files.stderr


def test_psql_refuses_a_gateway_of_another_authority(stack: Stack, reading: Member, tmp_path: Path) -> None:
    done = _psql(stack, reading, PGSSLROOTCERT=str(_stranger(tmp_path)))
    assert done.returncode == 2
    assert "certificate verify failed" in done.stderr


def test_openssl_verifies_the_chain_that_the_gateway_shows(stack: Stack, reading: Member, tmp_path: Path) -> None:
    said = _s_client(stack, reading, "-verify_ip", "127.0.0.1")
    assert "Verify return code: 0 (ok)" in said
    assert "TLSv1.3" in said
    assert "Verify return code: 0 (ok)" in _s_client(stack, reading, "-verify_hostname", "localhost")
    assert "hostname mismatch" in _s_client(stack, reading, "-verify_hostname", "elsewhere.example").lower()
    assert "verify error" in _s_client(stack, reading, authority=_stranger(tmp_path))
