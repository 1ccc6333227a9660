"""The folders a server of ours lives in: made with the right owner, held by one process, with a socket that fits."""

import fcntl
import hashlib
import os
import pwd
import stat
import tempfile
from pathlib import Path

from interlock.errors import Failure

_LONGEST_SOCKET_PATH = 107
"""Bytes of ``sun_path`` on Linux, without its closing NUL; elsewhere it is a little less."""


class FolderLock:
    """The right to run the server in a folder. The kernel gives it back when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises Failure when another process has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise Failure(
                f"The database in {self._path.parent} is in use by another running Interlock (process {holder}).",
                "Stop that one first, or give another folder with --data.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def open_folder(folder: Path, account: str | None, *, shared: bool = False) -> None:
    """Make ``folder`` if it is not there, for ``account`` (None: ourselves) alone.

    ``shared`` keeps it ours and lets the account pass through it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if account is None:
            folder.chmod(0o700)
        elif shared:
            folder.chmod(0o711)
        else:
            entry = pwd.getpwnam(account)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            folder.chmod(0o700)
    except OSError as error:
        raise Failure(
            f"The folder {folder} cannot be made: {error.strerror}.", "Check its owner and the disk."
        ) from error


def socket_folder(wanted: Path, port: int, account: str | None) -> Path:
    """``wanted``, or, where a socket's path there would be too long for the kernel, a short folder for it alone."""
    folder = wanted
    if len(os.fsencode(folder / f".s.PGSQL.{port}")) > _LONGEST_SOCKET_PATH:
        name = hashlib.sha256(os.fsencode(wanted.absolute())).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"interlock-{name}"
        _check_ours(folder, account)
    open_folder(folder, account)
    return folder


def _check_ours(folder: Path, account: str | None) -> None:
    """In a folder that everyone may write to, a name that is taken must be taken by us."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    owners = {os.geteuid()} | ({pwd.getpwnam(account).pw_uid} if account else set())
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners or found.st_mode & 0o077:
        raise Failure(
            f"{folder}, where the database's socket belongs, was made by somebody else.",
            "Remove it, or use a data folder with a shorter path.",
        )
