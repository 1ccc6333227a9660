"""TLS without sockets: started and fed at any byte boundary, it carries the same bytes and ends in the same words."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import PeerError
from interlock.gateway.settings import ServerIdentity
from interlock.gateway.tls import server_context, upstream_context
from interlock.identity.authority import Authority
from interlock.wire.tls import TlsEngine


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    now = datetime.now(UTC)
    Authority.open(folder, now).ensure_server(folder, ["localhost"], now)
    return folder


def _server(keys: Path, alpn: tuple[str, ...] = ()) -> TlsEngine:
    identity = ServerIdentity(keys / "server.pem", keys / "server.key", keys / "authority.pem")
    return TlsEngine(server_context(identity, alpn), server_side=True)


def _client(keys: Path, name: str = "localhost", mode: str = "verify-full") -> TlsEngine:
    return TlsEngine(upstream_context(mode, str(keys / "authority.pem")), server_side=False, server_name=name)


def _talk(one: TlsEngine, other: TlsEngine, step: int = 1 << 20) -> bytes:
    """Carry bytes both ways until nobody says more. Returns what ``other`` read."""
    plain = b""
    one.receive()
    while True:
        moved = False
        for source, target in ((one, other), (other, one)):
            said = source.outgoing()
            for place in range(0, len(said), step):
                moved = True
                received = target.receive(said[place : place + step])
                if target is other:
                    plain += received
        if not moved:
            return plain


@settings(max_examples=30, deadline=None)
@given(step=st.integers(1, 700), message=st.binary(max_size=3000))
def test_any_split_of_the_bytes_gives_the_same(keys: Path, step: int, message: bytes) -> None:
    client, server = _client(keys), _server(keys)
    _talk(client, server, step)
    assert client.secured
    assert server.secured
    if message:
        client.send(message)
    assert _talk(client, server, step) == message


def test_bytes_that_were_read_already_are_its_start(keys: Path) -> None:
    client, server = _client(keys), _server(keys)
    client.receive()
    hello = client.outgoing()
    server.feed(hello[:7])
    server.feed(hello[7:])
    server.receive()
    _talk(client, server)
    assert server.secured


def test_a_goodbye_is_told_from_a_cut(keys: Path) -> None:
    client, server = _client(keys), _server(keys)
    _talk(client, server)
    client.send(b"last")
    client.say_goodbye()
    plain = server.receive(client.outgoing())
    assert plain == b"last"
    assert server.closed


def test_what_is_no_tls_is_a_peers_fault(keys: Path) -> None:
    server = _server(keys)
    with pytest.raises(PeerError, match="TLS failed"):
        server.receive(b"GET / HTTP/1.0\r\n\r\n")


def test_another_name_is_not_accepted_and_verify_ca_does_not_ask(keys: Path) -> None:
    with pytest.raises(PeerError, match="certificate is not accepted: Hostname mismatch"):
        _talk(_client(keys, "elsewhere.example"), _server(keys))
    lenient = _client(keys, "elsewhere.example", "verify-ca")
    _talk(lenient, _server(keys))
    assert lenient.secured


def test_an_authority_that_is_not_trusted_is_refused_unless_nothing_is_checked(keys: Path) -> None:
    context = upstream_context("verify-full", None)
    with pytest.raises(PeerError, match="certificate is not accepted"):
        _talk(TlsEngine(context, server_side=False, server_name="localhost"), _server(keys))
    unchecked = TlsEngine(upstream_context("require", None), server_side=False, server_name="localhost")
    _talk(unchecked, _server(keys))
    assert unchecked.secured


def test_versions_before_1_2_are_refused(keys: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    newer = TlsEngine(context, server_side=False, server_name="localhost")
    _talk(newer, _server(keys))
    assert newer.secured
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options &= ~(ssl.OP_NO_TLSv1_1 | ssl.OP_NO_TLSv1)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(PeerError):
        _talk(TlsEngine(context, server_side=False, server_name="localhost"), _server(keys))


def test_an_authority_file_that_is_missing_is_a_sentence() -> None:
    with pytest.raises(PeerError, match=r"/nowhere\.pem, cannot be read"):
        upstream_context("verify-full", "/nowhere.pem")
    with pytest.raises(ValueError, match="no TLS mode 'prefer'"):
        upstream_context("prefer", None)
