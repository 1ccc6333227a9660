"""One gateway worker: a process with a loop, its listeners, and everything they share.

It starts by making sure that it can record, and by finishing what dead workers left; it listens once it knows what the
control plane knows, or has waited for that for a while (then it refuses with a sentence until it does). It stops by
closing its listeners, cutting its sessions with a sentence, and sealing what it recorded, all within a few seconds.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from interlock.errors import Failure, InterlockError
from interlock.gateway.archive import Archive
from interlock.gateway.clock import WorkerClock
from interlock.gateway.door import recording_sentence
from interlock.gateway.feed_messages import Key
from interlock.gateway.follower import Follower
from interlock.gateway.interrupts import Interrupts
from interlock.gateway.journal import Journal, remove_journal
from interlock.gateway.listening import Listener, open_listener
from interlock.gateway.loop import PumpLoop, pump_of
from interlock.gateway.pump import Pump
from interlock.gateway.recovery import Recovery
from interlock.gateway.reporter import Reporter
from interlock.gateway.rules import build_rules
from interlock.gateway.sealing import RecordingStore
from interlock.gateway.session import Session
from interlock.gateway.sessions import Sessions
from interlock.gateway.settings import Limits, Listen, WorkerSettings
from interlock.gateway.shared import Shared, TlsContexts
from interlock.gateway.strangers import Strangers
from interlock.gateway.watching import stream_records
from interlock.ports.control import ControlPlane
from interlock.ports.protocol import ProtocolAdapter

_LOG = logging.getLogger("interlock.gateway")
_FIRST_WORD_S = 10.0
_STOP_S = 5.0
_GOODBYE_S = 2.0

Connect = Callable[[], AbstractAsyncContextManager[ControlPlane]]
Ready = Callable[[Mapping[str, tuple[str, int]]], None]


def run_worker(
    settings: WorkerSettings, adapters: Mapping[str, ProtocolAdapter], connect: Connect, ready: Ready | None = None
) -> None:
    """Work until SIGTERM or SIGINT. ``connect`` gives the way to the control plane for as long as the worker runs.

    ``ready`` is called with the address of each listener once they listen. Raises Failure when it cannot start.
    """
    with asyncio.Runner(loop_factory=PumpLoop) as runner:
        runner.run(_run_until_told(settings, adapters, connect, ready))


async def _run_until_told(
    settings: WorkerSettings, adapters: Mapping[str, ProtocolAdapter], connect: Connect, ready: Ready | None
) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with connect() as control, working(settings, adapters, control) as worker:
        if ready is not None:
            ready(worker.addresses)
        await _either(told, worker.broken)
    if worker.broken.is_set():
        raise Failure("The gateway worker met a fault of its own; its log says which.", "Start it again.")


async def _either(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


class Worker:
    """A worker that runs. It is what the follower tells about changes.

    ``broken`` is set when a part ended without which the worker is of no use.
    """

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.addresses: dict[str, tuple[str, int]] = {}
        self.broken = asyncio.Event()
        self._listeners: list[Listener] = []

    def changed(self, touched: frozenset[Key] | None) -> None:
        self.shared.sessions.changed(touched)

    def refreshed(self) -> None:
        self.shared.sessions.refreshed()

    def applied(self, version: int, *, ended: bool) -> None:
        # INVARIANT: ``changed`` came before: each session that rested on what ended is cut by now.
        self.shared.reporter.applied(version, soon=ended)

    def watch_asked(self, session: str, ticket: str) -> None:
        found = self.shared.sessions.find(session)
        if found is not None and found.recording is not None:
            shared = self.shared
            found.tell_watched()
            shared.run_errand(stream_records(shared.control, shared.journal, found.recording, ticket))

    def recording_failed(self, why: str) -> None:
        sentence = recording_sentence(why)
        self.shared.sessions.cut_all(f"This session ends, because {sentence}", f"the recording failed: {why}")

    def listen(self, protocol: str, adapter: ProtocolAdapter, where: Listen) -> None:
        """Raises Failure when the address cannot be had."""
        sock = open_listener(protocol, where)
        shared = self.shared
        listener = Listener(
            shared.loop, shared.pump, sock, lambda: Session(shared, adapter, clear_text=where.clear_text).client
        )
        self._listeners.append(listener)
        host, port = sock.getsockname()[:2]
        self.addresses[protocol] = (str(host), int(port))

    def part_ended(self, part: "asyncio.Task[None]") -> None:
        if not part.cancelled() and (error := part.exception()) is not None:
            _LOG.critical("A part of the worker ended by a fault of ours.", exc_info=error)
            self.broken.set()

    async def stop(self) -> None:
        for listener in self._listeners:
            listener.close()
        shared = self.shared
        shared.strangers.drop_all("the gateway was stopped")
        shared.sessions.cut_all("The gateway is stopping. Connect again in a moment.", "the gateway was stopped")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                while True:
                    if not (shared.archive.busy or len(shared.reporter)):
                        break
                    await asyncio.sleep(0.02)


@asynccontextmanager
async def working(
    settings: WorkerSettings, adapters: Mapping[str, ProtocolAdapter], control: ControlPlane
) -> AsyncIterator[Worker]:
    """A worker that listens, for as long as the block runs. Raises Failure."""
    with pump_of(asyncio.get_running_loop()) as pump:
        async with _working(settings, adapters, control, pump) as worker:
            yield worker


@asynccontextmanager
async def _working(
    settings: WorkerSettings, adapters: Mapping[str, ProtocolAdapter], control: ControlPlane, pump: Pump
) -> AsyncIterator[Worker]:
    store = RecordingStore(settings.recordings)
    shared = _assemble(settings, adapters, control, store, pump)
    worker = Worker(shared)
    follower = shared.follower
    follower.listen(worker)
    shared.journal.on_failure = worker.recording_failed
    recovery = Recovery(settings.journal, shared.journal.folder, store, shared.reporter)
    keeping = shared.archive.run(shared.sessions.recordings)
    tasks = [asyncio.create_task(one) for one in (follower.run(), shared.reporter.run(), recovery.run(), keeping)]
    for task in tasks:
        task.add_done_callback(worker.part_ended)
    try:
        await follower.become_fresh(_FIRST_WORD_S)
        for protocol, where in settings.listen.items():
            adapter = _adapter_for(protocol, adapters)
            prepare = getattr(adapter, "prepare", None)
            if prepare is not None:
                prepare(settings.identity.key.parent)
            worker.listen(protocol, adapter, where)
        yield worker
    finally:
        await worker.stop()
        for task in (*tasks, *shared.errands):
            task.cancel()
        await asyncio.gather(*tasks, *shared.errands, return_exceptions=True)
        await shared.archive.stop()
        shared.interrupts.close()
        await shared.journal.close()
        if not shared.archive.busy and not shared.archive.given_up and not len(shared.reporter):
            remove_journal(shared.journal.folder)
        if not len(shared.sessions) and not len(shared.reporter):
            await _say_goodbye(control)


async def _say_goodbye(control: ControlPlane) -> None:
    """So that nobody waits for this worker's lease to be over before an end is certain. Unheard, it is waited for."""
    with contextlib.suppress(InterlockError, TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await control.leave()


def _assemble(
    settings: WorkerSettings,
    adapters: Mapping[str, ProtocolAdapter],
    control: ControlPlane,
    store: RecordingStore,
    pump: Pump,
) -> Shared:
    limits = settings.limits
    clock = WorkerClock()
    tls = TlsContexts(settings.identity)
    tls.server(())
    reporter = Reporter(control)
    interrupts = Interrupts(
        settings.run,
        settings.index,
        per_s=limits.interrupts_per_s,
        per_address_per_s=limits.interrupts_per_address_per_s,
    )
    journal = _open_journal(settings, limits, pump)
    return Shared(
        limits=limits,
        clock=clock,
        follower=Follower(control, clock, lambda text: build_rules(text, adapters)),
        control=control,
        journal=journal,
        archive=Archive(journal, store, reporter),
        reporter=reporter,
        interrupts=interrupts,
        strangers=Strangers(limits.strangers, limits.strangers_per_address),
        sessions=Sessions(),
        tls=tls,
        loop=asyncio.get_running_loop(),
        pump=pump,
    )


def _open_journal(settings: WorkerSettings, limits: Limits, pump: Pump) -> Journal:
    return Journal(
        settings.journal,
        pump,
        file_bytes=limits.journal_file_bytes,
        durable_s=limits.durable_s,
        stall_s=limits.stall_s,
    )


def _adapter_for(protocol: str, adapters: Mapping[str, ProtocolAdapter]) -> ProtocolAdapter:
    if protocol not in adapters:
        raise Failure(
            f"There is no protocol {protocol} to listen for; there is {' and '.join(sorted(adapters))}.",
            "Mend `listen` in interlock.yaml, or INTERLOCK_PROTOCOLS.",
        )
    return adapters[protocol]
