"""`interlock up`: the state's database, the control plane and the gateway's workers, as one thing.

Order of the start: understand the configuration; own the data folder; reserve every port; start the database; then the
control plane; then the workers. Each step that fails ends the start with one sentence and leaves nothing running.
The stop is the same backwards: workers say good-bye to their clients while the control plane still listens to them.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from interlock.app.children import Program
from interlock.app.compiled import REMEDY, SLOWER, find_uncompiled
from interlock.app.data_folder import DataFolder, locked
from interlock.app.installation import Adapters, external_state, keep_state_address
from interlock.app.listen import Reservation, reserve, wanted_addresses
from interlock.app.plan import STATE_OWNER_URL, STATE_URL, Plan
from interlock.app.supervisor import Supervisor, start_unless_stopped
from interlock.errors import Failure
from interlock.policy.configuration import Address
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import StateAddress, embedded_address, embedded_state

MOST_WORKERS = 256
_CONTROL_GRACE_S = 15.0
_WORKER_GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator asked for. ``workers`` 0: one for each processor, four at most."""

    config: Path
    folder: DataFolder
    workers: int = 0


@dataclass(frozen=True, slots=True)
class System:
    """Everything that runs, and where it listens."""

    plan: Plan
    supervisor: Supervisor


@asynccontextmanager
async def running(wanted: Wanted, asked: asyncio.Event) -> AsyncIterator[System | None]:
    """The running system; None when a stop was asked for before it was there. Raises Failure and ConfigurationError."""
    workers = _workers(wanted.workers)
    adapters = Adapters()
    configuration = adapters.load(wanted.config)
    external = external_state(configuration)
    with ExitStack() as held:
        held.enter_context(locked(wanted.folder))
        reservations = _reserve_all(wanted_addresses(configuration, adapters.protocols), held)
        listen = {taken.name: taken.address for taken in reservations}
        plan = Plan(wanted.folder, configuration, wanted.config.name, listen)
        plan.keep()
        wanted.folder.write_ports({name: str(address) for name, address in listen.items()})
        database, address = await start_state(wanted.folder, external)
        supervisor = Supervisor(_stages(plan, address, workers))
        try:
            keep_state_address(wanted.folder, address)
            if await start_unless_stopped(supervisor, asked):
                yield System(plan, supervisor)
            else:
                yield None
        finally:
            await supervisor.stop()
            if database is not None:
                await asyncio.to_thread(database.stop)


def summary(plan: Plan) -> str:
    """What to know when everything runs: the addresses, and what to type next."""
    console = plan.listen["console"]
    lines = [f"Interlock is up.  Console and API  https://{console}"]
    lines.extend(f"{'':<18}{name:<17}{address}" for name, address in sorted(plan.listen.items()) if name != "console")
    lines.append("Let a person in:  interlock enrol PERSON")
    lines.append("Then they type:   interlock login --person PERSON --code CODE")
    if find_uncompiled():
        lines.append(f"{SLOWER} {REMEDY}")
    lines.append(f"The data is in {plan.folder.root}. Stop with Ctrl-C.")
    return "\n".join(lines)


async def start_state(
    folder: DataFolder, external: StateAddress | None
) -> tuple[EmbeddedPostgres | None, StateAddress]:
    """Where the state is, and the embedded server that was started for it, if it was."""
    if external is not None:
        return None, external
    server = embedded_state(folder.postgres)
    await asyncio.to_thread(server.start)
    return server, embedded_address(server)


def _reserve_all(wanted: Mapping[str, Address], held: ExitStack) -> list[Reservation]:
    reservations = []
    for name, address in wanted.items():
        taken = reserve(name, address)
        held.callback(taken.release)
        reservations.append(taken)
    return reservations


def _stages(plan: Plan, state: StateAddress, workers: int) -> list[list[Program]]:
    folder = plan.folder
    control = Program(
        "control",
        _command(folder, "control"),
        folder.log / "control.log",
        {STATE_URL: state.url, STATE_OWNER_URL: state.owner_url},
        grace_s=_CONTROL_GRACE_S,
    )
    gateways = [
        Program(
            f"gateway-{number}",
            _command(folder, "gateway", "--worker", str(number)),
            folder.log / f"gateway-{number}.log",
            grace_s=_WORKER_GRACE_S,
        )
        for number in range(1, workers + 1)
    ]
    return [[control], gateways]


def _command(folder: DataFolder, *arguments: str) -> tuple[str, ...]:
    # -P: what lies in the current folder is never imported.
    return (sys.executable, "-P", "-m", "interlock", "serve", *arguments, "--data", str(folder.root))


def _workers(wanted: int) -> int:
    if not 0 <= wanted <= MOST_WORKERS:
        raise Failure(f"{wanted} workers cannot be started.", f"Choose 1 to {MOST_WORKERS}, or 0 for one a processor.")
    return wanted or min(4, os.cpu_count() or 1)
