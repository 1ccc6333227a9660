"""The authority's certificates in front of OpenSSL's own programs."""

import asyncio
import subprocess
from datetime import timedelta
from pathlib import Path

from interlock.domain.grants import Login
from interlock.identity.authority import Authority, make_request
from interlock.identity.keys import load_or_create_key, new_key, private_pem, thumbprint
from tests.identity.settings import NOW
from tests.web.conftest import house
from tests.web.house import House

__all__ = ["house"]


def _openssl(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["openssl", *words], capture_output=True, text=True, check=False, timeout=30)


def _client_certificate(authority: Authority, folder: Path) -> tuple[Path, Path]:
    key = new_key()
    login = Login("l-12345678", "dev@acme.example", thumbprint(key), NOW, NOW + timedelta(hours=2), NOW)
    certificate, private = folder / "client.pem", folder / "client.key"
    certificate.write_text(authority.issue_client(make_request(key), login=login, at=NOW))
    private.write_bytes(private_pem(key))
    return certificate, private


def test_openssl_verifies_what_the_authority_issues_for_its_purpose_alone(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, NOW)
    other = Authority.open(tmp_path / "other", NOW)
    client, _ = _client_certificate(authority, tmp_path)
    key = load_or_create_key(tmp_path / "server.key")
    server = tmp_path / "server.pem"
    server.write_bytes(authority.issue_server(key.public_key(), ["localhost", "127.0.0.1"], NOW))
    at = ("-attime", str(int(NOW.timestamp()) + 60), "-x509_strict")
    ours, theirs = tmp_path / "authority.pem", tmp_path / "other" / "authority.pem"
    assert other.pem != authority.pem

    def verify(authority_file: Path, purpose: str, certificate: Path, *more: str) -> bool:
        words = ("verify", *at, *more, "-CAfile", str(authority_file), "-purpose", purpose, str(certificate))
        return _openssl(*words).returncode == 0

    assert verify(ours, "sslclient", client)
    assert verify(ours, "sslserver", server, "-verify_hostname", "localhost")
    assert verify(ours, "sslserver", server, "-verify_ip", "127.0.0.1")
    assert not verify(theirs, "sslclient", client)
    assert not verify(ours, "sslserver", client)
    assert not verify(ours, "sslclient", server)
    assert not verify(ours, "sslserver", server, "-verify_hostname", "elsewhere.example")
    late = str(int(NOW.timestamp()) + 3 * 3600)
    assert _openssl("verify", "-attime", late, "-CAfile", str(ours), str(client)).returncode != 0


async def test_s_client_takes_the_consoles_certificate(house: House, tmp_path: Path) -> None:
    pinned = tmp_path / "pinned.pem"
    pinned.write_text(house.authority.pem)
    address = house.server.removeprefix("https://")

    async def handshake(authority: Path, name: str) -> int:
        words: tuple[str, ...] = ("s_client", "-connect", address, "-CAfile", str(authority), "-verify_return_error")
        words += ("-verify_hostname", name, "-tls1_3", "-brief")
        done = await asyncio.to_thread(_openssl, *words)
        return done.returncode

    assert await handshake(pinned, "localhost") == 0
    assert await handshake(pinned, "elsewhere.example") != 0
    Authority.open(tmp_path / "stranger", house.clock.now())
    assert await handshake(tmp_path / "stranger" / "authority.pem", "localhost") != 0
