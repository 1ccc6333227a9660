"""The notifiers at work: those of the active policy, opened when it names them and closed when it no longer does."""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from interlock.domain.notices import Letter, Outcome
from interlock.domain.resources import CredentialSource
from interlock.errors import Failure, InterlockError
from interlock.policy.configuration import PAGE, Notifier
from interlock.ports.notify import NotifierAdapter, NotifierSettings, OpenNotifier
from interlock.services.credentials import Credentials

_TRY_AGAIN_S = 30.0
_STILL_USED_S = 60.0
"""Longer than anything that is sent or answered takes: who goes is closed after that."""
_log = logging.getLogger("interlock.notify")


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """A notifier at work. ``reaches`` as its adapter says; ``news`` is set when letters were put there for it."""

    source: Notifier
    reaches: str
    notifier: OpenNotifier
    news: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Opening:
    """What notifiers are opened with. ``console`` is the address of the pages."""

    adapters: Mapping[str, NotifierAdapter]
    credentials: Credentials
    console: str

    def reaches_of(self, source: Notifier) -> str:
        """Nobody whom to reach is known for a kind that is not."""
        adapter = self.adapters.get(source.kind)
        return "" if adapter is None else adapter.reaches

    async def open(self, source: Notifier) -> OpenNotifier:
        """Raises Failure for a notifier that cannot be what it says."""
        adapter = self.adapters.get(source.kind)
        if adapter is None:
            raise Failure(
                f"The notifier {source.name} is of the kind {source.kind}, which is not known here.",
                f"Known are: {', '.join(sorted(self.adapters))}.",
            )
        secret, older, signing = [
            "" if kept is None else (await self.credentials.fetch(CredentialSource(source.name, kept))).secret or ""
            for kept in (source.secret, source.older_secret, source.signing_secret)
        ]
        return adapter.open(
            NotifierSettings(source.name, source.to, secret, older, signing, source.sender, source.inside, self.console)
        )


@dataclass(frozen=True, slots=True)
class _NotThere:
    """In the place of a notifier that cannot be opened: what it would tell waits."""

    why: str
    since_s: float

    async def send(self, letters: Sequence[Letter]) -> Sequence[Outcome]:
        raise Failure(self.why, "It is tried again by itself.")

    async def close(self) -> None:
        return


class Channels(Mapping[str, Channel]):
    """By their names. What is seen changes with :meth:`use`: who needs the same ones for longer takes a copy."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._open: dict[str, Channel] = {}
        self._gone: list[tuple[float, Channel]] = []

    def __getitem__(self, name: str) -> Channel:
        return self._open[name]

    def __iter__(self) -> Iterator[str]:
        # over a copy, as who reads may wait meanwhile
        return iter(tuple(self._open))

    def __len__(self) -> int:
        return len(self._open)

    def add(self, channel: Channel) -> None:
        """Instead of the one of its name."""
        before = self._open.get(channel.source.name)
        if before is not None:
            self._gone.append((time.monotonic(), before))
        self._open[channel.source.name] = channel

    async def use(self, sources: Mapping[str, Notifier]) -> None:
        """These from now on, besides the pages. One that cannot be opened is one that is down: its letters wait."""
        for name in self._open.keys() - sources.keys() - {PAGE}:
            self._gone.append((time.monotonic(), self._open.pop(name)))
        for name, source in sources.items():
            before = self._open.get(name)
            if before is None or before.source != source or _is_to_be_tried(before.notifier):
                await self._open_again(source)
        over = time.monotonic() - _STILL_USED_S
        for gone in [gone for gone in self._gone if gone[0] < over]:
            self._gone.remove(gone)
            await gone[1].notifier.close()

    async def _open_again(self, source: Notifier) -> None:
        reaches = self._opening.reaches_of(source)
        try:
            notifier = await self._opening.open(source)
        except InterlockError as error:
            _log.warning("The notifier %s cannot be opened, and tells it later: %s", source.name, error)
            notifier = _NotThere(str(error), time.monotonic())
        self.add(Channel(source, reaches, notifier))

    async def close(self) -> None:
        for channel in (*self._open.values(), *(channel for _, channel in self._gone)):
            await channel.notifier.close()


def _is_to_be_tried(notifier: OpenNotifier) -> bool:
    return isinstance(notifier, _NotThere) and time.monotonic() - notifier.since_s > _TRY_AGAIN_S


class Notifiers(Mapping[str, OpenNotifier]):
    """The notifiers of ``channels``, as they are when they are asked for."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    def __getitem__(self, name: str) -> OpenNotifier:
        return self._channels[name].notifier

    def __iter__(self) -> Iterator[str]:
        return iter(self._channels)

    def __len__(self) -> int:
        return len(self._channels)
