"""The API as it is served: uvicorn, TLS, a real state. Time stands still for server and clients until it is moved."""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pyotp
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from fastapi import FastAPI
from obstore.store import LocalStore

from interlock.app.check_upstreams import try_upstream
from interlock.app.installation import Adapters
from interlock.domain.people import Contract
from interlock.identity.api_client import AsyncApiClient
from interlock.identity.authority import Authority, make_request
from interlock.identity.client_assertions import ClientAssertions, audiences_of
from interlock.identity.dpop import Nonces, ProofChecker, ProofMaker
from interlock.identity.keys import new_key, thumbprint
from interlock.identity.nonce_secrets import read_nonce_secrets
from interlock.identity.oidc import OidcProvider
from interlock.identity.passkeys import Passkeys
from interlock.identity.passwords import Argon2Passwords
from interlock.identity.public_fetch import PublicFetch
from interlock.identity.tokens import Tokens
from interlock.identity.totp import TotpCodes
from interlock.identity.workload_tokens import WorkloadTokens
from interlock.ledger.notes import new_signer
from interlock.policy.configuration import Address, Configuration
from interlock.ports.notify import OpenNotifier
from interlock.services.apply_configuration import apply_configuration
from interlock.services.credentials import Credentials
from interlock.services.enrol import enrol, issue_enrolment
from interlock.services.front_desk import open_front_desk
from interlock.services.join_gateway import join_gateway
from interlock.store.followings import PostgresFollowings
from interlock.store.home import StateAddress
from interlock.store.outbox import PostgresOutbox
from interlock.store.replay import PostgresReplayCache
from interlock.store.segment_words import PostgresSegmentWords
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles
from interlock.store.waiting import PostgresWaitingRoom
from interlock.web.api import build_api
from interlock.web.first_words import Crowd, bounded_by
from interlock.web.oauth import AuthorizationServer
from interlock.web.services import Services, open_services
from tests.services.world import World, company, with_auditor
from tests.support.clock import FixedClock
from tests.web.described import Watched, known

PASSWORD = "correct horse battery"
GATEWAY = "gw1"
LEDGER_KEY = new_signer("log.example/house")


class _Server(uvicorn.Server):
    """Uvicorn that leaves the test's signals alone and says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.up.set()


@dataclass
class House:
    """The served API, and clients of it."""

    server: str
    services: Services
    world: World
    authority: Authority
    recordings: Path
    api: FastAPI
    secrets: dict[str, str] = field(default_factory=dict)
    clients: list[AsyncApiClient] = field(default_factory=list)

    @property
    def clock(self) -> FixedClock:
        return self.world.clock

    async def enrol(self, person: str) -> None:
        issued = await issue_enrolment(self.services.front, person=person, by="operator")
        enrolled = await enrol(
            self.services.front, person=person, code=issued.text, password=PASSWORD, address="127.0.0.1"
        )
        self.secrets[person] = enrolled.totp_secret

    def code(self, person: str) -> str:
        """A one-time code that was not used yet: time moves by a step."""
        self.clock.advance(timedelta(seconds=30))
        return pyotp.TOTP(self.secrets[person]).at(self.clock.now())

    def client(self, key: EllipticCurvePrivateKey | None = None, token: str | None = None) -> AsyncApiClient:
        key = key or new_key()
        client = AsyncApiClient(self.server, key=key, authority=self.authority.pem, token=token, clock=self.clock)
        self.clients.append(client)
        return client

    async def signed_in(
        self, person: str, *, key: EllipticCurvePrivateKey | None = None, present: bool = False
    ) -> AsyncApiClient:
        """A client of a person who signed in, with a one-time code if ``present``."""
        if person not in self.secrets:
            await self.enrol(person)
        key = key or new_key()
        client = self.client(key)
        body = {"person": person, "password": PASSWORD, "csr": make_request(key)}
        if present:
            body["totp"] = self.code(person)
        client.auth.token = (await client.post("/v1/sign-in", body))["token"]
        return client

    async def reader(self, person: str, *approvers: str, resource: str = "orders") -> AsyncApiClient:
        """A client of a person who holds a grant to read the recordings of ``resource``, in that login."""
        key = new_key()
        client = await self.signed_in(person, key=key, present=True)
        async with self.world.state.reading() as reading:
            (login,) = await reading.logins(key=thumbprint(key))
        await self.world.lend("auditor", *approvers, person=person, login=login, resource=resource)
        return client

    async def gateway(self, name: str = GATEWAY, *, key: EllipticCurvePrivateKey | None = None) -> AsyncApiClient:
        """A client of a gateway that joined and has its token."""
        key = key or new_key()
        await join_gateway(self.world.desk, name=name, key=thumbprint(key))
        client = self.client(key)
        client.auth.token = (await client.post("/v1/gateway/token"))["token"]
        return client


@dataclass
class Attacker:
    """Sends whatever it likes: proofs and tokens as they are given to it."""

    house: House
    http: httpx2.AsyncClient
    key: EllipticCurvePrivateKey = field(default_factory=new_key)

    def proof(self, method: str, path: str, *, token: str | None = None, **changes: Any) -> str:
        words = {"nonce": self.house.services.proofs.nonces.current(), **changes}
        key = words.pop("key", self.key)
        url = words.pop("url", self.house.server + path)
        at = self.house.clock.now()
        return ProofMaker(key).make(method=method, url=url, at=at, token=token, nonce=words["nonce"])

    async def send(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        proof: str | None = None,
        headers: Mapping[str, str] | None = None,
        **rest: Any,
    ) -> httpx2.Response:
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"DPoP {token}"
        if proof is not None:
            sent["DPoP"] = proof
        return await self.http.request(method, self.house.server + path, headers=sent, **rest)


def error_of(response: httpx2.Response) -> str:
    """The code of an error answer, whose form is checked on the way."""
    said = response.json()
    assert set(said) == {"error"}
    assert set(said["error"]) == {"code", "sentence", "remedy"}
    assert said["error"]["sentence"].endswith("."), said
    assert "Traceback" not in response.text
    code: str = said["error"]["code"]
    return code


def contracts_of_now() -> dict[str, Contract]:
    """The company's contracts, running whenever the tests run."""
    now = datetime.now(UTC)
    window = {"start": now - timedelta(days=30), "end": now + timedelta(days=90)}
    return {
        name: Contract(name, c.vendor, c.sponsor, window["start"], window["end"], c.roles)
        for name, c in company().contracts.items()
    }


