"""The client's home: one folder (0700) with files (0600) that hold one person's key and credentials.

key.pem           the key pair, made here once and kept across logins: grants are bound to it
certificate.pem   the certificate of the login       authority.pem   the server's authority, pinned
settings.json     server and person                  login.json      the login: token and times
pg_service.conf   one section for each resource      fault.log       the last fault of the program itself
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from interlock.errors import Failure
from interlock.identity.keys import load_or_create_key, write_private


@dataclass(frozen=True, slots=True)
class Home:
    """The paths inside a home, and careful reading and writing of them."""

    root: Path
    default: bool

    @property
    def key(self) -> Path:
        return self.root / "key.pem"

    @property
    def certificate(self) -> Path:
        return self.root / "certificate.pem"

    @property
    def authority(self) -> Path:
        return self.root / "authority.pem"

    @property
    def services(self) -> Path:
        return self.root / "pg_service.conf"

    @property
    def fault_log(self) -> Path:
        return self.root / "fault.log"

    def settings(self) -> dict[str, Any]:
        """What is remembered between logins: ``server`` and ``person``."""
        return self._read_json("settings.json")

    def remember(self, **changes: str) -> None:
        self.write("settings.json", json.dumps({**self.settings(), **changes}, indent=2) + "\n")

    def login(self) -> dict[str, Any]:
        """The login as it was last answered; empty when there is none."""
        return self._read_json("login.json")

    def keep_login(self, login: Mapping[str, Any]) -> None:
        self.write("login.json", json.dumps(dict(login), indent=2) + "\n")

    def forget_login(self) -> None:
        for name in ("login.json", "certificate.pem", "pg_service.conf"):
            try:
                (self.root / name).unlink(missing_ok=True)
            except OSError as error:
                raise Failure(
                    f"{self.root / name} cannot be removed: {error.strerror or error}.", "Remove it by hand."
                ) from error

    def private_key(self) -> EllipticCurvePrivateKey:
        """The key pair (P-256), made on first use."""
        self._prepare()
        return load_or_create_key(self.key)

    def write(self, name: str, text: str) -> Path:
        """Replace a file of the home, whole or not at all, readable by its owner alone."""
        self._prepare()
        path = self.root / name
        write_private(path, text.encode())
        return path

    def _prepare(self) -> None:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if stat.S_IMODE(self.root.stat().st_mode) & 0o077:
                self.root.chmod(0o700)
        except OSError as error:
            raise Failure(
                f"The client's folder {self.root} cannot be used: {error.strerror or error}.",
                "Choose another one: export INTERLOCK_HOME=FOLDER",
            ) from error

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.root / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Failure(
                f"{path} cannot be read: {error.strerror or error}.",
                "Mend that, or use another folder: export INTERLOCK_HOME=FOLDER",
            ) from error
        except ValueError as error:
            raise Failure(f"{path} is damaged.", "Remove it and sign in again: interlock login") from error
        return found if isinstance(found, dict) else {}


def open_home() -> Home:
    """``INTERLOCK_HOME``, else ``interlock`` in the user's configuration folder."""
    chosen = os.environ.get("INTERLOCK_HOME")
    if chosen:
        return Home(Path(chosen).expanduser().absolute(), default=False)
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Home(Path(base).expanduser().absolute() / "interlock", default=True)
