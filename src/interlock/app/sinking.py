"""Sends the ledger's entries to the sinks: each with its own cursor, each at least once, none in the way of another."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from interlock.app.background import beside, follow, for_good
from interlock.app.data_folder import DataFolder
from interlock.domain.resources import CredentialSource
from interlock.errors import Failure, InterlockError
from interlock.identity.keys import write_private
from interlock.ledger.entries import Unreadable, read_body
from interlock.ledger.ocsf import as_ocsf
from interlock.policy.configuration import SinkSource
from interlock.ports.sink import OpenSink, SinkAdapter
from interlock.ports.state import State
from interlock.services.credentials import Credentials
from interlock.services.desk import Desk
from interlock.services.outflow import Outflow

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


async def feed_sink(
    state: State, source: SinkSource, sink: OpenSink, cursor: Cursor, outflow: Outflow | None = None
) -> None:
    """Send what comes, until cancelled. A sink that is down is tried again, and gets all that it missed.

    ``outflow`` hears how it goes.
    """
    outflow = outflow or Outflow()
    pause_s = 0.0
    while True:
        try:
            position = await asyncio.to_thread(cursor.read)
            async for _ in state.changes(position):
                outflow.sending(source.name)
                position = await _send_all(state, source, sink, cursor, position)
                outflow.told(source.name)
                pause_s = 0.0
        except InterlockError as error:
            outflow.failed(source.name)
            if not pause_s:
                _log.warning("The sink %s is behind and will be told later: %s", source.name, error)
            # everybody waits for one that must be told
            longest_s = _ENFORCED_PAUSE_S if source.enforced else _LONGEST_PAUSE_S
            pause_s = min(longest_s, max(1.0, pause_s * 2))
            await asyncio.sleep(pause_s)


async def _send_all(state: State, source: SinkSource, sink: OpenSink, cursor: Cursor, position: int) -> int:
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
        await asyncio.to_thread(cursor.write, position)


@dataclass(frozen=True, slots=True)
class Feeding:
    """What feeding needs besides the desk. ``folder`` holds the cursors."""

    adapters: Mapping[str, SinkAdapter]
    credentials: Credentials
    folder: DataFolder
    outflow: Outflow


@asynccontextmanager
async def feeding_sinks(desk: Desk, feeding: Feeding) -> AsyncIterator[None]:
    """Every sink of the active policy is fed while the block runs.

    Raises Failure for one that cannot be what it says. One that comes with a later policy and cannot is a sink that is
    down: it is said, tried again, and stops the gateways when it is enforced.
    """
    for source in desk.configuration.sinks.values():
        await (await _open(source, feeding)).close()
    async with beside(follow_sinks(desk, feeding)):
        yield


async def follow_sinks(desk: Desk, feeding: Feeding) -> None:
    """Feed the sinks that the active policy names, until cancelled; within a second of a change those of the new one.

    A sink of the same name goes on from where the one before it was told.
    """

    def wanted() -> list[SinkSource]:
        sources = list(desk.configuration.sinks.values())
        feeding.outflow.follow(source.name for source in sources if source.enforced)
        return sources

    async def feed(source: SinkSource) -> None:
        await for_good(
            partial(_feed_one, desk.state, source, feeding),
            f"The sink {source.name} is not told",
            _log,
            pause_s=_ENFORCED_PAUSE_S if source.enforced else _LONGEST_PAUSE_S,
        )

    await follow(wanted, feed)


async def _feed_one(state: State, source: SinkSource, feeding: Feeding) -> None:
    # until it has taken what waits for it, it is one that is not told
    feeding.outflow.failed(source.name)
    sink = await _open(source, feeding)
    try:
        await feed_sink(state, source, sink, Cursor(feeding.folder.sinks / f"{source.name}.json"), feeding.outflow)
    finally:
        await sink.close()


async def _open(source: SinkSource, feeding: Feeding) -> OpenSink:
    adapter = feeding.adapters.get(source.kind)
    if adapter is None:
        raise Failure(
            f"The sink {source.name} is of the kind {source.kind}, which is not known here.",
            f"Known are: {', '.join(sorted(feeding.adapters))}.",
        )
    secret = None
    if source.secret is not None:
        secret = (await feeding.credentials.fetch(CredentialSource(source.name, source.secret))).secret
    return adapter.open(source.to, secret)
