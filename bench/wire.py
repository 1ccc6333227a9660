"""A client that costs next to nothing: it sends what it is given and reads until the server is ready again.

It looks at no row. What it takes is then what the way to the server takes, not what a driver makes of it.
"""

import socket
import ssl
import struct
from collections.abc import Iterable, Mapping
from types import TracebackType

READY = b"Z\x00\x00\x00\x05I"
"""ReadyForQuery outside of a transaction. The data of these benchmarks never holds these bytes."""

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_PROTOCOL = struct.pack("!I", 3 << 16)
_PASSWORD_ASKED = 3
_CHUNK_BYTES = 256 * 1024
_WAIT_S = 120.0


class Wire:
    """One connection, opened by libpq's variables. Raises RuntimeError with the server's words when it is refused."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._buffer = bytearray(_CHUNK_BYTES)
        self.socket = _connect(variables)
        body = _PROTOCOL + b"".join(
            f"{name}\0{text}\0".encode()
            for name, text in (("user", variables["PGUSER"]), ("database", variables["PGDATABASE"]))
        )
        self.socket.sendall(struct.pack("!I", len(body) + 5) + body + b"\0")
        self._sign_in(variables)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def run(self, text: str) -> int:
        """Send a simple query and read all of its answer; its size in bytes. Raises RuntimeError for an error."""
        self.socket.sendall(query(text))
        return self.read_answer()

    def read_answer(self) -> int:
        """Read until the server is ready; how many bytes came. Raises RuntimeError when they begin with an error."""
        size, tail = 0, b""
        while tail != READY:
            count = self._receive()
            if not size and self._buffer[0] == ord("E"):
                raise RuntimeError(bytes(self._buffer[:count]).decode(errors="replace"))
            size += count
            # What is long ends once: its middle is not searched.
            tail = (tail + bytes(self._buffer[max(0, count - len(READY)) : count]))[-len(READY) :]
        return size

    def _receive(self) -> int:
        count = self.socket.recv_into(self._buffer)
        if not count:
            raise RuntimeError("the server left")
        return count

    def copy_in(self, text: str, messages: Iterable[memoryview]) -> None:
        """``COPY … FROM STDIN`` with ``messages``, which are whole CopyData messages."""
        self.socket.sendall(query(text))
        answer = self.socket.recv(4096)
        if answer[:1] != b"G":
            raise RuntimeError(answer.decode(errors="replace"))
        for chunk in messages:
            self.socket.sendall(chunk)
        self.socket.sendall(b"c\0\0\0\4")
        self.read_answer()

    def _sign_in(self, variables: Mapping[str, str]) -> None:
        said = b""
        while not said.endswith(READY):
            chunk = self.socket.recv(65536)
            said += chunk
            if not chunk or said[:1] == b"E":
                raise RuntimeError(said.decode(errors="replace") or "the server left")
            if said[:1] == b"R" and len(said) == 9 and said[8] == _PASSWORD_ASKED:
                secret = variables.get("PGPASSWORD", "").encode() + b"\0"
                self.socket.sendall(b"p" + struct.pack("!I", len(secret) + 4) + secret)
                said = b""


def query(text: str) -> bytes:
    """A simple query's message."""
    body = text.encode() + b"\0"
    return b"Q" + struct.pack("!I", len(body) + 4) + body


def copy_data(chunk: bytes) -> bytes:
    """A CopyData message."""
    return b"d" + struct.pack("!I", len(chunk) + 4) + chunk


def _connect(variables: Mapping[str, str]) -> socket.socket:
    plain = socket.create_connection((variables["PGHOST"], int(variables["PGPORT"])), _WAIT_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if variables["PGSSLMODE"] == "disable":
        return plain
    plain.sendall(_SSL_REQUEST)
    if plain.recv(1) != b"S":
        raise RuntimeError("the server has no TLS")
    return context_for(variables).wrap_socket(plain, server_hostname=variables["PGHOST"])


_CONTEXTS: dict[tuple[str | None, ...], ssl.SSLContext] = {}


def context_for(variables: Mapping[str, str]) -> ssl.SSLContext:
    """One context for all connections that show and trust the same."""
    key = tuple(variables.get(name) for name in ("PGSSLMODE", "PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT"))
    if key not in _CONTEXTS:
        mode, certificate, private, trust = key
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = mode == "verify-full"
        if trust is None:
            context.verify_mode = ssl.CERT_NONE
        else:
            context.load_verify_locations(trust)
        if certificate is not None:
            context.load_cert_chain(certificate, private)
        _CONTEXTS[key] = context
    return _CONTEXTS[key]
