"""SSH certificates as the gateway takes them: whose they are, until when, and that no byte of them can be another."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.hazmat.primitives.serialization.ssh import SSHCertificate, load_ssh_public_identity

from interlock.domain.grants import Login
from interlock.domain.snapshot import PolicyText, Snapshot
from interlock.gateway.admission import read_key_certificate
from interlock.identity.keys import new_key, thumbprint
from interlock.identity.ssh_authority import (
    HOST_CERTIFICATE,
    OVERLAP,
    BadCertificateError,
    SshAuthority,
    read_user_certificate,
    rotate,
)
from interlock.ports.protocol import Refused

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def authority(tmp_path: Path) -> SshAuthority:
    return SshAuthority.open(tmp_path, NOW)


def login_of(key: EllipticCurvePrivateKey, person: str = "dev@acme.example") -> Login:
    return Login("l-1", person, thumbprint(key.public_key()), NOW, NOW + 8 * HOUR, NOW)


def blob_of(authority: SshAuthority, key: EllipticCurvePrivateKey, login: Login) -> bytes:
    line = authority.issue_user(key.public_key(), login=login, ends_at=NOW + HOUR, at=NOW)
    return base64.b64decode(line.split()[1])


def judged(authority: SshAuthority, blob: bytes, login: Login, at: datetime) -> Login | Refused:
    known = Snapshot(1, NOW, PolicyText(1, "", ""), logins={login.id: login})
    return read_key_certificate(blob, authority.line, known, at)


def code_of(answer: Login | Refused) -> str:
    return answer.code if isinstance(answer, Refused) else ""


def test_the_window_begins_in_it_and_ends_before_its_end(authority: SshAuthority) -> None:
    key = new_key()
    login = login_of(key)
    blob = blob_of(authority, key, login)
    last = NOW + HOUR
    assert judged(authority, blob, login, NOW) == login
    assert judged(authority, blob, login, last - timedelta(microseconds=1)) == login
    assert code_of(judged(authority, blob, login, last)) == "expired"
    assert code_of(judged(authority, blob, login, NOW - timedelta(minutes=2, microseconds=1))) == "expired"


def test_a_login_that_is_somebody_elses_by_now_or_over_opens_nothing(authority: SshAuthority) -> None:
    key = new_key()
    login = login_of(key)
    blob = blob_of(authority, key, login)
    assert code_of(judged(authority, blob, replace(login, person="mate@acme.example"), NOW)) == "wrong-person"
    assert code_of(judged(authority, blob, replace(login, ended_at=NOW), NOW)) == "login-ended"
    another = replace(login, key=thumbprint(new_key().public_key()))
    assert isinstance(judged(authority, blob, another, NOW), Refused)


def test_another_authority_says_nothing(authority: SshAuthority, tmp_path: Path) -> None:
    key = new_key()
    stranger = SshAuthority.open(tmp_path / "elsewhere", NOW)
    assert code_of(judged(authority, blob_of(stranger, key, login_of(key)), login_of(key), NOW)) == "bad-certificate"


def test_no_byte_of_it_can_be_another(authority: SshAuthority) -> None:
    key = new_key()
    blob = blob_of(authority, key, login_of(key))
    for place in range(len(blob)):
        for bit in (1, 0x80):
            flipped = bytearray(blob)
            flipped[place] ^= bit
            with pytest.raises(BadCertificateError):
                read_user_certificate(bytes(flipped), authority.line)
    for length in range(len(blob)):
        with pytest.raises(BadCertificateError):
            read_user_certificate(blob[:length], authority.line)


def test_a_type_with_a_space_in_it_is_no_way_to_show_a_certificate_of_somebody_else(authority: SshAuthority) -> None:
    theirs = new_key()
    blob = blob_of(authority, theirs, login_of(theirs))
    size = int.from_bytes(blob[:4])
    line = blob[4 : 4 + size] + b" " + base64.b64encode(blob)
    with pytest.raises(BadCertificateError):
        read_user_certificate(len(line).to_bytes(4) + line + b"whatever the client holds the key of", authority.line)


def test_the_last_authority_is_taken_for_a_day_and_a_forgotten_one_is_not(tmp_path: Path) -> None:
    authority, key = SshAuthority.open(tmp_path, NOW), new_key()
    first, login = authority.line, login_of(key)
    old = blob_of(authority, key, login)
    authority.ensure_host(tmp_path, ["gateway.example"], NOW)
    line, until = rotate(tmp_path, NOW)
    assert until == NOW + OVERLAP
    assert authority.reopen(tmp_path, NOW)
    assert not authority.reopen(tmp_path, NOW)
    assert list(authority.lines) == [line, first]
    trusted = (tmp_path / "ssh_authority.pub").read_text()
    assert trusted == f"{line}\n{first}\n"
    for blob in (old, blob_of(authority, key, login)):
        assert read_user_certificate(blob, trusted).login == login.id
    with pytest.raises(BadCertificateError, match="another authority"):
        read_user_certificate(blob_of(authority, key, login), first)
    # Who learned of the first one alone still knows the listeners.
    assert _host_signer(authority, tmp_path) == first
    assert authority.reopen(tmp_path, until)
    assert list(authority.lines) == [line]
    with pytest.raises(BadCertificateError, match="another authority"):
        read_user_certificate(old, (tmp_path / "ssh_authority.pub").read_text())
    assert _host_signer(authority, tmp_path) == line
    rotate(tmp_path, until)
    assert len(list(tmp_path.glob("ssh_authority.until-*.key"))) == 1


def test_two_rotations_in_a_day_forget_nobody(tmp_path: Path) -> None:
    authority = SshAuthority.open(tmp_path, NOW)
    lines = [authority.line]
    for number in (1, 2):
        lines.insert(0, rotate(tmp_path, NOW + number * HOUR)[0])
        authority.reopen(tmp_path, NOW + number * HOUR)
    assert authority.lines == tuple(lines)
    assert _host_signer(authority, tmp_path) == lines[-1]
    authority.reopen(tmp_path, NOW + OVERLAP + HOUR)
    assert authority.lines == tuple(lines[:2])


def test_a_key_that_leaked_is_taken_no_more_once_its_file_is_gone(tmp_path: Path) -> None:
    authority, key = SshAuthority.open(tmp_path, NOW), new_key()
    leaked = blob_of(authority, key, login_of(key))
    rotate(tmp_path, NOW)
    authority.reopen(tmp_path, NOW)
    (file,) = tmp_path.glob("ssh_authority.until-*.key")
    file.unlink()
    assert authority.reopen(tmp_path, NOW)
    with pytest.raises(BadCertificateError, match="another authority"):
        read_user_certificate(leaked, (tmp_path / "ssh_authority.pub").read_text())
    assert _host_signer(authority, tmp_path) == authority.line


def test_no_line_at_all_verifies_nothing(authority: SshAuthority) -> None:
    key = new_key()
    blob = blob_of(authority, key, login_of(key))
    for nothing in ("", "\n", "\n\n  \n", "ecdsa-sha2-nistp256\n"):
        with pytest.raises(BadCertificateError, match="another authority"):
            read_user_certificate(blob, nothing)


def _host_signer(authority: SshAuthority, folder: Path) -> str:
    authority.ensure_host(folder, ["gateway.example"], NOW)
    certificate = load_ssh_public_identity((folder / HOST_CERTIFICATE).read_bytes())
    if not isinstance(certificate, SSHCertificate):
        raise TypeError("no certificate")
    return certificate.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
