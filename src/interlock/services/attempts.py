"""Failed sign-ins and how long they make the next one wait.

Holds to:

* failures are counted for a person at an address, and for an address over all persons; past a few free ones each
  further failure doubles the wait, up to fifteen minutes; an hour without a failure forgets them
* INVARIANT: nobody's failures at one address make anybody wait at another: there is no count for a person alone, so
  that nobody can be locked out by somebody else for ever
* a sign-in that works forgets the failures of its own pair and never those of the address: else whoever has one account
  could try the others between its own sign-ins
* a person who does not exist is counted like one who does, under one of a fixed number of names for each address, and
  is not named in the ledger: what people type there by mistake is often a password
* tries at one address are looked at one after the other, and only a few may wait
"""

import asyncio
import hmac
import ipaddress
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from interlock.domain.durations import format_duration
from interlock.domain.identity_events import SignInRefused
from interlock.domain.signin import Attempts
from interlock.errors import Refusal
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.desk import SYSTEM, Desk

FREE_FOR_PAIR = 5
FREE_FOR_ADDRESS = 20
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=1)
_WAITING_AT_ONCE = 8
_INVENTED_NAMES = 65536


@dataclass(frozen=True, slots=True)
class Count:
    """What is counted, and how many failures it has free."""

    subject: str
    free: int


@dataclass(slots=True)
class _Lane:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Turnstile:
    """Lets tries of one subject through one after the other. Within one control plane, and of bounded memory."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}

    @asynccontextmanager
    async def passing(self, subject: str) -> AsyncIterator[None]:
        """Raises Refusal when too many wait for the same subject already."""
        lane = self._lanes.setdefault(subject, _Lane())
        if lane.waiting >= _WAITING_AT_ONCE:
            raise Refusal("too-many-attempts", "Too many sign-ins at once come from here.", "Try again in a moment.")
        lane.waiting += 1
        try:
            async with lane.lock:
                yield
        finally:
            lane.waiting -= 1
            if lane.waiting == 0:
                del self._lanes[subject]


class FailedTries:
    """Counts failed sign-ins in the state."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._salt = secrets.token_bytes(16)

    def counts(self, person: str, address: str, *, known: bool) -> tuple[Count, Count]:
        """What a failure of ``person`` at ``address`` counts for: the pair, and the address."""
        network = network_of(address)
        if not known:
            tag = hmac.digest(self._salt, person.encode(errors="replace"), "sha256")
            person = f"?{int.from_bytes(tag[:8], 'big') % _INVENTED_NAMES}"
        pair = Count(f"person:{person} address:{network}", FREE_FOR_PAIR)
        return pair, Count(f"address:{network}", FREE_FOR_ADDRESS)

    async def check(self, reading: Reading, counts: tuple[Count, ...]) -> None:
        """Refuses (``too-many-attempts``) as long as one of the counts has to wait."""
        now = self._desk.clock.now()
        waits = [(await reading.attempts(count.subject)) for count in counts]
        until = max((a.blocked_until for a in waits if a is not None and a.blocked_until is not None), default=now)
        # A clock that was set back must not make anybody wait longer than the longest wait.
        if now < until <= now + LONGEST_WAIT:
            raise too_many(until - now)

    async def note(self, counts: tuple[Count, ...], *, person: str, address: str, reason: str) -> datetime | None:
        """Write a failure down. Until when further tries have to wait, if they do. ``person`` is empty if unknown."""
        async with self._desk.state.changing(SYSTEM) as work:
            for count in sorted(counts, key=lambda count: count.subject):
                await work.lock(Attempts, count.subject)
            now = self._desk.clock.now()
            blocks = [await _count(work, count, now) for count in counts]
            until = max((block for block in blocks if block is not None), default=None)
            work.record(SignInRefused(person=person, address=address, reason=reason, blocked_until=until))
        return until


async def forget(work: UnitOfWork, count: Count) -> None:
    """The pair signed in: its failures no longer count."""
    kept = await work.attempts(count.subject)
    if kept is not None and kept.failures:
        await work.save(replace(kept, failures=0, blocked_until=None))


async def _count(work: UnitOfWork, count: Count, now: datetime) -> datetime | None:
    kept = await work.attempts(count.subject)
    failures = 1
    if kept is not None and abs(now - kept.last_at) < FORGOTTEN_AFTER:
        failures += kept.failures
    until = None
    if failures >= count.free:
        doublings = min(failures - count.free, 16)
        until = now + min(FIRST_WAIT * 2**doublings, LONGEST_WAIT)
    await work.save(Attempts(count.subject, failures, now, until))
    return until


def too_many(wait: timedelta) -> Refusal:
    seconds = timedelta(seconds=max(1, -(-wait // timedelta(seconds=1))))
    return Refusal(
        "too-many-attempts",
        "Too many sign-ins from here have failed.",
        f"Wait {format_duration(seconds)}; from another address nothing stands in the way.",
    )


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that an IPv6 host is usually given."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
