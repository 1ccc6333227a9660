"""Proving to be there for a connection: a touch of the passkey in a browser, or a one-time code here."""

import select
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
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
    with _given_up(client, pass_id), stop_asked() as stopped:
        _await_touch(client, pass_id, stopped)
    return pass_id


def _await_touch(client: Client, pass_id: str, stopped: Callable[[float], bool]) -> None:
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        if stopped(_LOOK_S):
            raise KeyboardInterrupt
        given = client.get(call_of("passes", pass_id))["given"]
        if stopped(0):
            raise KeyboardInterrupt
        if given:
            note("You are there.")
            return
    raise Refusal("nobody-there", "Nobody touched the passkey in time.", "Type the same again.")


@contextmanager
def _given_up(client: Client, pass_id: str) -> Iterator[None]:
    """However the wait ends but by the touch, a touch that comes later gives nothing."""
    try:
        yield
    except BaseException:
        with suppress(InterlockError):
            client.post(call_of("passes", pass_id, "withdraw"))
        raise


@contextmanager
def stop_asked() -> Iterator[Callable[[float], bool]]:
    """While the block runs, being asked to stop (Ctrl-C, TERM, HUP) interrupts nothing: what is given waits for it, at
    most so many seconds, and says whether it came. In the middle of a call to the server it would leave locks behind,
    for which the next call would wait for ever. For the main thread.
    """
    # What whoever started us told us not to hear (nohup) stays unheard.
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else ())]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    told, tells = socket.socketpair()
    with told, tells:
        tells.setblocking(False)
        before = {number: signal.signal(number, _note) for number in heard}
        earlier = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
        try:
            yield lambda within_s: bool(select.select([told], (), (), within_s)[0])
        finally:
            signal.set_wakeup_fd(earlier)
            for number, kept in before.items():
                signal.signal(number, kept)


def _note(*_: object) -> None:
    """That it came is told by the interpreter, through the wake-up descriptor."""
