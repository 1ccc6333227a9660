"""Bytes to lines (from the client) and to answers (from the store). No sockets, no clock.

An answer is a line, or ``=N`` and N bytes, which are handed on as they come and never kept.
"""

from collections.abc import Iterator

from interlock.errors import PeerError

LONGEST_LINE = 1024


class Lines:
    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, payload: bytes) -> None:
        self._rest += payload

    @property
    def waiting(self) -> int:
        return len(self._rest)

    def take(self) -> str | None:
        """The next whole line, or None."""
        end = self._rest.find(b"\n", 0, LONGEST_LINE)
        if end < 0:
            if len(self._rest) >= LONGEST_LINE:
                raise PeerError("A line is longer than a toy can be.")
            return None
        line = bytes(self._rest[:end]).decode(errors="replace").rstrip("\r")
        del self._rest[: end + 1]
        return line

    def take_all(self) -> bytes:
        rest, self._rest = bytes(self._rest), bytearray()
        return rest


class Answers:
    """Pieces of answers: ``(bytes to hand on, the line when an answer's line is complete, whether it has ended)``."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._to_come = 0

    def feed(self, payload: bytes) -> Iterator[tuple[bytes, str, bool]]:
        while payload or self._lines.waiting:
            if self._to_come:
                part, payload = payload[: self._to_come], payload[self._to_come :]
                self._to_come -= len(part)
                yield part, "", self._to_come == 0
                continue
            self._lines.feed(payload)
            payload = b""
            line = self._lines.take()
            if line is None:
                return
            if line.startswith("="):
                self._to_come = int(line[1:])
                payload = self._lines.take_all()
                yield line.encode() + b"\n", line, self._to_come == 0
                if not payload:
                    return
            else:
                yield line.encode() + b"\n", line, True
