"""Where messages begin and end: bytes in, pieces out, in both directions, without a socket.

After the startup packet every PostgreSQL message is a type byte, a length (big-endian, itself included) and a body
(PostgreSQL documentation, "Message Formats"). Two kinds are treated apart:

* *collected* types are handed over whole, as :class:`Message`, because somebody decides on them or counts by them;
* *streamed* types (rows and copy data) may be of any size and are never stored: they come as :class:`Run`, as long a
  stretch of the chunk as possible, which may end in the middle of a message.

A client's copy data is *rewrapped*: a message that is not whole yet is handed over as a message of its own with the
bytes that are there. The boundaries of CopyData carry no meaning towards the server, and so there is never half a
message on the way upstream after which other bytes could be taken for its rest.

The loops use plain integers and bytes, so that Cython's pure-Python mode can compile this file as it stands.
"""

from interlock.errors import PeerError

_HEADER_BYTES = 5
"""Type byte and length."""

COLLECTED_LIMIT = 128 * 1024 * 1024
"""The largest message, in bytes, that is collected to be decided on: a statement or its bind values."""

SMALL_LIMIT = 10_000
"""The largest message of a type that has little to say; PostgreSQL's own limit for them."""

STREAMED_LIMIT = 0x7FFFFFFF
REPLY_LIMIT = 16 * 1024 * 1024

_UNKNOWN = 0


class Message:
    """One whole message. ``code`` is its type byte, ``raw`` all of it, header included."""

    __slots__ = ("code", "raw")

    def __init__(self, code: int, raw: bytes) -> None:
        self.code = code
        self.raw = raw

    def __repr__(self) -> str:
        return f"Message({chr(self.code)!r}, {len(self.raw)} bytes)"


class Run:
    """A stretch of messages of one streamed type. ``begun`` is how many of them begin in it.

    ``whole`` says that it ends where a message ends.
    """

    __slots__ = ("begun", "code", "raw", "whole")

    def __init__(self, code: int, raw: bytes | memoryview, begun: int, whole: bool) -> None:
        self.code = code
        self.raw = raw
        self.begun = begun
        self.whole = whole

    def __repr__(self) -> str:
        return f"Run({chr(self.code)!r}, {len(self.raw)} bytes, {self.begun} begun, {'whole' if self.whole else 'cut'})"


Piece = Message | Run


