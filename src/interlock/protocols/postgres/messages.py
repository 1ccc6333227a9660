"""The messages of PostgreSQL's protocol, built and taken apart (PostgreSQL documentation, "Message Formats").

A message that does not follow its format raises :class:`~interlock.errors.PeerError`. Text is decoded as UTF-8;
what is not UTF-8 keeps its bytes as surrogates (PEP 383), so that nothing is ever silently changed.
"""

import struct
from collections.abc import Iterable, Sequence

from interlock.domain.plain_text import written_out
from interlock.errors import PeerError

CANCEL_REQUEST_CODE = 80877102
SSL_REQUEST_CODE = 80877103
GSSENC_REQUEST_CODE = 80877104
PROTOCOL_3_0 = 196608
NEWEST_PROTOCOL = 196610
"""3.2, which brought keys longer than four bytes."""

SYNC = b"S\x00\x00\x00\x04"
FLUSH = b"H\x00\x00\x00\x04"
TERMINATE = b"X\x00\x00\x00\x04"
COPY_DONE = b"c\x00\x00\x00\x04"
SSL_REQUEST = struct.pack("!ii", 8, SSL_REQUEST_CODE)

_COUNT_DIGITS = 18
_CHANGING = (b"INSERT ", b"UPDATE ", b"DELETE ", b"MERGE ")
_SPACE, _ZERO, _NINE = b" 09"
_LENGTH = struct.Struct("!i")
_SHORT = struct.Struct("!h")


def frame(code: bytes, body: bytes) -> bytes:
    """One message of type ``code``."""
    return code + _LENGTH.pack(len(body) + 4) + body


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _string(text: str) -> bytes:
    return encode(text) + b"\x00"


def _fields(severity: str, sqlstate: str, sentence: str, hint: str) -> bytes:
    # Our own sentences quote names, reasons and the server's words, which clients print as they are.
    body = b"S" + _string(severity) + b"V" + _string(severity) + b"C" + _string(sqlstate)
    body += b"M" + _string(written_out(sentence))
    if hint:
        body += b"H" + _string(written_out(hint))
    return body + b"\x00"


def error(sqlstate: str, sentence: str, hint: str = "", severity: str = "ERROR") -> bytes:
    """An ErrorResponse. ``severity`` is ``ERROR`` or ``FATAL``."""
    return frame(b"E", _fields(severity, sqlstate, sentence, hint))


def relay_error(fields: dict[str, str] | None) -> bytes:
    """An ErrorResponse with the fields of one that the server sent."""
    if not fields:
        return error("XX000", "The server did not say why it failed.")
    body = b"".join(code.encode("latin-1") + _string(said) for code, said in fields.items())
    return frame(b"E", body + b"\x00")


def notice(sentence: str) -> bytes:
    return frame(b"N", _fields("NOTICE", "00000", sentence, ""))


def ready(status: int) -> bytes:
    """ReadyForQuery. ``status`` is the byte of ``I`` (idle), ``T`` (in a transaction) or ``E`` (in a failed one)."""
    return frame(b"Z", bytes((status,)))


def authentication(code: int, body: bytes = b"") -> bytes:
    return frame(b"R", _LENGTH.pack(code) + body)


def key_data(key: bytes) -> bytes:
    """BackendKeyData. The first four bytes of ``key`` stand where a server has its process id."""
    return frame(b"K", key)


def negotiate(newest: int, unknown: Sequence[str]) -> bytes:
    """NegotiateProtocolVersion: the newest protocol spoken here, and the options that nobody knows."""
    body = struct.pack("!ii", newest, len(unknown)) + b"".join(_string(name) for name in unknown)
    return frame(b"v", body)


def startup(parameters: Iterable[tuple[str, str]]) -> bytes:
    """A StartupMessage of protocol 3.0."""
    body = _LENGTH.pack(PROTOCOL_3_0)
    body += b"".join(_string(name) + _string(setting) for name, setting in parameters) + b"\x00"
    return _LENGTH.pack(len(body) + 4) + body


def cancel_request(key: bytes) -> bytes:
    return struct.pack("!ii", 8 + len(key), CANCEL_REQUEST_CODE) + key


def password(secret: bytes) -> bytes:
    return frame(b"p", secret + b"\x00")


def sasl_initial(mechanism: str, payload: bytes) -> bytes:
    return frame(b"p", _string(mechanism) + _LENGTH.pack(len(payload)) + payload)


def sasl_response(payload: bytes) -> bytes:
    return frame(b"p", payload)


def query(text: str) -> bytes:
    return frame(b"Q", _string(text))


def parse(name: str, text: str) -> bytes:
    return frame(b"P", _string(name) + _string(text) + b"\x00\x00")


def bind(portal: str, statement: str, tail: bytes) -> bytes:
    """A Bind. ``tail`` is all that follows the two names in another Bind, or comes from ``bind_tail``."""
    return frame(b"B", _string(portal) + _string(statement) + tail)


