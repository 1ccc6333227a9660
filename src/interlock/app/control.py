"""The control plane's process: the state made ready, the services built, the API served over TLS, the sweeps.

This is where every port meets its adapter.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields, replace
from functools import partial

import uvicorn

from interlock.app.accounts import keepers_of, keeping_accounts, open_account_secrets
from interlock.app.channels import Notifiers, Opening
from interlock.app.check_upstreams import try_upstream
from interlock.app.delivering import open_delivery
from interlock.app.front import open_front, open_tokens
from interlock.app.installation import Adapters
from interlock.app.keeping import Keeper, keeping
from interlock.app.key_service import open_log_keys, open_master_key, open_transit
from interlock.app.notifying import notifying, open_channels
from interlock.app.open_files import allow_many_files
from interlock.app.places import places_of
from interlock.app.plan import GATEWAY_NAME, Plan
from interlock.app.publishing import open_stores, public_key_of, publishing
from interlock.app.rotations import finish_where_nobody_does, tell_where_nobody_does
from interlock.app.sharing import feeding_sinks
from interlock.app.signalling import Telling, telling_receivers
from interlock.app.sinking import Feeding
from interlock.app.watching import watching
from interlock.app.witnesses import ActiveWitnesses
from interlock.domain.resources import CredentialSource
from interlock.errors import Failure, InterlockError, Refusal
from interlock.identity.authority import Authority, ServerFiles, server_hosts
from interlock.identity.authority_rotation import write_trusted
from interlock.identity.client_assertions import ClientAssertions, audiences_of
from interlock.identity.dpop import Nonces, ProofChecker
from interlock.identity.key_ring import read_ring
from interlock.identity.keys import load_or_create_key, thumbprint
from interlock.identity.nonce_secrets import read_nonce_secrets
from interlock.identity.oidc import OidcProvider
from interlock.identity.passkeys import Passkeys
from interlock.identity.public_fetch import PublicFetch
from interlock.identity.ssh_authority import SshAuthority
from interlock.identity.workload_tokens import WorkloadTokens
from interlock.policy.configuration import CONSOLE, Address
from interlock.ports.clock import Clock, SystemClock
from interlock.ports.state import ReplayCache, WaitingRoom
from interlock.services.credentials import Credentials
from interlock.services.desk import Desk
from interlock.services.expire import expire
from interlock.services.forget_connections import forget_connections
from interlock.services.join_gateway import join_gateway
from interlock.services.outflow import Outflow
from interlock.services.provision import DIRECTORY
from interlock.services.start_policy import start_policy
from interlock.store.followings import PostgresFollowings
from interlock.store.home import StateAddress
from interlock.store.migrate import migrate
from interlock.store.outbox import PostgresOutbox
from interlock.store.replay import PostgresReplayCache
from interlock.store.segment_words import PostgresSegmentWords
from interlock.store.state import PostgresState
from interlock.store.tellings import PostgresTellings
from interlock.store.waiting import PostgresWaitingRoom
from interlock.web.api import build_api
from interlock.web.first_words import Crowd, bounded_by
from interlock.web.oauth import AuthorizationServer
from interlock.web.services import Services, open_services

SHORTEST_SECRET = 32
WS_LIMIT = 64 * 1024
"""The longest message that a browser's terminal sends: a paste goes in pieces of 16 KiB."""

_SWEEP_S = 2.0
_RENEW_S = 3600.0
_FORGET_S = 3600.0
_TELL_S = 5.0
_GRACE_S = 5
_log = logging.getLogger("interlock.control")


