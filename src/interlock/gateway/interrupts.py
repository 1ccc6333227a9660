"""Interrupts: a connection without a session asks for the running statement of another session to be stopped.

It shows a key that only that session's client was given. The first byte of a key is the number of the worker that
minted it, the rest is random; a worker that meets the key of another sends it there as one datagram over a Unix
socket in the run folder. Keys are looked up by a keyed hash, so that the time of a look-up says nothing about how much
of a guess was right, and guesses are bounded in number for each address and for the worker.

Only workers on one host share a run folder: an interrupt must reach the host that has the session.
"""

import asyncio
import contextlib
import hashlib
import hmac
import os
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from interlock.errors import Failure, Misuse

_LEAST_BYTES = 8
_MOST_BYTES = 256
_ADDRESSES = 4096


class Allowance:
    """So many in a second, with a second's worth saved up."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._left = per_s
        self._at = clock()

    def take(self) -> bool:
        now = self._clock()
        self._left = min(self._per_s, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Interrupts:
    """The keys of one worker's sessions, and the way to those of the other workers on this host."""

    def __init__(self, run: Path, index: int, *, per_s: float, per_address_per_s: float) -> None:
        """Raises Failure when the socket cannot be made."""
        if not 0 <= index < 256:
            raise Misuse(f"a worker's number is below 256, not {index}")
        self._run = run
        self._index = index
        self._secret = secrets.token_bytes(32)
        self._sessions: dict[bytes, Callable[[], None]] = {}
        self._all = Allowance(per_s)
        self._per_address_per_s = per_address_per_s
        self._addresses: OrderedDict[str, Allowance] = OrderedDict()
        self._socket = self._open()
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._receive)

    def mint(self, size_bytes: int, interrupted: Callable[[], None]) -> bytes:
        """A fresh key of ``size_bytes`` (8 to 256); whoever shows it has ``interrupted`` called."""
        if not _LEAST_BYTES <= size_bytes <= _MOST_BYTES:
            raise Misuse(f"an interrupt key of {size_bytes} bytes can be guessed or does not fit a datagram")
        key = bytes([self._index]) + secrets.token_bytes(size_bytes - 1)
        self._sessions[self._name(key)] = interrupted
        return key

    def forget(self, key: bytes) -> None:
        self._sessions.pop(self._name(key), None)

    def interrupt(self, key: bytes, address: str) -> None:
        """Deliver ``key``, shown by a client at ``address``. Says nothing about whether it was right."""
        if not _LEAST_BYTES <= len(key) <= _MOST_BYTES or not self._allowed(address):
            return
        if key[0] == self._index:
            self._deliver(key)
            return
        # A worker that is not there or cannot keep up: the interrupt is lost, as on a network.
        with contextlib.suppress(OSError):
            self._socket.sendto(key, str(self._path(key[0])))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self._path(self._index).unlink(missing_ok=True)

    def _open(self) -> socket.socket:
        path = self._path(self._index)
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            path.unlink(missing_ok=True)
            opened.bind(str(path))
            path.chmod(0o600)
        except OSError as error:
            opened.close()
            raise Failure(
                f"The socket {path} cannot be made: {error.strerror or error}.",
                "Give a data folder with a shorter path or other permissions, with --data DIR.",
            ) from error
        return opened

    def _path(self, index: int) -> Path:
        return self._run / f"interrupt-{index}.sock"

    def _name(self, key: bytes) -> bytes:
        return hmac.digest(self._secret, key, hashlib.sha256)

    def _allowed(self, address: str) -> bool:
        allowance = self._addresses.get(address)
        if allowance is None:
            allowance = self._addresses[address] = Allowance(self._per_address_per_s)
            if len(self._addresses) > _ADDRESSES:
                self._addresses.popitem(last=False)
        return allowance.take() and self._all.take()

    def _deliver(self, key: bytes) -> None:
        interrupted = self._sessions.get(self._name(key))
        if interrupted is not None:
            interrupted()

    def _receive(self) -> None:
        for _ in range(64):
            try:
                key = os.read(self._socket.fileno(), _MOST_BYTES + 1)
            except OSError:
                return
            if _LEAST_BYTES <= len(key) <= _MOST_BYTES and key[0] == self._index:
                self._deliver(key)