@asynccontextmanager
async def open_house(
    state: PostgresState,
    address: StateAddress,
    folder: Path,
    *,
    fetch: PublicFetch | None = None,
    configuration: Configuration | None = None,
    scim_secret: str = "",
    providers: Mapping[str, OidcProvider] | None = None,
    notifiers: Mapping[str, OpenNotifier] | None = None,
    adapters: Adapters | None = None,
    terminals: bool = False,
) -> AsyncIterator[House]:
    """Everything built as ``app`` builds it, served on a free loopback port.

    With ``adapters`` another policy can be read, and a resource be tried; with ``terminals`` WebSockets are taken.
    """
    # TLS reads the machine's clock, so the tests' own stands at the same time to begin with.
    clock = FixedClock(datetime.now(UTC).replace(microsecond=0))
    world = World(
        state, clock, configuration or company(contracts=contracts_of_now(), roles=with_auditor("orders", "stock"))
    )
    await apply_configuration(world.desk)
    authority = Authority.open(folder / "keys", clock.now())
    desk = world.desk
    desk.read_policy = None if adapters is None else adapters.read_policy
    credentials = Credentials({}, {} if adapters is None else adapters.vaults)
    files = authority.ensure_server(folder / "keys", [], clock.now())
    passwords, replays = Argon2Passwords(), PostgresReplayCache(address.url, clock=clock)
    waiting = PostgresWaitingRoom(address.url, clock=clock)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    issuer = f"https://localhost:{listener.getsockname()[1]}"
    recordings = folder / "recordings"
    recordings.mkdir()
    tokens = Tokens(new_key(), clock)
    segment_words, outbox = PostgresSegmentWords(address.url), PostgresOutbox(address.url)
    followings = PostgresFollowings(address.url)
    services = open_services(
        front=open_front_desk(desk, passwords, TotpCodes(), authority, tokens),
        tokens=tokens,
        proofs=ProofChecker(Nonces(read_nonce_secrets(folder / "keys"), clock), replays, clock),
        oauth=AuthorizationServer(
            issuer,
            waiting,
            ClientAssertions(audiences_of(issuer), replays, clock),
            fetch or PublicFetch(),
            Passkeys(issuer),
            WorkloadTokens(issuer),
        ),
        credentials=credentials,
        recordings=LocalStore(recordings),
        master_key=world.master,
        segment_words=segment_words,
        outbox=outbox,
        followings=followings,
        notifiers=notifiers,
        published=ObjectTiles(str(folder / "ledger"), create=True),
        ledger_key=str(LEDGER_KEY.verifier),
        scim_secret=scim_secret,
        providers=providers,
        hosts=frozenset({"127.0.0.1", "localhost", "::1"}),
        listeners={"postgres": Address("::", 15432)},
        try_upstream=partial(try_upstream, credentials=credentials),
    )
    api = build_api(services)
    known(api)
    watched = Watched(api)
    config = uvicorn.Config(
        watched,
        ssl_certfile=files.certificate,
        ssl_keyfile=files.key,
        http=bounded_by(Crowd()),
        log_config=None,
        ws="websockets-sansio" if terminals else "none",
        timeout_graceful_shutdown=5 if terminals else None,
        proxy_headers=False,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.up.wait()
    house = House(f"https://127.0.0.1:{listener.getsockname()[1]}", services, world, authority, recordings, api)
    try:
        yield house
    finally:
        for client in house.clients:
            await client.close()
        await services.close()
        server.should_exit = True
        await serving
        passwords.close()
        await replays.close()
        await waiting.close()
        await segment_words.close()
        await outbox.close()
        await followings.close()
    assert not watched.faults, f"answers that are not as they are described: {watched.faults}"


def trust(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.pem)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