def bind_tail(parameters: Sequence[str] = ()) -> bytes:
    """Values given as text, and results wanted as text."""
    values = b"".join(_LENGTH.pack(len(encode(value))) + encode(value) for value in parameters)
    return _SHORT.pack(0) + _SHORT.pack(len(parameters)) + values + _SHORT.pack(0)


def execute(portal: str, most: int = 0) -> bytes:
    return frame(b"E", _string(portal) + _LENGTH.pack(most))


def describe(kind: bytes, name: str) -> bytes:
    return frame(b"D", kind + _string(name))


def close(kind: bytes, name: str) -> bytes:
    return frame(b"C", kind + _string(name))


def malformed(what: str) -> PeerError:
    return PeerError(f"The {what} message does not follow PostgreSQL's protocol.")


def _cut_string(raw: bytes, at: int, what: str, before: int = -1) -> tuple[str, int]:
    end = _end_of_string(raw, at, len(raw) if before < 0 else before)
    if end < 0:
        raise malformed(what)
    return decode(raw[at:end]), end + 1


def _end_of_string(raw: bytes, at: int, before: int) -> int:
    """Where the NUL of the string stands that begins at ``at``; -1 if none does before ``before``."""
    while at < before:
        if not raw[at]:
            return at
        at += 1
    return -1


class ParseMessage:
    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text


class BindMessage:
    """``tail`` is what follows the names, byte for byte, so that the same values can be bound once more."""

    portal: str
    statement: str
    formats: tuple[int, ...]
    parameters: tuple[bytes | None, ...]
    raw: bytes
    tail_at: int
    tail_end: int

    @property
    def tail(self) -> bytes:
        return self.raw[self.tail_at : self.tail_end]


def read_query(raw: bytes) -> str:
    """The text of a Query. A NUL anywhere but at the end is refused: parsers would stop there, the server might not."""
    end = raw.find(b"\x00", 5)
    if end != len(raw) - 1:
        raise malformed("Query")
    return decode(raw[5:end])


def read_parse(raw: bytes) -> ParseMessage:
    name, at = _cut_string(raw, 5, "Parse")
    text, at = _cut_string(raw, at, "Parse")
    if len(raw) < at + 2:
        raise malformed("Parse")
    (count,) = _SHORT.unpack_from(raw, at)
    if count < 0 or len(raw) != at + 2 + 4 * count:
        raise malformed("Parse")
    return ParseMessage(name, text)


def read_bind(raw: bytes, start: int = 0, end: int = -1) -> BindMessage:
    """The Bind that ``raw`` is, or that lies in it from ``start`` to ``end``."""
    end = len(raw) if end < 0 else end
    at = start + 5
    named = _end_of_string(raw, at, end)
    stated = -1 if named < 0 else _end_of_string(raw, named + 1, end)
    if stated < 0:
        raise malformed("Bind")
    portal = decode(raw[at:named]) if named > at else ""
    statement = decode(raw[named + 1 : stated]) if stated > named + 1 else ""
    tail_at = stated + 1
    try:
        values_at = _after_shorts(raw, tail_at, end)
        after = _after_values(raw, values_at, end)
        if _after_shorts(raw, after, end) != end:
            raise malformed("Bind")
        formats = _shorts(raw, tail_at)
        parameters = _values(raw, values_at)
    except struct.error:
        raise malformed("Bind") from None
    if len(formats) > 1 and len(formats) != len(parameters):
        raise malformed("Bind")
    made = BindMessage.__new__(BindMessage)
    made.portal = portal
    made.statement = statement
    made.formats = formats
    made.parameters = parameters
    made.raw = raw
    made.tail_at = tail_at
    made.tail_end = end
    return made


def _after_shorts(raw: bytes, at: int, end: int) -> int:
    """Where the list of numbers ends whose count stands at ``at``. Raises struct.error past ``end``."""
    count = _short_at(raw, at, end)
    if count < 0 or at + 2 + 2 * count > end:
        raise struct.error("the list is longer than the message")
    return at + 2 + 2 * count


def _shorts(raw: bytes, at: int) -> tuple[int, ...]:
    """The list of numbers at ``at``, which was found to be whole."""
    count = _short_at(raw, at, at + 2)
    if count == 0:
        return ()
    return tuple([_short_at(raw, at + 2 + 2 * place, at + 4 + 2 * place) for place in range(count)])


def _after_values(raw: bytes, at: int, end: int) -> int:
    """Where the list of values ends whose count stands at ``at``. Raises struct.error past ``end``."""
    count = _short_at(raw, at, end) & 0xFFFF
    at += 2
    for _ in range(count):
        length = _int_at(raw, at, end)
        at += 4
        if length < -1 or at + length > end:
            raise struct.error("a value is longer than the message")
        at += max(length, 0)
    return at


