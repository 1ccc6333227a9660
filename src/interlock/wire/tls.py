"""TLS without sockets: encrypted bytes in and out on one side, plain bytes on the other.

The standard library's own transports can start TLS at the beginning of a connection or between two awaits. A protocol
that answers one byte in plain and then expects TLS, whose first bytes may have arrived with the question, needs TLS
that can start at any byte: that is what this engine is for.
"""

import ssl

from interlock.errors import PeerError

_CHUNK_BYTES = 256 * 1024
_RECORD_BYTES = 16 * 1024
"""The most that one record holds in plain (RFC 8446, 5.1), and so the most that one read gives."""


class TlsEngine:
    """One side of one TLS connection. After every call ``outgoing`` gives the bytes that must be sent."""

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_name: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_name
        )
        # What SSLObject itself calls. Each call through it is one more of Python's own; where a later version has no
        # such attribute the calls go through it.
        self._inner = getattr(self._tls, "_sslobj", self._tls)
        self.secured = False
        self.closed = False

    def outgoing(self) -> bytes:
        return self._outgoing.read()

    @property
    def peer_certificate(self) -> bytes | None:
        """The peer's verified certificate (DER), or None when it showed none."""
        return self._tls.getpeercert(binary_form=True)

    def feed(self, encrypted: bytes) -> None:
        """Take bytes in without acting on them yet; the next ``receive`` does."""
        self._incoming.write(encrypted)

    def receive(self, encrypted: bytes = b"") -> bytes:
        """Go on with ``encrypted``. Returns what it holds in plain, maybe nothing.

        ``secured`` says whether the handshake is over, ``closed`` whether the peer said goodbye. Raises PeerError when
        the peer breaks TLS or is not who it must be; also then ``outgoing`` has the alert that tells the peer why.
        """
        self._incoming.write(encrypted)
        try:
            return self._read() if self.secured or self._handshake() else b""
        except ssl.SSLError as error:
            raise _broken(error) from error

    def encrypt(self, plain: bytes) -> bytes:
        """``plain`` as it is to be sent, with whatever else has to be. Only after the handshake."""
        if len(plain) <= _RECORD_BYTES:
            self._inner.write(plain)
        else:
            self.send(plain)
        return self._outgoing.read()

    def send(self, plain: bytes | memoryview) -> None:
        """Encrypt ``plain``. Only after the handshake."""
        view = memoryview(plain)
        while view:
            view = view[self._tls.write(view[:_CHUNK_BYTES]) :]

    def say_goodbye(self) -> None:
        """Queue the close_notify alert (RFC 8446, 6.1), so that the peer can tell an end from a cut."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            return

    def _handshake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.secured = True
        return True

    def _read(self) -> bytes:
        parts: list[bytes] = []
        while not self.closed:
            # No more than can come: the buffer of a read is made in its full size.
            most = self._incoming.pending + self._inner.pending()
            if most == 0 and parts:
                break
            try:
                part = self._inner.read(min(most, _RECORD_BYTES) or 1)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                part = b""
            if not part:
                self.closed = True
                break
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _broken(error: ssl.SSLError) -> PeerError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return PeerError(f"The certificate is not accepted: {error.verify_message}.")
    return PeerError(f"TLS failed: {(error.reason or 'unknown').replace('_', ' ').lower()}.")
