"""A cluster on disk: made once, whole or not at all, with its roles and their passwords."""

import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from interlock.errors import Failure
from interlock.store.binaries import Binaries, find_binaries
from interlock.store.folders import open_folder
from interlock.store.processes import run

SUPERUSER = "postgres"
_BUILTIN_LOCALES_SINCE = 17
_WHOLE_SYNC_SINCE = 17


class Cluster:
    """The cluster in ``folder``; ``account`` owns its files (None: ourselves)."""

    def __init__(self, folder: Path, account: str | None) -> None:
        self.data = folder / "data"
        self._folder = folder
        self._account = account
        self._secrets = folder / "secrets.json"

    def binaries(self) -> Binaries:
        """The programs that fit the cluster, or the newest when there is none yet."""
        try:
            version = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return find_binaries()
        except OSError as error:
            raise Failure(f"The database in {self.data} cannot be read: {error.strerror}.") from error
        return find_binaries(int(version))

    def passwords(self) -> Mapping[str, str]:
        """The password of each role. Raises Failure when they are lost, for they are kept nowhere else."""
        try:
            kept: Mapping[str, str] = json.loads(self._secrets.read_text())
        except (OSError, ValueError) as error:
            raise Failure(
                f"The passwords of the embedded database, in {self._secrets}, cannot be read: {error}.",
                "Restore the file from a backup of the data folder.",
            ) from error
        return kept

    def make(self, logins: Sequence[str], database: str, password: str | None, *, durable: bool) -> None:
        """Make the cluster, unless it is there: its roles, and ``database``, which the first of them owns.

        INVARIANT: ``data`` only comes to be by a rename, when everything in it is done; a start that was killed leaves
        a ``data.new-…`` behind, which the next one removes.
        """
        if (self.data / "PG_VERSION").exists():
            if password is not None and self.passwords()[SUPERUSER] != password:
                self._set_password(password)
            return
        # A name of its own each time: programs of a start that was killed may still be writing for a moment.
        for left in self._folder.glob("data.new-*"):
            shutil.rmtree(left, ignore_errors=True)
        fresh = self._folder / f"data.new-{secrets.token_hex(4)}"
        open_folder(fresh, self._account)
        passwords = {name: secrets.token_urlsafe(24) for name in (SUPERUSER, *logins)}
        if password is not None:
            passwords[SUPERUSER] = password
        programs = find_binaries()
        run(_initdb(programs, fresh, durable=durable), self._account, [programs.folder, fresh])
        self._command(programs, fresh, _first_statements(passwords, logins, database))
        self._keep(passwords)
        fresh.rename(self.data)

    def _set_password(self, password: str) -> None:
        self._command(self.binaries(), self.data, [_password_statement(SUPERUSER, password)])
        self._keep({**self.passwords(), SUPERUSER: password})

    def _command(self, programs: Binaries, data: Path, statements: Sequence[str]) -> None:
        """Run statements with the server's single-user mode: no connection, so no client and no password."""
        program: list[str | Path] = [
            programs.postgres,
            "--single",
            "-j",
            "-D",
            data,
            "-c",
            "exit_on_error=true",
            SUPERUSER,
        ]
        run(program, self._account, [programs.folder, data], said="".join(f"{line};\n\n" for line in statements))

    def _keep(self, passwords: Mapping[str, str]) -> None:
        fresh = self._secrets.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(passwords, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self._secrets)


def _initdb(programs: Binaries, data: Path, *, durable: bool) -> list[str | Path]:
    # PostgreSQL's own locale where it has one: the system's may sort otherwise after an upgrade, and break indexes.
    locale = ["--locale=C"]
    if programs.major >= _BUILTIN_LOCALES_SINCE:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    flags = ["--username", SUPERUSER, "--encoding=UTF8", "--auth=trust", "--data-checksums", *locale]
    if not durable:
        flags.append("--no-sync")
    elif programs.major >= _WHOLE_SYNC_SINCE:
        # one call instead of a thousand, one for each file
        flags.append("--sync-method=syncfs" if sys.platform == "linux" else "--sync-method=fsync")
    return [programs.initdb, "-D", data, *flags]


def _first_statements(passwords: Mapping[str, str], logins: Sequence[str], database: str) -> list[str]:
    statements = [_password_statement(SUPERUSER, passwords[SUPERUSER])]
    statements += [f"CREATE ROLE {_name(login)} LOGIN PASSWORD {_text(passwords[login])}" for login in logins]
    if database != "postgres":
        owner = f" OWNER {_name(logins[0])}" if logins else ""
        statements.append(f"CREATE DATABASE {_name(database)}{owner}")
        statements.append(f"REVOKE ALL ON DATABASE {_name(database)} FROM PUBLIC")
        statements += [f"GRANT CONNECT ON DATABASE {_name(database)} TO {_name(login)}" for login in logins]
    return statements


def _password_statement(role: str, password: str) -> str:
    return f"ALTER ROLE {_name(role)} PASSWORD {_text(password)}"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    if "\\" in text or "\0" in text or "\n" in text:
        raise Failure("A database password has no backslash and no line break in it.", "Choose another.")
    return "'" + text.replace("'", "''") + "'"
