"""Tells receivers that somebody's sessions, credentials or account ended: pushed as RFC 8935 says, each at least once.

As with sinks it is known of each receiver how far it was told, none stands in the way of another, and of several
control planes one tells it (:mod:`interlock.app.taking_turns`). A receiver that is new is told of what happens from
then on. One that says of an event that it cannot take it (400) is not asked again about that one.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx2

from interlock.app.background import beside, follow, for_good
from interlock.app.data_folder import DataFolder
from interlock.app.sinking import Cursor
from interlock.app.taking_turns import Turn, new_teller, take_turns
from interlock.domain.resources import CredentialSource
from interlock.errors import Failure
from interlock.identity.sent_signals import claims_of
from interlock.identity.tokens import Tokens
from interlock.ledger.entries import Unreadable
from interlock.policy.configuration import Receiver
from interlock.ports.state import LedgerEntry, State
from interlock.services.credentials import Credentials
from interlock.services.desk import Desk
from interlock.store.tellings import PostgresTellings

_AT_ONCE = 500
_LONGEST_PAUSE_S = 30.0
_TIMEOUT = httpx2.Timeout(10, connect=5)
_log = logging.getLogger("interlock.signals")


@dataclass(frozen=True, slots=True)
class Transmitter:
    """Tells one receiver. ``token`` is what it wants to be shown, empty when nothing."""

    receiver: Receiver
    issuer: str
    tokens: Tokens
    state: State
    turn: Turn
    token: str = field(default="", repr=False)

    async def run(self) -> None:
        """Tell whenever it is our turn, until cancelled. Raises Failure."""
        async with self.state.reading() as reading:
            head = await reading.ledger_head()
        # What happened before anybody asked to be told is not told.
        await self.turn.tellings.begin(self.turn.key, head)
        await take_turns(self.turn, self._tell, _log, longest_pause_s=_LONGEST_PAUSE_S)

    async def _tell(self) -> None:
        position = await self.turn.reached()
        async with aclosing(self.state.changes(position)) as changes:
            async for _ in changes:
                position = await self._send_all(position)
                # also where there was nothing to send: whatever was wrong before is over
                await self.turn.reach(position)

    async def _send_all(self, position: int) -> int:
        trust = self._trust()
        async with httpx2.AsyncClient(verify=trust, trust_env=False, timeout=_TIMEOUT) as http:
            while True:
                async with self.state.reading() as reading:
                    entries = await reading.ledger(after=position, limit=_AT_ONCE)
                if not entries:
                    return position
                for entry in entries:
                    if await self._send(http, entry):
                        # INVARIANT: the position follows what was sent: an event may come twice, never not
                        await self.turn.reach(entry.position)
                position = entries[-1].position
                await self.turn.reach(position)

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.receiver.ca or None)
        except OSError as error:
            raise Failure(
                f"{self.receiver.ca} has no authorities that can be read: {error.strerror or error}.",
                f"Mend the file, or ca of receivers.{self.receiver.name}.",
            ) from error

    async def _send(self, http: httpx2.AsyncClient, entry: LedgerEntry) -> bool:
        """Whether there was something to tell of the entry, which then was told. Raises Failure."""
        try:
            claims = claims_of(entry, issuer=self.issuer, audience=self.receiver.audience)
        except Unreadable as error:
            raise Failure(f"The entry {entry.position} cannot be read: {error}.", "interlock ledger verify") from error
        if claims is None:
            return False
        headers = {"Content-Type": "application/secevent+jwt", "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            answer = await http.post(self.receiver.to, content=self.tokens.sign_event(claims), headers=headers)
        except (httpx2.HTTPError, OSError) as error:
            raise Failure(f"{self.receiver.to} does not answer.", "Look whether it is up.") from error
        if answer.status_code == 400:
            _log.error("%s does not take the event of entry %d: %s", self.receiver.name, entry.position, _said(answer))
        elif answer.is_error or answer.is_redirect:
            raise Failure(f"{self.receiver.to} answers {answer.status_code}.", "Ask its operator.")
        return True


def _said(answer: httpx2.Response) -> str:
    """RFC 8935 section 2.3, bounded."""
    try:
        return str(json.loads(answer.content[:4096]).get("err"))[:100]
    except (ValueError, AttributeError, RecursionError):
        return "it does not say why"


@dataclass(frozen=True, slots=True)
class Telling:
    """What telling needs besides the desk. ``folder`` holds what an installation of before kept in files; ``teller`` is
    how this control plane is called in the ``tellings``."""

    issuer: str
    tokens: Tokens
    credentials: Credentials
    folder: DataFolder
    tellings: PostgresTellings
    teller: str = field(default_factory=new_teller)


@asynccontextmanager
async def telling_receivers(desk: Desk, telling: Telling) -> AsyncIterator[None]:
    """Every receiver of the active policy is told while the block runs.

    Raises Failure for a secret that cannot be had. That of a receiver which comes with a later policy is said in the
    log, and asked for again.
    """
    for receiver in desk.configuration.receivers.values():
        await _token_of(receiver, telling)
    async with beside(follow_receivers(desk, telling)):
        yield


async def follow_receivers(desk: Desk, telling: Telling) -> None:
    """Tell the receivers that the active policy names, until cancelled; within a second of a change those of the new
    one. One of the same name goes on from where the one before it was told."""

    def wanted() -> list[Receiver]:
        return list(desk.configuration.receivers.values())

    async def tell(receiver: Receiver) -> None:
        await for_good(
            partial(_tell_one, desk.state, receiver, telling),
            f"The receiver {receiver.name} is not told",
            _log,
            pause_s=_LONGEST_PAUSE_S,
        )

    await follow(wanted, tell)


async def _tell_one(state: State, receiver: Receiver, telling: Telling) -> None:
    token = await _token_of(receiver, telling)
    turn = Turn(telling.tellings, telling.teller, key_of(receiver.name), f"The receiver {receiver.name}")
    cursor = Cursor(telling.folder.sinks / f"receiver-{receiver.name}.json")
    if await asyncio.to_thread(lambda: cursor.there):
        await telling.tellings.begin(turn.key, await cursor.reached())
        await asyncio.to_thread(cursor.remove)
    await Transmitter(receiver, telling.issuer, telling.tokens, state, turn, token).run()


def key_of(receiver: str) -> str:
    """A receiver's in the tellings: no sink's name has a space."""
    return f"receiver {receiver}"


async def _token_of(receiver: Receiver, telling: Telling) -> str:
    if receiver.secret is None:
        return ""
    return (await telling.credentials.fetch(CredentialSource(receiver.name, receiver.secret))).secret or ""
