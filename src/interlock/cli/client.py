"""The signed-in client that most commands use: calls of the API with this home's key, and a fresh proof of presence."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import typer

from interlock.cli.home import Home, open_home
from interlock.errors import NotFound, Refusal
from interlock.identity.api_client import ApiClient, server_address

DEFAULT_SERVER = "https://127.0.0.1:8443"
_LONG_CALL_S = 60.0
_TOTP_DIGITS = 6
_NAME = re.compile(r"[\w.%+@-]{1,254}", re.ASCII)

ServerOption = Annotated[
    str | None,
    typer.Option("--server", envvar="INTERLOCK_SERVER", metavar="URL", help="The server; remembered from the login."),
]


@dataclass(frozen=True, slots=True)
class Client:
    """Calls as the person who is signed in."""

    home: Home
    person: str
    api: ApiClient

    def get(self, path: str, **query: str | Sequence[str]) -> Any:
        return self.api.get(path, timeout_s=_LONG_CALL_S, **query)

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float | None = None) -> Any:
        return self.api.post(path, body, timeout_s=timeout_s)

    def post_present(self, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float | None = None) -> Any:
        """As ``post``; when the server asks for a fresh proof of presence, asks the person for it and posts again."""
        try:
            return self.post(path, body, timeout_s=timeout_s)
        except Refusal as refusal:
            if refusal.code != "presence-needed":
                raise
            self.step_up()
            return self.post(path, body, timeout_s=timeout_s)

    def step_up(self) -> None:
        """A fresh proof of presence for this login. Raises Refusal when nobody is there to give it."""
        fresh = self.api.post("/v1/step-up", {"totp": ask_totp()})
        self.api.auth.token = str(fresh["token"])
        self.home.keep_login({**self.home.login(), **fresh})

    def stream(self, path: str) -> Iterator[Mapping[str, Any]]:
        return self.api.stream(path)


def call_of(kind: str, name: str, *rest: str) -> str:
    """The path of a call about one thing, by what the person typed. Raises NotFound for what can be no name.

    ``name`` must not lead anywhere else: ``../whoami`` is not a request.
    """
    if _NAME.fullmatch(name) is None or name in (".", ".."):
        raise NotFound(f"There is nothing called {name!r} here.", f"See `interlock {kind}`.")
    return "/".join(("/v1", kind, quote(name, safe="@+"), *rest))


@contextmanager
def signed_in(server: str | None) -> Iterator[Client]:
    """The client of the login in this home. Raises Refusal when there is none, or none for ``server``."""
    home = open_home()
    login = home.login()
    if not login or not home.authority.exists():
        raise Refusal("not-signed-in", f"Nobody is signed in here ({home.root}).", "Type `interlock login`.")
    address = server_address(server or str(login["server"]))
    if address != login["server"]:
        raise Refusal(
            "other-server",
            f"This login is for {login['server']}, not for {address}.",
            f"Type `interlock login --server {address}`, with another INTERLOCK_HOME to keep both.",
        )
    api = ApiClient(address, key=home.private_key(), authority=home.authority.read_text(), token=str(login["token"]))
    with api:
        yield Client(home, str(login["person"]), api)


def ask_totp() -> str:
    """The six digits: from INTERLOCK_TOTP, else from the terminal. Raises Refusal when there is neither."""
    given = os.environ.get("INTERLOCK_TOTP")
    if not given:
        _need_terminal("A one-time code is needed", "INTERLOCK_TOTP")
        given = str(typer.prompt("One-time code", err=True))
    # Authenticators show it in two halves, and that is how it is copied.
    digits = "".join(given.split())
    if not (digits.isascii() and digits.isdigit() and len(digits) == _TOTP_DIGITS):
        raise Refusal("no-code", "That is no one-time code.", "Give the six digits that your authenticator shows.")
    return digits


def ask_password(prompt: str = "Password", *, twice: bool = False) -> str:
    """From INTERLOCK_PASSWORD, else from the terminal, unseen. Raises Refusal when there is neither."""
    given = os.environ.get("INTERLOCK_PASSWORD")
    if given:
        return given
    _need_terminal("A password is needed", "INTERLOCK_PASSWORD")
    return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True))


def choose_server(server: str | None, home: Home) -> str:
    """``--server`` or INTERLOCK_SERVER, else the remembered one, else this machine."""
    return server_address(server or str(home.settings().get("server") or "") or DEFAULT_SERVER)


def _need_terminal(what: str, variable: str) -> None:
    if not sys.stdin.isatty():
        raise Refusal("no-terminal", f"{what}, and there is no terminal to ask on.", f"In a script: set {variable}.")