async def run_control(
    plan: Plan, adapters: Adapters, address: StateAddress, *, asked: asyncio.Event, ready: Callable[[], None]
) -> None:
    """Serve until ``asked`` is set; ``ready`` is called when the API answers. Raises Failure when it cannot start."""
    clock, places = SystemClock(), places_of(plan.folder, plan.configuration)
    await migrate(address.owner_url)
    async with _stores(address.url) as stores:
        desk = Desk(stores.state, clock, plan.configuration, adapters.read_policy)
        await _make_current(desk, plan)
        # Where to listen and where the state is belongs to this machine; everything else to the active policy.
        plan = replace(plan, configuration=desk.configuration)
        authority = Authority.open(plan.folder.keys, clock.now())
        hosts = _hosts(plan)
        files = authority.ensure_server(plan.folder.keys, hosts, clock.now())
        ssh = SshAuthority.open(plan.folder.keys, clock.now())
        ssh.ensure_host(plan.folder.keys, server_hosts(hosts), clock.now())
        tokens = open_tokens(plan, clock)
        front, passwords = open_front(desk, authority, tokens)
        witnesses = ActiveWitnesses(desk)
        nonces = Nonces(read_nonce_secrets(plan.folder.keys), clock)
        own = open_account_secrets(plan.folder)
        published, recordings = await open_stores(places)
        credentials = Credentials(plan.configuration.resources, adapters.vaults, own)
        transit = open_transit(plan.configuration.openbao, credentials)
        log_keys = await open_log_keys(plan.folder, plan.configuration.openbao, transit)
        outflow = Outflow(name for name, sink in plan.configuration.sinks.items() if sink.enforced)
        delivery, attestor = await open_delivery(plan, desk, credentials, adapters.forges)
        channels = await open_channels(
            plan.configuration.notify, Opening(adapters.notifiers, credentials, issuer_of(plan))
        )
        services = open_services(
            front=front,
            tokens=tokens,
            proofs=ProofChecker(nonces, stores.replays, clock),
            oauth=_oauth(plan, stores.waiting, stores.replays, clock),
            credentials=credentials,
            scim_secret=await _scim_secret(plan, credentials),
            providers=await _providers(plan, credentials),
            recordings=recordings,
            master_key=open_master_key(plan.folder, plan.configuration.openbao, transit),
            segment_words=stores.words,
            outbox=stores.outbox,
            followings=stores.followings,
            published=published,
            ledger_key=str(public_key_of(plan.folder)),
            outflow=outflow,
            hosts=frozenset(server_hosts(hosts)),
            listeners={name: address for name, address in plan.listen.items() if name != CONSOLE},
            delivery=delivery,
            attest_key=attestor.public_pem,
            notifiers=Notifiers(channels),
            try_upstream=partial(try_upstream, credentials=credentials),
            ssh_authority=ssh,
        )
        try:
            async with (
                publishing(address.url, published, log_keys, witnesses),
                watching(desk, address.url),
                keeping(Keeper(desk, services.master_key, services.recordings, stores.words), address.url),
                feeding_sinks(
                    desk, Feeding(adapters.sinks, services.credentials, plan.folder, outflow, stores.tellings)
                ),
                notifying(desk, stores.outbox, channels, address.url),
                telling_receivers(desk, Telling(issuer_of(plan), tokens, credentials, plan.folder, stores.tellings)),
                keeping_accounts(desk, credentials, keepers_of(adapters.protocols)),
            ):
                await _serve(services, plan, files, authority, ssh, asked, ready)
        finally:
            passwords.close()
            if transit is not None:
                await transit.close()
            for forge in delivery.forges.values() if delivery is not None else ():
                await forge.close()


async def _providers(plan: Plan, credentials: Credentials) -> dict[str, OidcProvider]:
    """The identity providers with our secrets. Raises Failure when one cannot be had."""
    found = {}
    for name, settings in plan.configuration.providers.items():
        source = CredentialSource(settings.client_id, settings.secret)
        found[name] = OidcProvider(name, settings, (await credentials.fetch(source)).secret or "")
    return found


async def _scim_secret(plan: Plan, credentials: Credentials) -> str:
    """What the directory brings; empty when there is none. Raises Failure when it cannot be had."""
    section = plan.configuration.scim
    if section is None:
        return ""
    secret = (await credentials.fetch(CredentialSource(DIRECTORY, section.secret))).secret or ""
    if len(secret) < SHORTEST_SECRET:
        raise Failure(
            f"The secret of scim is shorter than {SHORTEST_SECRET} characters.", "Make one: openssl rand -hex 32"
        )
    return secret


