"""What the sessions of one worker share."""

import asyncio
import logging
import ssl
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from interlock.domain.snapshot import Snapshot
from interlock.errors import Failure, InterlockError
from interlock.gateway.archive import Archive
from interlock.gateway.clock import WorkerClock
from interlock.gateway.follower import Follower
from interlock.gateway.interrupts import Interrupts
from interlock.gateway.journal import Journal
from interlock.gateway.pump import Pump
from interlock.gateway.reporter import Reporter
from interlock.gateway.rules import Rules
from interlock.gateway.sessions import Sessions
from interlock.gateway.settings import Limits, ServerIdentity
from interlock.gateway.strangers import Strangers
from interlock.gateway.tls import server_context, upstream_context
from interlock.identity.ssh_authority import AUTHORITY_LINE
from interlock.ports.control import ControlPlane

_LOG = logging.getLogger("interlock.gateway")


class TlsContexts:
    """TLS contexts, each made once, and again when one of its files was written: a certificate was renewed, or another
    authority is trusted. What is open stays as it is."""

    def __init__(self, identity: ServerIdentity) -> None:
        self._identity = identity
        self._server: dict[tuple[str, ...], tuple[tuple[int, ...], ssl.SSLContext]] = {}

    def server(self, alpn: tuple[str, ...]) -> ssl.SSLContext:
        """Raises Failure when the files cannot be used and never could."""
        identity = self._identity
        written = (_written_at(identity.certificate), _written_at(identity.key), _written_at(identity.authority))
        known = self._server.get(alpn)
        if known is not None and known[0] == written:
            return known[1]
        try:
            context = server_context(identity, alpn)
        except Failure as failure:
            if known is None:
                raise
            # They are being written: what was good is good until they can be read.
            _LOG.warning("The gateway goes on with the certificate that it has: %s", failure)
            return known[1]
        self._server[alpn] = (written, context)
        return context

    def ssh_authority(self) -> str:
        """The public lines of our SSH authorities; empty when this gateway has none, which verifies nothing."""
        try:
            return self._identity.authority.with_name(AUTHORITY_LINE).read_text()
        except OSError:
            return ""

    def upstream(self, mode: str, trust: str | None) -> ssl.SSLContext:
        return _upstream(mode, trust, 0 if trust is None else _written_at(Path(trust)))


@lru_cache(maxsize=64)
def _upstream(mode: str, trust: str | None, _written_ns: int) -> ssl.SSLContext:
    return upstream_context(mode, trust)


def _written_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@dataclass(slots=True)
class Shared:
    """Everything is for the loop's thread."""

    limits: Limits
    clock: WorkerClock
    follower: Follower
    control: ControlPlane
    journal: Journal
    archive: Archive
    reporter: Reporter
    interrupts: Interrupts
    strangers: Strangers
    sessions: Sessions
    tls: TlsContexts
    loop: asyncio.AbstractEventLoop
    pump: Pump
    errands: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def known(self) -> tuple[Snapshot, Rules] | None:
        """What may be decided from, or None while it is stale."""
        return self.follower.known()

    def now(self) -> datetime:
        return self.clock.now()

    def run_errand(self, errand: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for and that may fail."""
        task = self.loop.create_task(_quietly(errand))
        self.errands.add(task)
        task.add_done_callback(self.errands.discard)


async def _quietly(errand: Coroutine[Any, Any, None]) -> None:
    try:
        await errand
    except InterlockError as error:
        _LOG.info("An errand came to nothing: %s", error)
    except Exception:  # noqa: BLE001 -- nobody waits for it, so this is where its fault is told
        _LOG.exception("An errand ended by a fault of ours.")
