"""The demo's people: enrolled and signed in through the very commands that people type, each with a home of their own.

What an authenticator would hold, and the password, lie in the home (0600), so that the demo can play all of them.
"""

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp

from interlock.app.data_folder import DataFolder
from interlock.errors import Failure, NotFound
from interlock.identity.keys import write_private

STEP_S = 30
_TO_SHOW_IT_S = 12
"""How long it may take from a code to the server that checks it."""
_LOGIN_LEFT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Actor:
    """One of the demo's people. ``role`` says in a few words who they are in the story."""

    name: str
    role: str
    home: Path

    @property
    def short(self) -> str:
        return self.name.partition("@")[0]

    @property
    def environment(self) -> dict[str, str]:
        return {"INTERLOCK_HOME": str(self.home)}


CAST = (
    ("dev@acme.example", "a contractor from acme, who needs access"),
    ("lead@example.com", "an employee: owns the database, sponsors acme's contract"),
    ("second@example.com", "an employee in operations; reads the ledger"),
    ("ops@bolt.example", "a contractor from another vendor, in operations"),
    ("mate@acme.example", "dev's colleague from acme, in operations too"),
)


def cast(folder: DataFolder) -> dict[str, Actor]:
    """The people by their short names: dev, lead, second, ops, mate."""
    actors = (Actor(name, role, folder.root / "homes" / name) for name, role in CAST)
    return {actor.short: actor for actor in actors}


async def let_in(actor: Actor, folder: DataFolder, server: str) -> None:
    """Enrol when they never were, sign in when their login is over or soon will be."""
    kept = _kept(actor)
    if not kept:
        password = secrets.token_urlsafe(18)
        code = await _json(actor, {}, "enrol", actor.name, "--data", str(folder.root))
        asked = ("login", "--server", server, "--person", actor.name, "--code", str(code["code"]), "--enrol-only")
        enrolled = await _json(actor, {"INTERLOCK_PASSWORD": password}, *asked)
        kept = {"password": password, "totp_secret": enrolled["totp_secret"]}
        write_private(actor.home / "demo.json", json.dumps(kept).encode())
    if not _signed_in(actor, server):
        await _json(actor, await credentials(actor), "login", "--server", server, "--no-pg-service")


async def credentials(actor: Actor) -> dict[str, str]:
    """The environment with which the actor signs in: password and a one-time code that was not used yet."""
    return {"INTERLOCK_PASSWORD": str(_kept(actor)["password"]), "INTERLOCK_TOTP": await fresh_code(actor)}


async def fresh_code(actor: Actor) -> str:
    """A one-time code that was not given out before. Raises NotFound.

    A server takes codes of the half minute before and after, for clocks that differ: who begins with the one before
    has three in a row without waiting.
    """
    kept = _kept(actor)
    if not kept:
        raise NotFound(f"The demo has nobody called {actor.name}.", "Start it first: interlock demo")
    # The one before is taken until this half minute ends, and the program that shows it has to start first.
    step = max(int((time.time() + _TO_SHOW_IT_S) // STEP_S) - 1, int(kept.get("last_step", 0)) + 1)
    await asyncio.sleep(max(0.0, (step - 1) * STEP_S - time.time()))
    write_private(actor.home / "demo.json", json.dumps({**kept, "last_step": step}).encode())
    return pyotp.TOTP(str(kept["totp_secret"])).at(step * STEP_S)


def command(*arguments: str) -> list[str]:
    """The command line of an `interlock` command, as a process of its own."""
    return [sys.executable, "-P", "-m", "interlock", *arguments]


def environment(actor: Actor, more: Mapping[str, str]) -> dict[str, str]:
    """What the actor's shell would hold; the outer one's own credentials and servers stay outside."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("INTERLOCK_", "PG"))}
    return {**outer, **actor.environment, **more}


def _kept(actor: Actor) -> dict[str, Any]:
    try:
        found = json.loads((actor.home / "demo.json").read_text())
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def _signed_in(actor: Actor, server: str) -> bool:
    try:
        login = json.loads((actor.home / "login.json").read_text())
        return login["server"] == server and datetime.fromisoformat(login["ends_at"]) > datetime.now(UTC) + _LOGIN_LEFT
    except (FileNotFoundError, ValueError, KeyError):
        return False


async def _json(actor: Actor, more: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *command(*arguments, "--json"),
        env=environment(actor, more),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    if process.returncode != 0:
        raise Failure(f"{actor.name} could not be let in: {complained.decode(errors='replace').strip()}")
    answer: dict[str, Any] = json.loads(said)
    return answer
