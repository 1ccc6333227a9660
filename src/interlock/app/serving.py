"""One part alone: `interlock serve control` and `interlock serve gateway`.

Started by `interlock up`, each takes everything from the plan in the data folder. Started by an operator, the control
plane takes a configuration of its own, owns the data folder, and runs the state's database where it is embedded.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvloop

from interlock.app.children import READY_FD, report_failed, report_ready
from interlock.app.collector import settle_collector
from interlock.app.data_folder import DataFolder, locked
from interlock.app.gateway_worker import run_worker
from interlock.app.installation import Adapters, external_state, keep_state_address
from interlock.app.listen import wanted_addresses
from interlock.app.plan import STATE_OWNER_URL, STATE_URL, Plan, kept_plan
from interlock.app.supervisor import stop_signals
from interlock.app.up import start_state
from interlock.domain.plain_text import written_out
from interlock.errors import InterlockError
from interlock.store.home import StateAddress


def supervised() -> bool:
    """Whether `interlock up` started this process."""
    return READY_FD in os.environ


def serve_control(folder: DataFolder, config: Path | None) -> None:
    """Run the control plane until SIGTERM or SIGINT. Raises what stands in its way, after telling the supervisor."""
    with _told():
        adapters = Adapters()
        if config is None:
            plan = kept_plan(folder, adapters)
        else:
            configuration = adapters.load(config)
            plan = Plan(folder, configuration, config.name, wanted_addresses(configuration, adapters.protocols))
        uvloop.run(_control(plan, adapters, own=not supervised()))


def serve_gateway(folder: DataFolder, worker: int, control: str | None) -> None:
    """Run one gateway worker until SIGTERM or SIGINT. ``control`` is the control plane's address, else the plan's."""
    with _told():
        adapters = Adapters()
        run_worker(kept_plan(folder, adapters), adapters, worker, control=control, ready=_ready)


def _ready() -> None:
    settle_collector()
    report_ready()


async def _control(plan: Plan, adapters: Adapters, *, own: bool) -> None:
    async with stop_signals() as asked, _state_of(plan, own=own) as address:
        if own:
            plan.keep()
            keep_state_address(plan.folder, address)
        # The web's parts take seconds to load and 70 MB to keep: a gateway's worker does without.
        from interlock.app.control import run_control

        await run_control(plan, adapters, address, asked=asked, ready=_ready)


@asynccontextmanager
async def _state_of(plan: Plan, *, own: bool) -> AsyncIterator[StateAddress]:
    told = StateAddress(os.environ.pop(STATE_OWNER_URL, ""), os.environ.pop(STATE_URL, ""))
    if not own and told.url:
        yield told
        return
    with locked(plan.folder):
        database, address = await start_state(plan.folder, external_state(plan.configuration))
        try:
            yield address
        finally:
            if database is not None:
                await asyncio.to_thread(database.stop)


class _LogLine(logging.Formatter):
    """A log line, in UTC. Names that strangers send stand in it and can neither break it nor act on a terminal."""

    converter = staticmethod(time.gmtime)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the name that logging calls
        record.message = written_out(record.message)
        return super().formatMessage(record)


@contextmanager
def _told() -> Iterator[None]:
    """The process logs to stderr, in UTC, and the supervisor hears why it cannot start."""
    told = logging.StreamHandler(sys.stderr)
    told.setFormatter(_LogLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[told])
    for quiet in ("uvicorn.error", "httpx2", "alembic"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    try:
        yield
    except InterlockError as error:
        report_failed(error)
        raise
