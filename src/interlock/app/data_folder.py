"""The data folder: its layout, its permissions, and who owns it at the moment.

lock          held by the running instance (flock), with its process number and start time
postgres/     the embedded cluster              keys/       0700: authority, token, server and gateway keys
recordings/   the object store's root           journal/    gateway workers' write-ahead recordings
run/          sockets and ports.json            log/        one file for each process
ledger/       the published ledger              sinks/      how far this machine's were told
repositories/ bare mirrors that the delivery chain reads
"""

import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from interlock.errors import Failure
from interlock.store.binaries import server_account
from interlock.store.reachable import may_enter

PRIVATE = ("keys", "recordings", "journal", "log", "ledger", "sinks", "repositories")
TRAVERSED = ("run",)
"""Folders that the embedded PostgreSQL, which runs under another account when we are root, must pass through."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The running instance that holds a data folder."""

    pid: int
    started_at: str


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The paths inside a data folder. ``root`` is absolute."""

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def recordings(self) -> Path:
        return self.root / "recordings"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger"

    @property
    def sinks(self) -> Path:
        return self.root / "sinks"

    @property
    def repositories(self) -> Path:
        return self.root / "repositories"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def ports_file(self) -> Path:
        return self.run / "ports.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    def write_ports(self, ports: Mapping[str, str]) -> None:
        """Tell other programs on this machine where the listeners are: ``{"console": "127.0.0.1:8443", …}``."""
        fresh = self.ports_file.with_suffix(".new")
        fresh.write_text(json.dumps(dict(ports), indent=2, sort_keys=True) + "\n")
        fresh.replace(self.ports_file)

    def read_ports(self) -> dict[str, str]:
        """The listeners of the instance that runs, or ran last; empty when none ever did."""
        try:
            found = json.loads(self.ports_file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return {str(name): str(address) for name, address in found.items()} if isinstance(found, dict) else {}

    def owner(self) -> Owner | None:
        """The instance that holds the folder now, or None."""
        try:
            handle = os.open(self.lock_file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_owner(self.lock_file)
        else:
            return None
        finally:
            os.close(handle)


def default_data_folder() -> Path:
    """``INTERLOCK_DATA``, else ``.interlock`` in the current folder."""
    return Path(os.environ.get("INTERLOCK_DATA") or ".interlock")


def demo_folder(name: str) -> Path:
    """``name`` in the current folder; as root below a closed folder, where the database's account could not follow,
    the same name in ``/var/lib/interlock``."""
    account = server_account()
    here = Path.cwd()
    if account is None or may_enter(here, account):
        return here / name
    return Path("/var/lib/interlock") / name.removeprefix(".")


def open_data_folder(root: Path, *, create: bool = True) -> DataFolder:
    """The data folder at ``root``, made and tightened as far as it must be.

    Raises Failure when it cannot be made, or belongs to another account (whose keys would then not be ours alone).
    """
    root = root.expanduser().absolute()
    folder = DataFolder(root)
    if not create and not root.is_dir():
        raise Failure(
            f"There is no data folder at {root}.",
            "Give the folder of the running installation with --data DIR, or start one with: interlock up",
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        _tighten(root, _outer_mode())
        for name in PRIVATE:
            _make(root / name, 0o700)
        for name in TRAVERSED:
            _make(root / name, _outer_mode())
    except OSError as error:
        raise Failure(
            f"The data folder {root} cannot be used: {error.strerror or error}.",
            "Be the account that it belongs to, or name a folder that this account may write to with --data DIR.",
        ) from error
    return folder


@contextmanager
def locked(folder: DataFolder) -> Iterator[None]:
    """Own the folder while the block runs. Raises Failure when another running instance owns it."""
    handle = os.open(folder.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _take(handle):
            raise _owned(folder)
        os.ftruncate(handle, 0)
        mine = {"pid": os.getpid(), "started_at": datetime.now(UTC).isoformat(timespec="seconds")}
        os.write(handle, (json.dumps(mine) + "\n").encode())
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def weaknesses(folder: DataFolder) -> list[str]:
    """What is wrong with the permissions, one sentence each with the command that mends it."""
    found = []
    for path in (folder.root, *(folder.root / name for name in PRIVATE)):
        if not path.exists():
            found.append(f"{path} is missing: start Interlock once, it makes the folder.")
            continue
        status = path.stat()
        allowed = _outer_mode() if path == folder.root else 0o700
        if status.st_uid != os.geteuid():
            found.append(f"{path} belongs to another account: give it to the one that runs Interlock, with chown -R.")
        if stat.S_IMODE(status.st_mode) & ~allowed:
            found.append(f"{path} is open to others: type `chmod {allowed:o} {path}`.")
    found.extend(
        f"{key} can be read by others: type `chmod 600 {key}`, and replace the key."
        for key in sorted(folder.keys.glob("*.key"))
        if stat.S_IMODE(key.stat().st_mode) & 0o077
    )
    return found


def _take(handle: int) -> bool:
    # Somebody who only looks who the owner is holds the lock for an instant; that must not stop a start.
    for wait_s in (0.05, 0.1, 0):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(wait_s)
        else:
            return True
    return False


def _outer_mode() -> int:
    return 0o711 if os.geteuid() == 0 else 0o700


def _make(path: Path, mode: int) -> None:
    path.mkdir(mode=mode, exist_ok=True)
    _tighten(path, mode)


def _tighten(path: Path, mode: int) -> None:
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to another account")
    if stat.S_IMODE(status.st_mode) != mode:
        path.chmod(mode)


def _read_owner(path: Path) -> Owner:
    try:
        found = json.loads(path.read_text())
        return Owner(int(found["pid"]), str(found["started_at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Owner(0, "")


def _owned(folder: DataFolder) -> Failure:
    owner = _read_owner(folder.lock_file)
    who = f" (process {owner.pid}, started {owner.started_at})" if owner.pid else ""
    return Failure(
        f"The data folder {folder.root} is in use by another running Interlock{who}.",
        "Stop that one first, or give this one a folder of its own with --data DIR.",
    )
