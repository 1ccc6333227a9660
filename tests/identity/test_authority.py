import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from interlock.domain.grants import Login
from interlock.errors import Failure, Refusal
from interlock.identity.authority import Authority, fingerprint_of, login_of, make_request
from interlock.identity.keys import load_or_create_key, new_key, thumbprint
from tests.identity.settings import NOW

KEY = new_key()
LOGIN = Login("l-12345678", "dev@acme.example", thumbprint(KEY), NOW, NOW + timedelta(hours=2), NOW)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.open(tmp_path, NOW)


def issue(authority: Authority, login: Login = LOGIN) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.issue_client(make_request(KEY), login=login, at=NOW).encode())


def test_the_authority_is_made_once(tmp_path: Path, authority: Authority) -> None:
    again = Authority.open(tmp_path, NOW + timedelta(days=1))
    assert again.pem == authority.pem
    assert again.fingerprint == fingerprint_of(authority.certificate) == authority.fingerprint
    assert len(authority.fingerprint) == 32


def test_an_authority_out_of_its_time_or_with_anothers_key_is_refused(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(Failure, match="not valid at"):
        Authority.open(tmp_path, NOW + timedelta(days=3700))
    with pytest.raises(Failure, match="Check the clock"):
        Authority.open(tmp_path, NOW - timedelta(days=1))
    (tmp_path / "authority.key").unlink()
    load_or_create_key(tmp_path / "authority.key")
    with pytest.raises(Failure, match="does not belong"):
        Authority.open(tmp_path, NOW)
    (tmp_path / "authority.pem").write_text(authority.pem[:100])
    with pytest.raises(Failure, match="does not hold a certificate"):
        Authority.open(tmp_path, NOW)


def test_a_client_certificate_names_person_and_login_and_is_short(authority: Authority) -> None:
    certificate = issue(authority)
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == LOGIN.person
    assert login_of(certificate) == LOGIN.id
    assert certificate.not_valid_after_utc < LOGIN.ends_at
    assert certificate.not_valid_before_utc == NOW - timedelta(minutes=2)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_client_certificate_lasts_eight_hours_at_most(authority: Authority) -> None:
    certificate = issue(authority, replace(LOGIN, ends_at=NOW + timedelta(days=30)))
    assert certificate.not_valid_after_utc < NOW + timedelta(hours=8)


def test_a_login_that_is_over_gets_no_certificate(authority: Authority) -> None:
    for ends_at in (NOW - timedelta(hours=1), NOW, NOW + timedelta(seconds=1)):
        with pytest.raises(Refusal) as met:
            issue(authority, replace(LOGIN, ends_at=ends_at))
        assert met.value.code == "login-ended"


def test_strict_verifiers_take_the_certificates(authority: Authority) -> None:
    builder = PolicyBuilder().store(Store([authority.certificate])).time(NOW)
    builder.build_client_verifier().verify(issue(authority), [])
    server = x509.load_pem_x509_certificate(authority.issue_server(KEY.public_key(), ["gw.example"], NOW))
    builder.build_server_verifier(x509.DNSName("gw.example")).verify(server, [])
    with pytest.raises(VerificationError):
        builder.build_server_verifier(x509.DNSName("gw.example")).verify(issue(authority), [])
    with pytest.raises(VerificationError):
        builder.build_client_verifier().verify(server, [])


def test_a_name_too_long_for_a_common_name_is_left_out(authority: Authority) -> None:
    certificate = issue(authority, replace(LOGIN, person="a" * 65))
    assert list(certificate.subject) == []
    assert login_of(certificate) == LOGIN.id


def test_what_a_request_asks_for_is_not_looked_at(authority: Authority) -> None:
    wish = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")])
    )
    wish = wish.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    wish = wish.add_extension(
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:interlock:login:l-other000")]), critical=False
    )
    csr = wish.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    certificate = x509.load_pem_x509_certificate(authority.issue_client(csr, login=LOGIN, at=NOW).encode())
    assert login_of(certificate) == LOGIN.id
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_an_ed25519_key_is_certified_too(authority: Authority) -> None:
    key = Ed25519PrivateKey.generate()
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, None)
    pem = csr.public_bytes(serialization.Encoding.PEM).decode()
    assert authority.key_of_request(pem) == thumbprint(key)
    authority.issue_client(pem, login=replace(LOGIN, key=thumbprint(key)), at=NOW)


def test_requests_that_are_not_taken(authority: Authority) -> None:
    blank = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    other_curve = blank.sign(generate_private_key(SECP384R1()), hashes.SHA256())
    rsa = blank.sign(generate_rsa(65537, 2048), hashes.SHA256())
    good = make_request(KEY)
    raw = bytearray(x509.load_pem_x509_csr(good.encode()).public_bytes(serialization.Encoding.DER))
    raw[-1] ^= 1
    broken = ssl.DER_cert_to_PEM_cert(bytes(raw)).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    pems = [csr.public_bytes(serialization.Encoding.PEM).decode() for csr in (other_curve, rsa)]
    for csr in (*pems, broken, "", "x", good[:100], good * 100, "é", authority.pem):
        with pytest.raises(Refusal) as met:
            authority.key_of_request(csr)
        assert met.value.code == "bad-csr"


def test_a_request_of_another_key_gets_no_certificate(authority: Authority) -> None:
    with pytest.raises(Refusal, match="another key"):
        authority.issue_client(make_request(new_key()), login=LOGIN, at=NOW)


def test_the_server_certificate_is_kept_until_something_changes(tmp_path: Path, authority: Authority) -> None:
    def ensure(hosts: list[str], days: int = 0) -> bytes:
        return authority.ensure_server(tmp_path, hosts, NOW + timedelta(days=days)).certificate.read_bytes()

    first = ensure(["gw.example"])
    named = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert named.get_values_for_type(x509.DNSName) == ["localhost", "gw.example"]
    assert [str(address) for address in named.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert ensure(["gw.example"], days=59) == first
    renewed = ensure(["gw.example"], days=61)
    assert renewed != first
    others = ensure(["gw2.example", "10.0.0.1"], days=61)
    assert others != renewed
    (tmp_path / "server.pem").write_text("nonsense")
    assert ensure(["gw2.example", "10.0.0.1"], days=61) != others


def test_a_server_certificate_of_another_authority_is_replaced(tmp_path: Path, authority: Authority) -> None:
    files = authority.ensure_server(tmp_path, [], NOW)
    old = files.certificate.read_bytes()
    (tmp_path / "authority.key").unlink()
    (tmp_path / "authority.pem").unlink()
    assert Authority.open(tmp_path, NOW).ensure_server(tmp_path, [], NOW).certificate.read_bytes() != old


def test_who_a_certificate_without_a_login_is(authority: Authority) -> None:
    assert login_of(authority.certificate) is None
    server = x509.load_pem_x509_certificate(authority.issue_server(KEY.public_key(), ["gw.example"], NOW))
    assert login_of(server) is None
