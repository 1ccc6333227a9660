"""Tells receivers that somebody's sessions, credentials or account ended: pushed as RFC 8935 says, each at least once.

As with sinks each receiver has its own cursor, and none stands in the way of another. A receiver that is new is told of
what happens from then on. One that says of an event that it cannot take it (400) is not asked again about that one.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import httpx2

from interlock.app.background import beside, follow, for_good
from interlock.app.data_folder import DataFolder
from interlock.app.sinking import Cursor
from interlock.domain.resources import CredentialSource
from interlock.errors import Failure, InterlockError
from interlock.identity.sent_signals import claims_of
from interlock.identity.tokens import Tokens
from interlock.ledger.entries import Unreadable
from interlock.policy.configuration import Receiver
from interlock.ports.state import LedgerEntry, State
from interlock.services.credentials import Credentials
from interlock.services.desk import Desk

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
    cursor: Cursor
    token: str = field(default="", repr=False)

    async def run(self) -> None:
        """Until cancelled."""
        pause_s = 0.0
        await self._begin()
        while True:
            try:
                async for _ in self.state.changes(await asyncio.to_thread(self.cursor.read)):
                    await self._send_all()
                    pause_s = 0.0
            except InterlockError as error:
                if not pause_s:
                    _log.warning("The receiver %s is behind and will be told later: %s", self.receiver.name, error)
                pause_s = min(_LONGEST_PAUSE_S, max(1.0, pause_s * 2))
                await asyncio.sleep(pause_s)

    async def _begin(self) -> None:
        """What happened before anybody asked to be told is not told."""
        while not self.cursor.there:
            with suppress(InterlockError):
                async with self.state.reading() as reading:
                    head = await reading.ledger_head()
                await asyncio.to_thread(self.cursor.write, head)
                return
            await asyncio.sleep(1)

    async def _send_all(self) -> None:
        position = await asyncio.to_thread(self.cursor.read)
        trust = ssl.create_default_context(cafile=self.receiver.ca or None)
        async with httpx2.AsyncClient(verify=trust, trust_env=False, timeout=_TIMEOUT) as http:
            while True:
                async with self.state.reading() as reading:
                    entries = await reading.ledger(after=position, limit=_AT_ONCE)
                if not entries:
                    return
                for entry in entries:
                    if await self._send(http, entry):
                        # INVARIANT: the cursor follows what was sent: an event may come twice, never not
                        await asyncio.to_thread(self.cursor.write, entry.position)
                position = entries[-1].position
                await asyncio.to_thread(self.cursor.write, position)

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
    """What telling needs besides the desk. ``folder`` holds the cursors."""

    issuer: str
    tokens: Tokens
    credentials: Credentials
    folder: DataFolder


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
    cursor = Cursor(telling.folder.sinks / f"receiver-{receiver.name}.json")
    token = await _token_of(receiver, telling)
    await Transmitter(receiver, telling.issuer, telling.tokens, state, cursor, token).run()


async def _token_of(receiver: Receiver, telling: Telling) -> str:
    if receiver.secret is None:
        return ""
    return (await telling.credentials.fetch(CredentialSource(receiver.name, receiver.secret))).secret or ""
