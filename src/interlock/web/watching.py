"""Watchers and gateways find each other: a watcher gets a ticket, the gateway that has the session posts records to it.

All in this process: the watcher's call, and the feeds over which the gateways hear of the ticket. Bounded: a watcher
that reads too slowly is let go, the session never waits for it.
"""

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_BATCHES = 64
_TICKETS_WAITING = 64

Records = Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Watch:
    """One watcher of one session. ``answered`` says that the gateway with the session has spoken."""

    ticket: str
    session: str
    gateway: str
    batches: "asyncio.Queue[Records]" = field(default_factory=lambda: asyncio.Queue(_BATCHES))
    ended: bool = False
    too_slow: bool = False
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

    @contextmanager
    def following(self, gateway: str) -> Iterator[FeedMailbox]:
        """The mailbox of one feed, as long as the block lasts."""
        mailbox = FeedMailbox(gateway)
        self._mailboxes.append(mailbox)
        try:
            yield mailbox
        finally:
            self._mailboxes.remove(mailbox)

    def deliver(self, ticket: str, gateway: str, records: Records, *, ended: bool) -> bool:
        """Hand records to the watcher. False: nobody watches any more, or not a session of this gateway."""
        watch = self._watches.get(ticket)
        if watch is None or watch.gateway != gateway or watch.too_slow or watch.ended:
            return False
        watch.answered = True
        if watch.batches.full():
            watch.too_slow = True
            return False
        watch.ended = ended
        watch.batches.put_nowait(records)
        return not ended