def _values(raw: bytes, at: int) -> tuple[bytes | None, ...]:
    """The list of values at ``at``, which was found to be whole."""
    count = _short_at(raw, at, at + 2) & 0xFFFF
    at += 2
    values: list[bytes | None] = []
    for _ in range(count):
        length = _int_at(raw, at, at + 4)
        at += 4
        if length < 0:
            values.append(None)
            continue
        values.append(raw[at : at + length])
        at += length
    return tuple(values)


def _short_at(raw: bytes, at: int, end: int) -> int:
    """A signed number of two bytes. Raises struct.error past ``end``."""
    if at + 2 > end:
        raise struct.error("the message is too short")
    number = (raw[at] << 8) | raw[at + 1]
    return number - 0x10000 if number > 0x7FFF else number


def _int_at(raw: bytes, at: int, end: int) -> int:
    """A signed number of four bytes. Raises struct.error past ``end``."""
    if at + 4 > end:
        raise struct.error("the message is too short")
    number = (raw[at] << 24) | (raw[at + 1] << 16) | (raw[at + 2] << 8) | raw[at + 3]
    return number - 0x1_0000_0000 if number > 0x7FFF_FFFF else number


def read_named(raw: bytes, what: str) -> tuple[bytes, str]:
    """The kind (``S`` statement, ``P`` portal) and name in a Describe or Close."""
    kind = raw[5:6]
    if kind not in (b"S", b"P"):
        raise malformed(what)
    name, at = _cut_string(raw, 6, what)
    if at != len(raw):
        raise malformed(what)
    return kind, name


def read_execute(raw: bytes) -> tuple[str, int]:
    """The portal's name and the most rows to return (0 for all) in an Execute."""
    portal, at = _cut_string(raw, 5, "Execute")
    if at + 4 != len(raw):
        raise malformed("Execute")
    return portal, max(_int_at(raw, at, len(raw)), 0)


def read_startup(body: bytes) -> dict[str, str]:
    """The parameters of a StartupMessage, whose ``body`` follows the protocol number; the last of a name counts."""
    parameters: dict[str, str] = {}
    at = 0
    while body[at : at + 1] != b"\x00":
        name, at = _cut_string(body, at, "startup")
        parameters[name], at = _cut_string(body, at, "startup")
    if at + 1 != len(body):
        raise malformed("startup")
    return parameters


def read_fields(raw: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse by their one-letter codes."""
    fields: dict[str, str] = {}
    at = 5
    while at < len(raw) and raw[at]:
        code = chr(raw[at])
        fields[code], at = _cut_string(raw, at + 1, "ErrorResponse")
    return fields


def read_parameter_status(raw: bytes) -> tuple[str, str]:
    name, at = _cut_string(raw, 5, "ParameterStatus")
    setting, _ = _cut_string(raw, at, "ParameterStatus")
    return name, setting


def read_ready(raw: bytes) -> int:
    if len(raw) != 6 or raw[5] not in b"ITE":
        raise malformed("ReadyForQuery")
    return raw[5]


def read_tag(raw: bytes) -> str:
    """The command tag of a CommandComplete, such as ``INSERT 0 5``."""
    return _cut_string(raw, 5, "CommandComplete")[0]


def count_changed(tag: str) -> int:
    """How many rows a command tag says were changed; COPY counts when the caller knows that it was a COPY FROM."""
    raw = encode(tag)
    return count_changed_in(raw, 0, len(raw))


def count_changed_in(raw: bytes, start: int, end: int) -> int:
    """As ``count_changed``, of the tag that stands in ``raw`` from ``start`` to ``end``; nothing is made of it."""
    if raw[start:end].startswith(_CHANGING) and raw[end - 1] <= _NINE:
        at = end
        while _ZERO <= raw[at - 1] <= _NINE:
            at -= 1
        if raw[at - 1] == _SPACE and end - at <= _COUNT_DIGITS:
            count = 0
            while at < end:
                count = count * 10 + raw[at] - _ZERO
                at += 1
            return count
    return 0


def read_count(word: str) -> int:
    """A number in a command tag; 0 for what is none, or is more than any server counts (and fits eight bytes)."""
    return int(word) if word.isdecimal() and len(word) <= _COUNT_DIGITS else 0


def read_rows(raw: bytes) -> list[tuple[bytes | None, ...]]:
    """The rows in a run of whole DataRow messages."""
    rows: list[tuple[bytes | None, ...]] = []
    at = 0
    try:
        while at < len(raw):
            (length,) = _LENGTH.unpack_from(raw, at + 1)
            end = _after_values(raw, at + 5, len(raw))
            if end != at + 1 + length:
                raise malformed("DataRow")
            rows.append(_values(raw, at + 5))
            at = end
    except struct.error:
        raise malformed("DataRow") from None
    return rows


def copy_fail(why: str) -> bytes:
    return frame(b"f", _string(why))
