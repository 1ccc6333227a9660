"""One gateway worker, put together: its keys, its listeners, its way to the control plane."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from interlock.app.control_link import ControlLink
from interlock.app.installation import Adapters
from interlock.app.listen import reachable_host
from interlock.app.open_files import allow_many_files
from interlock.app.places import places_of
from interlock.app.plan import GATEWAY_NAME, Plan
from interlock.errors import Failure
from interlock.gateway import worker
from interlock.gateway.settings import Listen, ServerIdentity, WorkerSettings
from interlock.identity.api_client import AsyncApiClient
from interlock.identity.keys import load_key
from interlock.policy.configuration import CONSOLE, Address
from interlock.ports.control import ControlPlane

_LOOK_S = 2.0
_log = logging.getLogger("interlock.gateway")


def run_worker(plan: Plan, adapters: Adapters, index: int, *, control: str | None, ready: Callable[[], None]) -> None:
    """Work until SIGTERM or SIGINT. ``control`` is the control plane's address, else that of the plan's console."""
    console = plan.listen[CONSOLE]
    server = control or f"https://{Address(reachable_host(console.host), console.port)}"
    settings = WorkerSettings(
        gateway=GATEWAY_NAME,
        index=index,
        listen={
            name: Listen(address.host, address.port, name in plan.configuration.clear_text)
            for name, address in plan.listen.items()
            if name != CONSOLE
        },
        identity=ServerIdentity(
            certificate=plan.folder.keys / "server.pem",
            key=plan.folder.keys / "server.key",
            authority=plan.folder.keys / "authority.pem",
        ),
        journal=plan.folder.journal,
        run=plan.folder.run,
        recordings=places_of(plan.folder, plan.configuration).recordings,
    )

    @asynccontextmanager
    async def connect() -> AsyncIterator[ControlPlane]:
        key = load_key(plan.folder.keys / "gateway.key")
        async with AsyncApiClient(server, key=key, authority=_authority(plan)) as api:
            following = asyncio.create_task(_follow_authority(plan, api))
            try:
                yield ControlLink(api, f"{index}-{secrets.token_hex(6)}")
            finally:
                following.cancel()

    allow_many_files()
    worker.run_worker(settings, adapters.protocols, connect, lambda _: ready())


async def _follow_authority(plan: Plan, api: AsyncApiClient) -> None:
    """What is trusted may change while the worker runs (`interlock keys rotate authority`)."""
    known = _authority(plan)
    while True:
        await asyncio.sleep(_LOOK_S)
        try:
            found = _authority(plan)
            if found != known:
                api.trust_also(found)
                known = found
        except Failure as failure:
            _log.warning("The authority's certificate cannot be read anew: %s", failure)


def _authority(plan: Plan) -> str:
    path = plan.folder.keys / "authority.pem"
    try:
        return path.read_text()
    except OSError as error:
        raise Failure(
            f"The authority's certificate {path} cannot be read: {error.strerror}.",
            "Start the control plane with this data folder first, or copy its keys here.",
        ) from error
