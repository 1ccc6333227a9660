"""Where a template is put together, in C (``template_in_c.pxd``) for compiled callers; here without a compiler."""


def make_room(size: int) -> bytearray:
    return bytearray(size)


def put(room: bytearray, at: int, byte: int) -> None:
    """Set the byte at ``at``, which lies in the room."""
    room[at] = byte


def take(room: bytearray, size: int) -> bytes:
    """The first ``size`` bytes."""
    return bytes(room[:size])
