"""Another authority takes over, and whoever signed in since it was announced notices nothing."""

import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from interlock.domain.grants import Login
from interlock.errors import Refusal
from interlock.identity.authority import Authority, fingerprint_of, make_request
from interlock.identity.authority_rotation import NOTICE, OVERLAP, announce, take_over, write_trusted
from interlock.identity.keys import load_or_create_key, new_key, private_pem, thumbprint, write_private
from interlock.identity.reports import read_report
from tests.identity.settings import NOW

LATER = NOW + NOTICE


def _client(authority: Authority) -> x509.Certificate:
    key = new_key()
    login = Login("l-12345678", "dev", thumbprint(key), NOW, NOW + timedelta(hours=8), None)
    return x509.load_pem_x509_certificate(authority.issue_client(make_request(key), login=login, at=NOW).encode())


def _trusts(pem: str) -> int:
    return len(ssl.create_default_context(cadata=pem).get_ca_certs())


def test_announced_then_taking_over_then_alone(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, NOW)
    first, server = authority.fingerprint, authority.ensure_server(tmp_path, ["gw"], NOW)
    by_first, pinned_before, report = _client(authority), authority.pem, authority.sign_report({"a": 1})
    following = announce(tmp_path, NOW)
    authority.reopen(tmp_path, NOW)
    # It is trusted, and certifies nothing: who learned of nothing yet notices nothing.
    assert (authority.fingerprint, _trusts(authority.pem)) == (first, 2)
    _client(authority).verify_directly_issued_by(x509.load_pem_x509_certificate(pinned_before.encode()))
    with pytest.raises(Refusal) as caught:
        announce(tmp_path, NOW)
    assert caught.value.code == "announced"
    with pytest.raises(Refusal) as caught:
        take_over(tmp_path, LATER - timedelta(minutes=3))
    assert caught.value.code == "too-soon"
    pinned = authority.pem
    assert take_over(tmp_path, LATER) == (following, LATER + OVERLAP)
    authority.reopen(tmp_path, LATER)
    assert (authority.fingerprint, _trusts(authority.pem)) == (following, 2)
    served = authority.ensure_server(tmp_path, ["gw"], LATER)
    assert served == server
    shown = x509.load_pem_x509_certificate(served.certificate.read_bytes())
    by_either = x509.load_pem_x509_certificates(pinned.encode())
    # The server's new certificate holds for whoever signed in since, and the old client's for the gateways.
    for certificate, issuer in ((shown, by_either[1]), (_client(authority), by_either[1]), (by_first, by_either[0])):
        certificate.verify_directly_issued_by(issuer)
    assert read_report(report, pinned) == read_report(report, authority.pem) == {"a": 1}
    assert read_report(authority.sign_report({"b": 2}), pinned) == {"b": 2}
    write_trusted(tmp_path, LATER + OVERLAP)
    authority.reopen(tmp_path, LATER + OVERLAP)
    assert (authority.fingerprint, _trusts(authority.pem)) == (following, 1)
    with pytest.raises(Refusal):
        read_report(report, authority.pem)


def test_an_authority_that_leaked_is_trusted_no_more_once_its_file_is_gone(tmp_path: Path) -> None:
    """As the table of keys tells the operator; no day is waited for after the second step."""
    authority = Authority.open(tmp_path, NOW)
    announce(tmp_path, NOW)
    following, _ = take_over(tmp_path, LATER)
    (file,) = tmp_path.glob("authority.until-*.pem")
    file.unlink()
    write_trusted(tmp_path, LATER)
    authority.reopen(tmp_path, LATER)
    assert (authority.fingerprint, _trusts(authority.pem)) == (following, 1)


def test_there_is_nothing_to_take_over(tmp_path: Path) -> None:
    Authority.open(tmp_path, NOW)
    with pytest.raises(Refusal) as caught:
        take_over(tmp_path, NOW)
    assert caught.value.code == "not-announced"


def test_a_crash_between_two_writes_leaves_one_authority(tmp_path: Path) -> None:
    Authority.open(tmp_path, NOW)
    following = announce(tmp_path, NOW)
    # As a crash right after the key was written would leave it.
    write_private(tmp_path / "authority.key", private_pem(load_or_create_key(tmp_path / "authority.next.key")))
    assert Authority.open(tmp_path, LATER).fingerprint == following
    assert take_over(tmp_path, LATER)[0] == following
    assert Authority.open(tmp_path, LATER).fingerprint == following


def test_two_who_take_over_at_once_leave_the_last_authority_trusted(tmp_path: Path) -> None:
    last = Authority.open(tmp_path, NOW).fingerprint
    following = announce(tmp_path, NOW)

    def told(_: int) -> str:
        try:
            return take_over(tmp_path, LATER)[0]
        except Refusal as refusal:
            return refusal.code

    with ThreadPoolExecutor(4) as racers:
        answers = sorted(racers.map(told, range(4)))
    assert answers == sorted([following, *["not-announced"] * 3])
    authority = Authority.open(tmp_path, LATER)
    assert authority.fingerprint == following
    trusted = x509.load_pem_x509_certificates((tmp_path / "authority.pem").read_bytes())
    assert [fingerprint_of(certificate) for certificate in trusted] == [following, last]
