"""What a recording and the journal are to each other. Classes and no protocols: compiled, both ways are C calls."""

from collections.abc import Callable

Then = Callable[[], None]


class FrameOwner:
    """Whose frame it is; told on the loop where it lies, once it is durable."""

    def placed(self, file: int, offset: int) -> None:
        raise NotImplementedError


class RecordTaker:
    """The journal. ``then`` is called when the record is on disk."""

    def append(self, owner: FrameOwner, payload: bytes, then: Then | None = None) -> None:
        raise NotImplementedError
