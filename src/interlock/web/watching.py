"""Watchers and gateways find each other: a watcher gets a ticket, the gateway that has the session posts records to it.

All in this process: the watcher's call, and the feeds over which the gateways hear of the ticket. Bounded: a few
batches wait for a slow watcher, then the gateway's post does, and then the watcher is let go. The gateway reads its
journal for this and never the session, so nobody who works waits for anybody who watches.
"""

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_BATCHES = 2
PATIENCE_S = 10.0
"""How long a gateway's post waits for a watcher: less than its client waits for an answer."""
_TICKETS_WAITING = 64

Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records; ``last`` says that the session is over and these are its end."""

    records: Records
    last: bool


@dataclass(slots=True)
class Watch:
    """One watcher of one session. ``answered`` says that the gateway with the session has spoken."""

    ticket: str
    session: str
    gateway: str
    batches: "asyncio.Queue[Batch]" = field(default_factory=lambda: asyncio.Queue(_BATCHES))
    ended: bool = False
    too_slow: bool = False
    gone: bool = False
    answered: bool = False


@dataclass(slots=True)
class FeedMailbox:
    """Where a gateway's feed finds the tickets that it has to pass on."""

    gateway: str
    tickets: "asyncio.Queue[Mapping[str, Any]]" = field(default_factory=lambda: asyncio.Queue(_TICKETS_WAITING))


class Watches:
    """The tickets of this control plane."""

    def __init__(self) -> None:
        self._watches: dict[str, Watch] = {}
        self._mailboxes: list[FeedMailbox] = []

    @contextmanager
    def watching(self, session: str, gateway: str) -> Iterator[Watch]:
        """A ticket, told to every feed of ``gateway``; void when the block is left."""
        watch = Watch(secrets.token_urlsafe(16), session, gateway)
        self._watches[watch.ticket] = watch
        try:
            for mailbox in self._mailboxes:
                if mailbox.gateway == gateway and not mailbox.tickets.full():
                    mailbox.tickets.put_nowait({"type": "watch", "session": session, "ticket": watch.ticket})
            yield watch
        finally:
            del self._watches[watch.ticket]
            watch.gone = True
            # Whoever waits to put something there goes on, and sees that it is for nobody.
            while not watch.batches.empty():
                watch.batches.get_nowait()

    @contextmanager
    def following(self, gateway: str) -> Iterator[FeedMailbox]:
        """The mailbox of one feed, as long as the block lasts."""
        mailbox = FeedMailbox(gateway)
        self._mailboxes.append(mailbox)
        try:
            yield mailbox
        finally:
            self._mailboxes.remove(mailbox)

    async def deliver(self, ticket: str, gateway: str, records: Records, *, ended: bool) -> bool:
        """Hand records to the watcher. False: nobody watches any more, or not a session of this gateway."""
        watch = self._watches.get(ticket)
        if watch is None or watch.gateway != gateway or watch.too_slow or watch.ended:
            return False
        watch.answered = True
        try:
            async with asyncio.timeout(PATIENCE_S):
                await watch.batches.put(Batch(records, ended))
        except TimeoutError:
            watch.too_slow = True
        watch.ended = watch.ended or ended
        return not (ended or watch.too_slow or watch.gone)