class Framer:
    """One direction of one connection.

    ``limits`` holds for each type byte the largest length it may announce, 0 for a type that does not exist;
    ``streamed`` are the type bytes that are not collected; ``rewrap`` is described in this module's docstring.
    ``peer`` names the other side in the sentences of :class:`~interlock.errors.PeerError`.
    """

    def __init__(self, limits: list[int], streamed: bytes, peer: str, rewrap: bool = False) -> None:
        self._limits = limits
        self._streamed = streamed
        self._peer = peer
        self._rewrap = rewrap
        self._pending = bytearray()
        self._code = 0
        self._rest = 0

    @property
    def between_messages(self) -> bool:
        """Whether everything handed over so far ended where a message ends."""
        return self._rest == 0

    @property
    def collecting_bytes(self) -> int:
        """How many bytes of a message that is not whole yet are kept."""
        return len(self._pending)

    def is_clear(self) -> bool:
        """Whether the next byte begins a message."""
        return self._rest == 0 and not self._pending

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces that ``chunk`` completes, in order. Raises PeerError for what cannot be a message."""
        pieces: list[Piece] = []
        at: int = 0
        if self._rest > 0:
            at = self._continue_run(chunk, pieces)
        elif self._pending:
            at = self._complete_pending(chunk, pieces)
        self._scan(chunk, at, pieces)
        return pieces

    def _scan(self, chunk: bytes, at: int, pieces: list[Piece]) -> None:
        end: int = len(chunk)
        run_from: int = at
        run_begun: int = 0
        run_code: int = 0
        limits: list[int] = self._limits
        streamed: bytes = self._streamed
        while end - at >= _HEADER_BYTES:
            code: int = chunk[at]
            length: int = (chunk[at + 1] << 24) | (chunk[at + 2] << 16) | (chunk[at + 3] << 8) | chunk[at + 4]
            if length < 4 or length > limits[code]:
                raise self._nonsense(code, length)
            after: int = at + 1 + length
            if code in streamed:
                if run_begun == 0 or code != run_code:
                    self._close_run(chunk, run_from, at, run_code, run_begun, pieces)
                    run_from = at
                    run_begun = 0
                    run_code = code
                if after > end:
                    self._cut_run(chunk, run_from, at, after, run_begun, pieces)
                    return
                run_begun += 1
                at = after
                continue
            if run_begun:
                self._close_run(chunk, run_from, at, run_code, run_begun, pieces)
                run_begun = 0
            if after > end:
                break
            pieces.append(Message(code, chunk[at:after]))
            at = after
        self._close_run(chunk, run_from, at, run_code, run_begun, pieces)
        if at < end:
            self._check_code(chunk[at])
            self._pending += chunk[at:] if at else chunk

    def _close_run(self, chunk: bytes, start: int, end: int, code: int, begun: int, pieces: list[Piece]) -> None:
        if begun:
            pieces.append(Run(code, _stretch(chunk, start, end), begun, True))

    def _cut_run(self, chunk: bytes, start: int, at: int, after: int, begun: int, pieces: list[Piece]) -> None:
        """The last message of the chunk is a streamed one that is not whole; the run begins at ``start``."""
        end: int = len(chunk)
        self._code = chunk[at]
        self._rest = after - end
        if not self._rewrap:
            pieces.append(Run(self._code, _stretch(chunk, start, end), begun + 1, False))
            return
        self._close_run(chunk, start, at, self._code, begun, pieces)
        if end - at > _HEADER_BYTES:
            pieces.append(Run(self._code, _wrap(self._code, chunk[at + _HEADER_BYTES :]), 1, True))

    def _continue_run(self, chunk: bytes, pieces: list[Piece]) -> int:
        take: int = min(self._rest, len(chunk))
        if take == 0:
            return 0
        self._rest -= take
        if self._rewrap:
            pieces.append(Run(self._code, _wrap(self._code, chunk[:take]), 0, True))
        else:
            pieces.append(Run(self._code, _stretch(chunk, 0, take), 0, self._rest == 0))
        return take

    def _complete_pending(self, chunk: bytes, pieces: list[Piece]) -> int:
        """Go on with a message whose beginning is kept. Returns how much of the chunk it took."""
        pending = self._pending
        at: int = 0
        if len(pending) < _HEADER_BYTES:
            at = min(_HEADER_BYTES - len(pending), len(chunk))
            pending += chunk[:at]
            if len(pending) < _HEADER_BYTES:
                return at
        code: int = pending[0]
        length: int = (pending[1] << 24) | (pending[2] << 16) | (pending[3] << 8) | pending[4]
        if length < 4 or length > self._limits[code]:
            raise self._nonsense(code, length)
        missing: int = 1 + length - len(pending)
        take: int = min(missing, len(chunk) - at)
        if code in self._streamed:
            self._open_run(chunk[at : at + take], code, missing - take, pieces)
            return at + take
        pending += chunk[at : at + take]
        if take == missing:
            pieces.append(Message(code, bytes(pending)))
            self._pending = bytearray()
        return at + take

    def _open_run(self, body: bytes, code: int, rest: int, pieces: list[Piece]) -> None:
        """A streamed message whose header came in pieces."""
        header = bytes(self._pending)
        self._pending = bytearray()
        self._code = code
        self._rest = rest
        if not self._rewrap:
            pieces.append(Run(code, header + body, 1, rest == 0))
        elif body or rest == 0:
            pieces.append(Run(code, _wrap(code, body), 1, True))

    def _check_code(self, code: int) -> None:
        if self._limits[code] == _UNKNOWN:
            raise self._nonsense(code, None)

    def _nonsense(self, code: int, length: int | None) -> PeerError:
        if self._limits[code] == _UNKNOWN:
            return PeerError(f"The {self._peer} sent a message of type 0x{code:02x}, which PostgreSQL does not have.")
        return PeerError(
            f"The {self._peer} announced a message of type {chr(code)!r} with a length of {length},"
            f" which is not between 4 and {self._limits[code]}."
        )


def _stretch(chunk: bytes, start: int, end: int) -> bytes | memoryview:
    if start == 0 and end == len(chunk):
        return chunk
    if end - start < 4096:
        return chunk[start:end]
    return memoryview(chunk)[start:end]


def _wrap(code: int, body: bytes) -> bytes:
    return bytes((code,)) + (len(body) + 4).to_bytes(4, "big") + body


def _limits(table: dict[bytes, int]) -> list[int]:
    limits = [_UNKNOWN] * 256
    for codes, limit in table.items():
        for code in codes:
            limits[code] = limit
    return limits


_CLIENT_LIMITS = _limits({b"QPBF": COLLECTED_LIMIT, b"DECHScfX": SMALL_LIMIT, b"d": STREAMED_LIMIT})
_SERVER_LIMITS = _limits({b"Dd": STREAMED_LIMIT, b"TENAtVR": REPLY_LIMIT, b"123ncCGHWIsSZKv": 1024 * 1024})


def frame_client() -> Framer:
    """What a client sends once its session is open."""
    return Framer(_CLIENT_LIMITS, b"d", "client", rewrap=True)


def frame_server() -> Framer:
    """What a server sends, from its first authentication message on."""
    return Framer(_SERVER_LIMITS, b"Dd", "database")
