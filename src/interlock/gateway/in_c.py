"""What of the journal's thread is in C (``in_c.pxd``), for compiled callers; here is what it is without them."""

from collections.abc import Sequence


def publish(state: list[int], handed: int) -> None:
    """Make what was handed over visible to the thread, after its content."""
    state[0] = handed


def run_groups(
    state: Sequence[int],
    pointers: Sequence[bytes],
    sizes: Sequence[int],
    files: Sequence[int],
    offsets: Sequence[int],
    taken: Sequence[float],
) -> int:
    """Turns without the interpreter, until one needs it: 0, or the number of the error that a turn met.

    There are none without a compiler.
    """
    return 0
