"""Connection service files (libpq, "The Connection Service File"): one section for each reachable resource.

The home has a file of its own. In the user's ``~/.pg_service.conf`` only the text between our two marker lines is
ever touched, and a name that somebody else uses there is left to them.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from interlock.cli.home import Home
from interlock.errors import Failure

_SECTION = re.compile(r"^\s*\[([^\]]*)\]\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Service:
    """One resource as libpq reaches it through the gateway."""

    name: str
    host: str
    port: int
    database: str
    user: str

    def section(self, home: Home) -> str:
        """The service file's section. The server is verified against our authority, and against nothing else."""
        return "\n".join(
            (
                f"[{self.name}]",
                *_host_lines(self.host),
                f"port={self.port}",
                f"dbname={self.database}",
                f"user={self.user}",
                "sslmode=verify-full",
                f"sslrootcert={home.authority}",
                f"sslcert={home.certificate}",
                f"sslkey={home.key}",
                "",
            )
        )


def _host_lines(host: str) -> tuple[str, ...]:
    # libpq before version 15 compares an address with names only, so loopback is verified by its name.
    return ("host=localhost", f"hostaddr={host}") if host in ("127.0.0.1", "::1") else (f"host={host}",)


def service_of(resource: Mapping[str, object], person: str) -> Service | None:
    """The service for a resource as the API lists it; None when it is no PostgreSQL or cannot be reached."""
    connect = resource.get("connect")
    if resource.get("kind") != "postgres" or not isinstance(connect, Mapping) or not connect.get("host"):
        return None
    database = connect.get("database") or resource["name"]
    return Service(str(resource["name"]), str(connect["host"]), int(str(connect["port"])), str(database), person)


def write_home_file(home: Home, services: Sequence[Service]) -> Path:
    """The home's own service file, written anew."""
    text = "# Written by interlock login. Use it: PGSERVICEFILE=THIS_FILE psql service=NAME\n\n"
    return home.write(home.services.name, text + "\n".join(service.section(home) for service in services))


def users_file() -> Path:
    """The service file that this user's libpq reads when nobody says otherwise."""
    return Path(os.environ.get("PGSERVICEFILE") or "~/.pg_service.conf").expanduser()


def merge_users_file(path: Path, home: Home, services: Sequence[Service]) -> tuple[list[str], list[str]]:
    """Put the sections between our markers in ``path``; answers (names written, names somebody else has there)."""
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        rest = _without_block(before, home)
        others = set(_SECTION.findall(rest))
        mine = [service for service in services if service.name not in others]
        taken = [service.name for service in services if service.name in others]
        block = _block(home, mine)
        after = f"{rest.rstrip()}\n\n{block}".lstrip() if rest.strip() else block
        if after != before:
            _replace(path, after)
    except OSError as error:
        raise Failure(
            f"{path} cannot be written: {error.strerror or error}.", "Sign in with --no-pg-service to leave it alone."
        ) from error
    return [service.name for service in mine], taken


def clear_users_file(path: Path, home: Home) -> None:
    """Take our block out of ``path`` again, when it has one."""
    if path.exists():
        before = path.read_text(encoding="utf-8")
        after = _without_block(before, home)
        if after != before:
            _replace(path, after)


def _markers(home: Home) -> tuple[str, str]:
    return f"# >>> interlock {home.root} >>>", f"# <<< interlock {home.root} <<<"


def _block(home: Home, services: Sequence[Service]) -> str:
    if not services:
        return ""
    first, last = _markers(home)
    body = "\n".join(service.section(home) for service in services)
    return f"{first}\n# Written by interlock login, which replaces everything up to the closing line.\n{body}{last}\n"


def _without_block(text: str, home: Home) -> str:
    first, last = (re.escape(marker) for marker in _markers(home))
    return re.sub(rf"\n?^{first}$.*?^{last}$\n?", "", text, flags=re.MULTILINE | re.DOTALL)


def _replace(path: Path, text: str) -> None:
    target = path.resolve()
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    fresh.touch(mode=mode)
    fresh.chmod(mode)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(target)
