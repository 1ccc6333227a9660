"""Where messages begin and end, however the bytes arrive."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import PeerError
from interlock.protocols.postgres.framer import COLLECTED_LIMIT, Framer, Message, Run, frame_client, frame_server
from interlock.protocols.postgres.messages import frame
from tests.protocols.postgres.playbook import split


def feed(framer: Framer, stream: bytes, cuts: list[int]) -> list[Message | Run]:
    pieces: list[Message | Run] = []
    at = 0
    for cut in cuts:
        pieces += framer.feed(stream[at : at + cut])
        at += cut
    return pieces + framer.feed(stream[at:])


server_streams = st.lists(
    st.builds(frame, st.sampled_from([b"D", b"d", b"T", b"C", b"Z", b"1", b"N"]), st.binary(max_size=40)), max_size=12
)
client_streams = st.lists(
    st.builds(frame, st.sampled_from([b"d", b"Q", b"S", b"c"]), st.binary(max_size=40)), max_size=12
)
cutting = st.lists(st.integers(0, 50), max_size=20)


@given(messages=server_streams, cuts=cutting)
def test_a_servers_bytes_come_out_as_they_went_in(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(messages)
    framer = frame_server()
    pieces = feed(framer, stream, cuts)
    assert b"".join(bytes(piece.raw) for piece in pieces) == stream
    assert framer.between_messages
    rows = sum(piece.begun for piece in pieces if isinstance(piece, Run))
    assert rows == sum(message[:1] in (b"D", b"d") for message in messages)
    for piece in pieces:
        if isinstance(piece, Message):
            assert piece.raw in messages


@given(messages=client_streams, cuts=cutting)
def test_a_clients_copy_data_is_rewrapped_and_never_half(messages: list[bytes], cuts: list[int]) -> None:
    """The rows of a copy come out in order, in whole messages; everything else comes out as it went in."""
    pieces = feed(frame_client(), b"".join(messages), cuts)
    sent = split(b"".join(bytes(piece.raw) for piece in pieces))
    assert _join(sent) == _join([(message[:1], message[5:]) for message in messages])


def _join(found: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    joined: list[tuple[bytes, bytes]] = []
    for code, body in found:
        if code == b"d" and joined and joined[-1][0] == b"d":
            joined[-1] = (b"d", joined[-1][1] + body)
        elif code != b"d" or body:
            joined.append((code, body))
    return joined


@settings(max_examples=300)
@given(stream=st.binary(max_size=200), cuts=cutting, client=st.booleans())
def test_nonsense_is_a_broken_peer_and_nothing_else(stream: bytes, cuts: list[int], client: bool) -> None:
    framer = frame_client() if client else frame_server()
    try:
        feed(framer, stream, cuts)
    except PeerError as error:
        assert error.sentence.startswith("The client" if client else "The database")  # noqa: PT017 -- may not raise


@pytest.mark.parametrize(
    "header",
    [
        b"Q\x00\x00\x00\x03",
        b"Q\xff\xff\xff\xff",
        b"Q" + (COLLECTED_LIMIT + 1).to_bytes(4, "big"),
        b"S\x00\x01\x00\x00",
        b"p\x00\x00\x00\x08",
        b"\x00\x00\x00\x00\x04",
    ],
)
def test_lengths_and_types_that_cannot_be(header: bytes) -> None:
    with pytest.raises(PeerError):
        frame_client().feed(header)


def test_a_row_of_any_size_is_not_stored() -> None:
    framer = frame_server()
    size = 256 * 1024 * 1024
    pieces = framer.feed(b"D" + (size + 4).to_bytes(4, "big"))
    chunk = bytes(256 * 1024)
    for _ in range(size // len(chunk)):
        assert framer.collecting_bytes == 0
        pieces = framer.feed(chunk)
        assert [piece.raw for piece in pieces] == [chunk]
        assert pieces[0].raw is chunk
    assert framer.between_messages


def test_a_large_statement_is_collected() -> None:
    framer = frame_client()
    statement = frame(b"Q", b"x" * (64 * 1024 * 1024))
    pieces: list[Message | Run] = []
    for at in range(0, len(statement), 1024 * 1024):
        pieces += framer.feed(statement[at : at + 1024 * 1024])
    assert [piece.raw for piece in pieces] == [statement]
