"""Proving to be there for a connection: a touch of the passkey in a browser, or a one-time code here."""

import signal
import sys
import time
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from interlock.cli.client import Client, ask_totp, call_of
from interlock.cli.output import note
from interlock.cli.shown import counted
from interlock.errors import InterlockError, Refusal

_WAIT_S = 300.0
_LOOK_S = 0.5


def prove_where_needed(client: Client, resource: Mapping[str, Any], connections: int, *, password: bool = False) -> str:
    """The pass for so many connections to ``resource``; empty where none is needed, or enough were given just now.

    ``password``: it goes with a password that is made for it, whatever was given before.

    Raises Refusal when nobody proves to be there.
    """
    presence = resource["presence"]
    if not presence["needed"] or (presence["left"] >= connections and not password):
        return ""
    asked = client.post("/v1/passes", {"resource": resource["name"], "connections": connections, "password": password})
    pass_id = str(asked["id"])
    roles = " and ".join(str(one["role"]) for one in asked["content"]["grants"])
    what = f"{counted(connections, 'connection')} to {resource['name']} as {roles}"
    if asked["by"] == "code":
        note(f"Prove that you are there, for {what}.")
        client.post(call_of("passes", pass_id, "code"), {"totp": ask_totp()})
        return pass_id
    note(
        f"Touch your passkey for {what}, on the page\n\n    {asked['page']}\n\n"
        "Waiting for up to 5 minutes; it goes on by itself. Ctrl-C gives up."
    )
    if sys.stderr.isatty():
        webbrowser.open(str(asked["page"]))
    with _given_up(client, pass_id):
        _await_touch(client, pass_id)
    return pass_id


def _await_touch(client: Client, pass_id: str) -> None:
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        time.sleep(_LOOK_S)
        if client.get(call_of("passes", pass_id))["given"]:
            note("You are there.")
            return
    raise Refusal("nobody-there", "Nobody touched the passkey in time.", "Type the same again.")


@contextmanager
def _given_up(client: Client, pass_id: str) -> Iterator[None]:
    """However the wait ends but by the touch, a touch that comes later gives nothing."""
    # What whoever started us told us not to hear (nohup) stays unheard.
    heard = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _stop) for number in heard}
    try:
        yield
    except BaseException:
        with suppress(InterlockError):
            client.post(call_of("passes", pass_id, "withdraw"))
        raise
    finally:
        for number, kept in before.items():
            signal.signal(number, kept)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt
