"""Tells people what waits for them: letters are made of the ledger's entries, once each, and sent until they are taken.

On one elected control plane, on from where the last one was. A notifier that is new is told of what happens from then
on. One that is down is told later, and stops nothing: neither another notifier nor who decides.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from interlock.app.background import Check, beside, follow, for_good, when_elected
from interlock.app.channels import Channel, Channels, Opening
from interlock.domain.notices import Later, Letter, Never, NoticeKind, Outcome
from interlock.errors import Failure
from interlock.ledger.entries import Unreadable, read_body
from interlock.policy.configuration import PAGE, Notifier
from interlock.ports.notify import Outbox
from interlock.ports.state import LedgerEntry
from interlock.services.desk import Desk
from interlock.services.notices import TOLD_KINDS, cut_down, over, posting_of, reach, still_so
from interlock.store.locks import NOTIFYING_LOCK

_AT_ONCE = 500
_SENT_AT_ONCE = 20
_LOOK_S = 1.0
_PAUSE_S = 1.0
_BREATH_S = 0.5
"""What happens within it is looked at together."""
_LONGEST_PAUSE_S = 600
_MOST_TRIES = 300
"""With the longest pause between them: two days."""
_log = logging.getLogger("interlock.notify")

ON_THE_PAGE = Notifier(PAGE, PAGE, on=frozenset(NoticeKind) - {NoticeKind.ASKED, NoticeKind.HELD})
"""What waits for a person is on their pages anyway, as it stands."""


async def open_channels(sources: Mapping[str, Notifier], opening: Opening) -> Channels:
    """Raises Failure for a notifier that cannot be what it says."""
    channels = Channels(opening)
    for source in (*sources.values(), ON_THE_PAGE):
        channels.add(Channel(source, opening.reaches_of(source), await opening.open(source)))
    return channels


@asynccontextmanager
async def notifying(desk: Desk, outbox: Outbox, channels: Channels, url: str) -> AsyncIterator[None]:
    """People are told while the block runs, by this control plane or by another, with the notifiers of the active
    policy: of one that is activated, within a second or two."""
    tell = partial(when_elected, url, NOTIFYING_LOCK, partial(tell_people, desk, outbox, channels))
    follow_policy = partial(_follow_policy, desk, channels)
    try:
        async with beside(
            for_good(follow_policy, "The notifiers of the active policy are not taken up", _log, pause_s=_PAUSE_S),
            for_good(tell, "People are not told", _log, pause_s=_PAUSE_S),
        ):
            yield
    finally:
        await channels.close()


async def _follow_policy(desk: Desk, channels: Channels) -> None:
    while True:
        await channels.use(desk.configuration.notify)
        await asyncio.sleep(_LOOK_S)


async def tell_people(desk: Desk, outbox: Outbox, channels: Mapping[str, Channel], check: Check) -> None:
    """Until cancelled. ``check`` raises Failure when another one was elected."""
    asking = asyncio.Lock()

    async def check_alone() -> None:
        async with asking:
            await check()

    async def deliver(channel: Channel) -> None:
        await for_good(
            partial(_deliver, desk, outbox, channel, check_alone),
            f"Nobody is told by the notifier {channel.source.name}",
            _log,
            pause_s=_PAUSE_S,
        )

    async with beside(follow(channels.values, deliver)):
        await _write_letters(desk, outbox, channels, check_alone)


async def _write_letters(desk: Desk, outbox: Outbox, channels: Mapping[str, Channel], check: Check) -> None:
    position = await outbox.upto()
    if position is None:
        async with desk.state.reading() as reading:
            position = await reading.ledger_head()
        await outbox.put((), upto=position, now=desk.clock.now())
    async with aclosing(desk.state.changes(position)) as changes:
        async for _ in changes:
            while True:
                async with desk.state.reading() as reading:
                    entries = await reading.ledger(after=position, limit=_AT_ONCE)
                if not entries:
                    break
                await check()
                now = dict(channels)
                letters = [letter for entry in entries for letter in await _letters_of(desk, outbox, now, entry)]
                position = entries[-1].position
                # INVARIANT: both or neither: an entry's letters are there when the position is past it
                await outbox.put(letters, upto=position, now=desk.clock.now())
                for name in {letter.notifier for letter, _ in letters}:
                    now[name].news.set()
            # Where sessions come and go there are entries all the time, of which hardly one is anybody's news.
            await asyncio.sleep(_BREATH_S)


async def _letters_of(
    desk: Desk, outbox: Outbox, channels: Mapping[str, Channel], entry: LedgerEntry
) -> Sequence[tuple[Letter, datetime]]:
    if entry.kind not in TOLD_KINDS:
        return ()
    try:
        recorded = read_body(entry.body)
    except Unreadable as error:
        raise Failure(f"Entry {entry.position} cannot be read: {error}.", "Type: interlock ledger verify") from error
    found = []
    posting = await posting_of(desk, recorded)
    if posting is not None:
        for name, channel in channels.items():
            if posting.notice.kind in channel.source.on:
                persons = posting.persons if channel.reaches else ("",)
                found += [(Letter(name, one, posting.notice, posting.persons), posting.due_at) for one in persons]
    if entry.kind == "request.ended":
        told = await outbox.told_of(posting.notice.request if posting is not None else _request_of(recorded.event))
        found += [(letter, desk.clock.now()) for letter in over(recorded, told) if letter.notifier in channels]
    return [(cut_down(letter, channels[letter.notifier].source.show), due_at) for letter, due_at in found]


def _request_of(event: object) -> str:
    return str(getattr(event, "request", ""))


async def _deliver(desk: Desk, outbox: Outbox, channel: Channel, check: Check) -> None:
    pause_s = 0.0
    while True:
        channel.news.clear()
        letters = await outbox.due(channel.source.name, desk.clock.now(), _SENT_AT_ONCE)
        if not letters:
            await _rest(desk, outbox, channel)
            continue
        await check()
        try:
            outcomes = await _send(desk, channel, letters)
            pause_s = 0.0
        except Failure as failure:
            if not pause_s:
                _log.warning("The notifier %s is behind and tells it later: %s", channel.source.name, failure)
            pause_s = min(_LONGEST_PAUSE_S, max(1.0, pause_s * 2))
            outcomes = [Later(str(failure))] * len(letters)
        for letter, outcome in zip(letters, outcomes, strict=True):
            await _settle(desk, outbox, letter, outcome, pause_s)
        # One that is down is asked again after a while, and not once for each letter; who asks for patience gets it.
        await asyncio.sleep(max(pause_s, *(one.wait_s for one in outcomes if isinstance(one, Later)), 0.0))


async def _rest(desk: Desk, outbox: Outbox, channel: Channel) -> None:
    due_at = await outbox.next_due(channel.source.name)
    wait_s = None if due_at is None else min(_LOOK_S, max(0.0, (due_at - desk.clock.now()).total_seconds()))
    try:
        async with asyncio.timeout(wait_s):
            await channel.news.wait()
    except TimeoutError:
        return


async def _send(desk: Desk, channel: Channel, letters: Sequence[Letter]) -> list[Outcome]:
    """What became of each; those that nobody needs to hear, or nobody can, are left out of what is sent."""
    ready: list[Letter] = []
    async with desk.state.reading() as reading:
        for letter in letters:
            address = await reach(reading, channel.reaches, letter) if channel.reaches else ""
            if (address or not channel.reaches) and await still_so(desk, reading, letter):
                ready.append(replace(letter, address=address))
    sent = iter(await channel.notifier.send(ready)) if ready else iter(())
    kept = {(letter.notice.position, letter.person) for letter in ready}
    return [next(sent) if (one.notice.position, one.person) in kept else Never() for one in letters]


async def _settle(desk: Desk, outbox: Outbox, letter: Letter, outcome: Outcome, pause_s: float) -> None:
    now, again = desk.clock.now(), None
    if isinstance(outcome, Never) and outcome.why:
        _log.error("Entry %d is not told by %s: %s", letter.notice.position, letter.notifier, outcome.why)
    if isinstance(outcome, Later):
        if letter.tries < _MOST_TRIES:
            tried_s = min(_LONGEST_PAUSE_S, 2.0 ** min(letter.tries, 16))
            again = now + timedelta(seconds=max(pause_s, outcome.wait_s, tried_s))
        else:
            _log.error("Entry %d is given up by %s: %s", letter.notice.position, letter.notifier, outcome.why)
    await outbox.settle(letter, outcome, now=now, again=again)
