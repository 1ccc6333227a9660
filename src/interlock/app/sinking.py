"""Sends the ledger's entries to the sinks: each with its own cursor, each at least once, none in the way of another.

A file is of its machine: each control plane writes its own. Any other sink is told by one control plane at a time
(:mod:`interlock.app.sharing`).
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from interlock.app.data_folder import DataFolder
from interlock.app.taking_turns import new_teller, next_pause_s
from interlock.domain.resources import CredentialSource
from interlock.errors import Failure, InterlockError
from interlock.identity.keys import write_private
from interlock.ledger.entries import Unreadable, read_body
from interlock.ledger.ocsf import as_ocsf
from interlock.policy.configuration import SinkSource
from interlock.ports.sink import OpenSink, SinkAdapter
from interlock.ports.state import State
from interlock.services.credentials import Credentials
from interlock.services.outflow import Outflow
from interlock.store.tellings import PostgresTellings

_AT_ONCE = 500
_LONGEST_PAUSE_S = 30.0
_ENFORCED_PAUSE_S = 2.0
_log = logging.getLogger("interlock.sinks")


class Cursor:
    """How far a sink has been told, in a file that survives restarts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def there(self) -> bool:
        return self._path.exists()

    def read(self) -> int:
        """The last position that was sent; 0 when none was. Raises Failure for a damaged file."""
        try:
            return int(json.loads(self._path.read_text())["position"])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Failure(
                f"{self._path} does not say how far its sink was told.", "Remove it: everything is sent again."
            ) from error

    def write(self, position: int) -> None:
        write_private(self._path, json.dumps({"position": position}).encode())

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    async def reached(self) -> int:
        return await asyncio.to_thread(self.read)

    async def reach(self, position: int) -> None:
        await asyncio.to_thread(self.write, position)


class Progress(Protocol):
    """How far a sink has been told, wherever it is kept. Both raise Failure."""

    async def reached(self) -> int: ...

    async def reach(self, position: int) -> None: ...


async def feed_sink(
    state: State, source: SinkSource, sink: OpenSink, cursor: Progress, outflow: Outflow | None = None
) -> None:
    """Send what comes, until cancelled. A sink that is down is tried again, and gets all that it missed.

    ``outflow`` hears how it goes.
    """
    outflow = outflow or Outflow()
    pause_s = 0.0
    while True:
        try:
            async for _ in tell_all(state, source, sink, cursor, outflow):
                pause_s = 0.0
        except InterlockError as error:
            outflow.failed(source.name)
            if not pause_s:
                _log.warning("The sink %s is behind and will be told later: %s", source.name, error)
            pause_s = next_pause_s(pause_s, longest_pause_s(source))
            await asyncio.sleep(pause_s)


def longest_pause_s(source: SinkSource) -> float:
    """Between two tries. Everybody waits for one that must be told."""
    return _ENFORCED_PAUSE_S if source.enforced else _LONGEST_PAUSE_S


async def tell_all(
    state: State, source: SinkSource, sink: OpenSink, cursor: Progress, outflow: Outflow
) -> AsyncGenerator[int, None]:
    """Each position up to which all is told. Ends with the first failure, which it raises."""
    position = await cursor.reached()
    async with aclosing(state.changes(position)) as changes:
        async for _ in changes:
            outflow.sending(source.name)
            position = await _send_all(state, source, sink, cursor, position)
            outflow.told(source.name)
            yield position


async def _send_all(state: State, source: SinkSource, sink: OpenSink, cursor: Progress, position: int) -> int:
    while True:
        async with state.reading() as reading:
            entries = await reading.ledger(after=position, limit=_AT_ONCE)
        if not entries:
            return position
        try:
            await sink.send([as_ocsf(read_body(entry.body), source.show) for entry in entries])
        except Unreadable as error:
            raise Failure(
                f"An entry after {position} cannot be read: {error}.", "Type: interlock ledger verify"
            ) from error
        position = entries[-1].position
        # INVARIANT: the cursor follows what was sent, never the other way round: an event may come twice, never not
        await cursor.reach(position)


@dataclass(frozen=True, slots=True)
class Feeding:
    """What feeding needs besides the desk. ``folder`` holds the cursors of sinks on this machine, ``tellings`` those of
    all others; ``teller`` is how this control plane is called there."""

    adapters: Mapping[str, SinkAdapter]
    credentials: Credentials
    folder: DataFolder
    outflow: Outflow
    tellings: PostgresTellings
    teller: str = field(default_factory=new_teller)

    def cursor_of(self, source: SinkSource) -> Cursor:
        return Cursor(self.folder.sinks / f"{source.name}.json")

    async def open(self, source: SinkSource) -> OpenSink:
        """Raises Failure for a sink that cannot be what it says."""
        adapter = self.adapter_of(source)
        secret = None
        if source.secret is not None:
            secret = (await self.credentials.fetch(CredentialSource(source.name, source.secret))).secret
        return adapter.open(source.to, secret)

    def adapter_of(self, source: SinkSource) -> SinkAdapter:
        adapter = self.adapters.get(source.kind)
        if adapter is None:
            raise Failure(
                f"The sink {source.name} is of the kind {source.kind}, which is not known here.",
                f"Known are: {', '.join(sorted(self.adapters))}.",
            )
        return adapter
