"""What every rotation of a key in a folder has in common: one at a time, and where the last key stays meanwhile.

The last key lies beside the one in use as ``KIND.until-TIME.SUFFIX``; TIME, in whole seconds of UTC, is its end.
INVARIANT: no such file is ever written over. It is the only place where its key still is.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from interlock.errors import Failure

_STAMP = "%Y%m%dT%H%M%SZ"
_LOCK = "rotating.lock"
_TELLING = "rotations.lock"


@contextmanager
def rotating(folder: Path) -> Iterator[None]:
    """Alone among the rotations of ``folder``: others wait. The system lets go of it when the process dies."""
    with open(folder / _LOCK, "ab", opener=_private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def rotation_told(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Alone with ``folder`` from before a rotation until it was written down. False: somebody else is."""
    with open(folder / _TELLING, "ab", opener=_private) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def place_until(folder: Path, kind: str, suffix: str, until: datetime) -> tuple[Path, datetime]:
    """Where a key that is good until ``until`` goes, and the end that its name says; to be called while ``rotating``.

    Where another one of that very second is, it is good a second longer.
    """
    until = until.replace(microsecond=0)
    while (path := dated(folder, f"{kind}.until", suffix, until)).exists():
        until += timedelta(seconds=1)
    return path, until


def older(folder: Path, kind: str, suffix: str) -> list[tuple[Path, datetime]]:
    """The keys that were in use before, each with its end, the first to end first. Raises Failure."""
    return all_dated(folder, f"{kind}.until", suffix)


def dated(folder: Path, stem: str, suffix: str, at: datetime) -> Path:
    """The file of ``stem`` whose time is ``at``, in whole seconds."""
    return folder / f"{stem}-{at:{_STAMP}}.{suffix}"


def all_dated(folder: Path, stem: str, suffix: str) -> list[tuple[Path, datetime]]:
    """Every file of ``stem`` with its time, the earliest first. Raises Failure for a name without one."""
    found = []
    for path in sorted(folder.glob(f"{stem}-*.{suffix}")):
        try:
            at = datetime.strptime(path.name, f"{stem}-{_STAMP}.{suffix}").replace(tzinfo=UTC)
        except ValueError as error:
            raise Failure(f"{path} is no key of ours: its name has no time.", "Move it away.") from error
        found.append((path, at))
    return found