def _oauth(plan: Plan, waiting: WaitingRoom, replays: ReplayCache, clock: Clock) -> AuthorizationServer:
    issuer = issuer_of(plan)
    assertions = ClientAssertions(audiences_of(issuer), replays, clock)
    return AuthorizationServer(issuer, waiting, assertions, PublicFetch(), Passkeys(issuer), WorkloadTokens(issuer))


def issuer_of(plan: Plan) -> str:
    """The one name of the authorization server. Where the console listens on this machine alone it is ``localhost``:
    passkeys belong to names, and an address is none."""
    console = plan.listen[CONSOLE]
    host = {"127.0.0.1": "localhost", "::1": "localhost"}.get(console.host, console.host)
    if host in ("0.0.0.0", "::"):  # noqa: S104 -- compared with, not bound to
        host = socket.getfqdn()
    return f"https://{Address(host, console.port)}"


@dataclass(frozen=True, slots=True)
class _Stores:
    """All that is kept in the state's database, the state first."""

    state: PostgresState
    replays: PostgresReplayCache
    waiting: PostgresWaitingRoom
    words: PostgresSegmentWords
    outbox: PostgresOutbox
    followings: PostgresFollowings
    tellings: PostgresTellings


@asynccontextmanager
async def _stores(url: str) -> AsyncIterator[_Stores]:
    stores = _Stores(
        PostgresState(url),
        PostgresReplayCache(url),
        PostgresWaitingRoom(url),
        PostgresSegmentWords(url),
        PostgresOutbox(url),
        PostgresFollowings(url),
        PostgresTellings(url),
    )
    async with AsyncExitStack() as held:
        for one in fields(stores):
            held.push_async_callback(getattr(stores, one.name).close)
        yield stores


async def _make_current(desk: Desk, plan: Plan) -> None:
    """The policy that this start may put into effect is; the gateway beside us is let in."""
    started = await start_policy(desk)
    applied = started.applied
    if started.differs:
        _log.warning(
            "%s is not the active policy (version %d), which goes on. To change it: interlock policy propose %s",
            plan.source,
            applied.policy.version,
            plan.source,
        )
    for name in applied.not_revived:
        _log.warning("%s was ended and stays so, though %s still names it.", name, plan.source)
    for ended in applied.ended:
        _log.warning("Ended by the configuration: %s", ended)
    key = load_or_create_key(plan.folder.keys / "gateway.key")
    try:
        await join_gateway(desk, name=GATEWAY_NAME, key=thumbprint(key))
    except Refusal as refusal:
        if refusal.code != "gateway-unnamed":
            raise
        # The control plane goes on: the change that names it could be activated nowhere else.
        _log.warning("The gateway beside this control plane is not let in. %s %s", refusal.sentence, refusal.remedy)


