"""What goes to the client: gathered, kept back while a fence counts, never put into the middle of a message."""

from collections.abc import Callable

KEPT_LIMIT = 16 * 1024 * 1024
"""How many bytes of answers are kept back at most until it is known whether they may be shown."""

Payload = bytes | memoryview


class Sink:
    """Gathers what goes to the client; ``flush`` sends it as one piece."""

    def __init__(self, send: Callable[[Payload], None]) -> None:
        self._send = send
        self._gathered: list[Payload] = []
        self._kept: list[Payload] | None = None
        self._kept_bytes = 0
        self._cut = False
        self._postponed: list[bytes] = []
        self.overflowed = False

    @property
    def between_messages(self) -> bool:
        """Whether what the client got so far ends where a message ends."""
        return not self._cut

    def write(self, payload: Payload, whole: bool = True) -> None:
        """The next bytes for the client. ``whole`` is false when they end in the middle of a message."""
        if self._kept is not None:
            self._keep(payload)
            return
        self._gathered.append(payload)
        self._cut = not whole
        if whole and self._postponed:
            self._gathered += self._postponed
            self._postponed.clear()

    def interject(self, payload: bytes) -> None:
        """A message that is no answer (a notice). It waits for the end of a message, and is never kept back."""
        if self._cut:
            self._postponed.append(payload)
        else:
            self._gathered.append(payload)

    def keep_back(self) -> None:
        self._kept = []
        self._kept_bytes = 0
        self.overflowed = False

    def take_kept(self) -> list[Payload]:
        """End keeping back, and hand over what was kept; empty when it grew over KEPT_LIMIT."""
        kept = self._kept or []
        self._kept = None
        return kept

    def drop_kept(self) -> None:
        self._kept = None

    def pass_on(self, payload: bytes) -> None:
        """``payload``, which is whole messages, at once and behind all that was written before."""
        if self._gathered or self._kept is not None or self._cut:
            self.write(payload)
            self.flush()
        else:
            self._send(payload)

    def flush(self) -> None:
        gathered = self._gathered
        if not gathered:
            return
        self._gathered = []
        self._send(gathered[0] if len(gathered) == 1 else b"".join(gathered))

    def _keep(self, payload: Payload) -> None:
        if self._kept is None or self.overflowed:
            return
        self._kept_bytes += len(payload)
        if self._kept_bytes > KEPT_LIMIT:
            self.overflowed = True
            self._kept = []
            return
        self._kept.append(bytes(payload))