async def _serve(
    services: Services,
    plan: Plan,
    files: ServerFiles,
    authority: Authority,
    ssh: SshAuthority,
    asked: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    allow_many_files()
    config = uvicorn.Config(
        build_api(services),
        ssl_certfile=files.certificate,
        ssl_keyfile=files.key,
        http=bounded_by(Crowd()),
        ws="websockets-sansio",
        ws_max_size=WS_LIMIT,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config)
    listener = _listen(plan.listen[CONSOLE])
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    background = [
        asyncio.create_task(_sweep(services, plan)),
        asyncio.create_task(_forget(services.desk)),
        asyncio.create_task(_tell_rotations(services, plan)),
        asyncio.create_task(_follow_authority(config, plan, authority, ssh, services.desk.clock)),
        asyncio.create_task(_renew(config, plan, authority, ssh, services.desk.clock)),
    ]
    try:
        await _until_started(server, serving)
        ready()
        stopping = asyncio.create_task(asked.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
    finally:
        for task in background:
            task.cancel()
        await services.close()
        server.should_exit = True
        await serving


async def _until_started(server: "_Server", serving: "asyncio.Task[None]") -> None:
    while not server.started:
        if serving.done():
            await serving
            raise Failure("The API did not start.", "The control plane's log says why.")
        await asyncio.sleep(0.01)


async def _sweep(services: Services, plan: Plan) -> None:
    desk = services.desk
    while True:
        try:
            await expire(desk)
            # Another program may have rotated them (`interlock keys rotate`).
            ring = read_ring(plan.folder.keys, desk.clock.now())
            services.tokens.use(ring.signing, ring.older)
            services.proofs.nonces.use(read_nonce_secrets(plan.folder.keys))
        except InterlockError as error:
            _log.warning("What is over could not be written down yet: %s", error)
        await asyncio.sleep(_SWEEP_S)


async def _forget(desk: Desk) -> None:
    while True:
        try:
            await forget_connections(desk)
        except InterlockError as error:
            _log.warning("What connections were let in by could not be forgotten yet: %s", error)
        await asyncio.sleep(_FORGET_S)


async def _tell_rotations(services: Services, plan: Plan) -> None:
    """What a command that was killed did to the keys and did not write down."""
    state, finished = services.desk.state, False
    while True:
        try:
            for event in await tell_where_nobody_does(state, plan.folder.keys):
                _log.warning("A rotation of keys had not been written down: %s.", event.kind)
            finished = finished or await finish_where_nobody_does(state, services.master_key, plan.folder.keys)
        except (InterlockError, OSError) as error:
            _log.warning("Rotations of keys could not be written down yet: %s", error)
        await asyncio.sleep(_TELL_S)


async def _follow_authority(
    config: uvicorn.Config, plan: Plan, authority: Authority, ssh: SshAuthority, clock: Clock
) -> None:
    """The operator may announce another authority, let it take over, or let another one certify for SSH
    (`interlock keys rotate authority`, `… ssh`)."""
    keys = plan.folder.keys
    while True:
        await asyncio.sleep(_SWEEP_S)
        try:
            before = (authority.certificate, authority.others)
            write_trusted(keys, clock.now())
            authority.reopen(keys, clock.now())
            if before != (authority.certificate, authority.others):
                _use_certificate(config, authority.ensure_server(keys, _hosts(plan), clock.now()))
            if ssh.reopen(keys, clock.now()):
                ssh.ensure_host(keys, server_hosts(_hosts(plan)), clock.now())
        except (InterlockError, OSError) as error:
            _log.warning("The authority could not be read anew: %s", error)


def _use_certificate(config: uvicorn.Config, files: ServerFiles) -> None:
    if config.ssl is not None:
        config.ssl.load_cert_chain(files.certificate, files.key)


async def _renew(config: uvicorn.Config, plan: Plan, authority: Authority, ssh: SshAuthority, clock: Clock) -> None:
    """New connections get the renewed certificate, a month before the old one ends."""
    while True:
        await asyncio.sleep(_RENEW_S)
        try:
            _use_certificate(config, authority.ensure_server(plan.folder.keys, _hosts(plan), clock.now()))
            ssh.ensure_host(plan.folder.keys, server_hosts(_hosts(plan)), clock.now())
        except (InterlockError, OSError) as error:
            _log.warning("The server's certificate could not be renewed: %s", error)


def _hosts(plan: Plan) -> list[str]:
    """The names that clients may use: the listeners' own, and this machine's for those that listen everywhere."""
    hosts = {address.host for address in plan.listen.values()}
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 -- compared with, not bound to
    named = sorted(hosts - everywhere)
    return [*named, *([socket.gethostname(), socket.getfqdn()] if hosts & everywhere else [])]


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # The port is shared with the supervisor, which keeps it for us while we are being replaced.
        # Else connections that are still closing keep the port from the next start, for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Connections take it over. An answer leaves as head and body, and the body would wait 40 ms for a receipt.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((address.host, address.port))
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise Failure(
            f"The control plane cannot listen on {address}: {error.strerror or error}.",
            "Stop the program that has the port, or choose another under listen in interlock.yaml.",
        ) from error
    return listener


class _Server(uvicorn.Server):
    """Uvicorn without hands on our signals: the composition root stops things in its own order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
