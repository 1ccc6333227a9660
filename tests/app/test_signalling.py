"""Security events told to others: to a plain receiver that verifies them, and to a second installation that acts."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from interlock.app.data_folder import open_data_folder
from interlock.app.signalling import Telling, Transmitter, key_of, telling_receivers
from interlock.app.sinking import Cursor
from interlock.app.taking_turns import Turn
from interlock.domain.people import Identity
from interlock.errors import Refusal
from interlock.identity.authority import Authority
from interlock.identity.keys import load_or_create_key, new_key
from interlock.identity.oidc import OidcProvider
from interlock.policy.configuration import Provider, Receiver
from interlock.services.end_login import end_login
from interlock.services.offboard_person import offboard_person
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import StateAddress, embedded_address
from interlock.store.state import PostgresState
from interlock.store.tellings import PostgresTellings, Told
from tests.services.world import ADMIN, DBA, OPS, company
from tests.support.databases import database_of
from tests.web.conftest import house
from tests.web.house import House, contracts_of_now, open_house, trust

__all__ = ["house"]

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"


@dataclass
class Inbox:
    """A receiver as RFC 8935 has it: answers 202, or what it is told to."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    taken: list[tuple[Mapping[str, str], str]] = field(default_factory=list)

    @property
    def once(self) -> list[str]:
        """The events without those that came again: one that was sent as its sender stopped is sent once more."""
        return list({jti_of(body): body for _, body in self.taken}.values())

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.once) < count:  # noqa: ASYNC110 -- what is waited for comes over a socket
                await asyncio.sleep(0.05)


def jti_of(token: str) -> str:
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])


@asynccontextmanager
async def _inbox(folder: Path) -> AsyncIterator[Inbox]:
    authority = Authority.open(folder, datetime.now(UTC))
    key = load_or_create_key(folder / "inbox.key")
    (folder / "inbox.pem").write_bytes(authority.issue_server(key.public_key(), ["localhost"], datetime.now(UTC)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "inbox.pem", folder / "inbox.key")
    inbox = Inbox()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().split("\r\n")[1:-2]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = (await reader.readexactly(int(headers["content-length"]))).decode()
            status = inbox.statuses.pop(0) if inbox.statuses else 202
            if status == 202:
                inbox.taken.append((headers, body))
            said = b'{"err":"invalid_audience"}' if status == 400 else b""
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(said)}\r\n\r\n".encode() + said)
            await writer.drain()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=context)
    inbox.url = f"https://localhost:{server.sockets[0].getsockname()[1]}/events"
    async with server:
        yield inbox


@pytest.fixture
async def tellings(state_database: StateAddress) -> AsyncIterator[PostgresTellings]:
    opened = PostgresTellings(state_database.url)
    yield opened
    await opened.close()


@asynccontextmanager
async def _telling(
    house: House, receiver: Receiver, tellings: PostgresTellings, token: str = "", teller: str = "one"
) -> AsyncIterator["asyncio.Task[None]"]:
    turn = Turn(tellings, teller, key_of(receiver.name), f"The receiver {receiver.name}")
    transmitter = Transmitter(
        receiver, house.services.oauth.issuer, house.services.tokens, house.world.state, turn, token
    )
    task = asyncio.create_task(transmitter.run())
    try:
        await _begun(tellings, receiver.name)
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _begun(tellings: PostgresTellings, receiver: str) -> None:
    async with asyncio.timeout(10):
        while await tellings.look(key_of(receiver)) is None:  # noqa: ASYNC110 -- a row of the database
            await asyncio.sleep(0.02)


async def _told(tellings: PostgresTellings, receiver: str, holds: Callable[[Told], bool]) -> Told:
    async with asyncio.timeout(20):
        while True:
            told = await tellings.look(key_of(receiver))
            if told is not None and holds(told):
                return told
            await asyncio.sleep(0.05)


async def _verified(house: House, token: str) -> dict[str, Any]:
    """As any receiver does it: the transmitter's metadata, its keys, the signature, the type."""
    async with httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as http:
        said = (await http.get(f"{house.services.oauth.issuer}/.well-known/ssf-configuration")).json()
        keys = KeySet.import_key_set((await http.get(said["jwks_uri"])).json())
    assert said["delivery_methods_supported"] == ["urn:ietf:rfc:8935"]
    signed = jws.deserialize_compact(token, keys, algorithms=["ES256"])
    assert signed.headers()["typ"] == "secevent+jwt"
    claims: dict[str, Any] = json.loads(signed.payload)
    assert claims["iss"] == said["issuer"]
    return claims


async def test_what_ends_is_told_signed_once_and_in_order(
    house: House, tellings: PostgresTellings, tmp_path: Path
) -> None:
    before = await house.signed_in(DBA)
    async with _inbox(tmp_path / "inbox") as inbox:
        receiver = Receiver("idp", inbox.url, "https://idp.example", ca=str(tmp_path / "inbox" / "authority.pem"))
        inbox.statuses = [503, 202, 400, 202]
        async with _telling(house, receiver, tellings, "a bearer"):
            login = (await before.get("/v1/whoami"))["login"]
            await end_login(house.world.desk, by=DBA, login_id=login)
            await inbox.until(1)
            await house.enrol(OPS)
            await offboard_person(house.world.desk, by=ADMIN, name=DBA, reason="a reason that is nobody's business")
            await inbox.until(2)
        # Told what happened while nobody told.
        second = await house.signed_in(OPS)
        await second.post("/v1/sign-out")
        async with _telling(house, receiver, tellings):
            await inbox.until(3)
    told = [await _verified(house, body) for body in inbox.once]
    assert [next(iter(claims["events"])) for claims in told] == [
        f"{CAEP}session-revoked",
        f"{RISC}account-disabled",
        f"{CAEP}session-revoked",
    ]
    first, disabled, _ = told
    assert first["aud"] == "https://idp.example"
    assert first["sub_id"] == {"format": "iss_sub", "iss": house.services.oauth.issuer, "sub": DBA}
    assert first["events"][f"{CAEP}session-revoked"]["initiating_entity"] == "user"
    assert disabled["events"][f"{RISC}account-disabled"]["initiating_entity"] == "admin"
    assert len({claims["jti"] for claims in told}) == 3
    headers, body = inbox.taken[0]
    assert headers["authorization"] == "Bearer a bearer"
    assert headers["content-type"] == "application/secevent+jwt"
    assert "nobody's business" not in json.dumps(told)
    # An event is no token of ours.
    with pytest.raises(Refusal):
        await house.client(new_key(), body).get("/v1/whoami")


async def test_a_second_installation_ends_what_ended_in_the_first(
    house: House, tellings: PostgresTellings, postgres_server: EmbeddedPostgres, migrated_template: str, tmp_path: Path
) -> None:
    with database_of(postgres_server, migrated_template) as name:
        address: StateAddress = embedded_address(postgres_server, name)
        state = PostgresState(address.url)
        (tmp_path / "second").mkdir()
        pinned = tmp_path / "first.pem"
        pinned.write_text(house.authority.pem)
        issuer = house.services.oauth.issuer
        linked = Identity("oidc", f"{issuer} {OPS}", OPS)
        configuration = company(contracts=contracts_of_now(), identities=(linked,))
        provider = OidcProvider("first", Provider(issuer, "the second", ca=str(pinned)))
        async with open_house(
            state, address, tmp_path / "second", configuration=configuration, providers={"first": provider}
        ) as second:
            there = await second.signed_in(OPS)
            here = await house.signed_in(OPS)
            (tmp_path / "second.pem").write_text(second.authority.pem)
            receiver = Receiver(
                "second", f"{second.server}/v1/signals/first", "the second", ca=str(tmp_path / "second.pem")
            )
            async with _telling(house, receiver, tellings):
                await here.post("/v1/sign-out")
                async with asyncio.timeout(20):
                    while not await second.world.events("login.ended"):  # noqa: ASYNC110 -- another installation
                        await asyncio.sleep(0.05)
            with pytest.raises(Refusal):
                await there.get("/v1/whoami")
        await state.close()


async def test_of_two_control_planes_one_tells_and_one_that_is_frozen_is_followed(
    house: House, tellings: PostgresTellings, tmp_path: Path
) -> None:
    await house.signed_in(DBA)  # so that no later one enrols
    async with _inbox(tmp_path / "inbox") as inbox, AsyncExitStack() as held:
        receiver = Receiver("idp", inbox.url, "https://idp.example", ca=str(tmp_path / "inbox" / "authority.pem"))
        for teller in ("one", "two"):
            await held.enter_async_context(_telling(house, receiver, tellings, teller=teller))
        for turn in range(3):
            await (await house.signed_in(DBA)).post("/v1/sign-out")
            await inbox.until(turn + 1)
        async with house.world.state.reading() as reading:
            head = await reading.ledger_head()
        await _told(tellings, "idp", lambda told: told.position == head)
        assert len(inbox.taken) == 3, "each event came once, and from one of them"
        # a third one had it and froze: nobody pushes beside it while it may be at it, and then somebody does
        await held.aclose()
        assert await tellings.take(key_of("idp"), "frozen")
        async with _telling(house, receiver, tellings, teller="two"):
            await (await house.signed_in(DBA)).post("/v1/sign-out")
            await inbox.until(4)
            # awake again it moves nothing
            assert not await tellings.move(key_of("idp"), "frozen", head + 100)
    assert len(inbox.once) == 4


async def test_why_a_receiver_cannot_be_told_is_known_until_it_can(
    house: House, tellings: PostgresTellings, tmp_path: Path
) -> None:
    await house.signed_in(DBA)  # so that no later one enrols
    async with _inbox(tmp_path / "inbox") as inbox:
        ca = tmp_path / "inbox" / "authority.pem"
        receiver = Receiver("idp", inbox.url, "https://idp.example", ca=str(ca))
        inbox.statuses = [503]
        async with _telling(house, receiver, tellings):
            await (await house.signed_in(DBA)).post("/v1/sign-out")
            told = await _told(tellings, "idp", lambda told: bool(told.fault))
            assert "answers 503" in told.fault
            await inbox.until(1)
            await _told(tellings, "idp", lambda told: not told.fault)
        kept = ca.read_bytes()
        ca.write_text("nothing")
        async with _telling(house, receiver, tellings):
            await (await house.signed_in(DBA)).post("/v1/sign-out")
            told = await _told(tellings, "idp", lambda told: bool(told.fault))
            assert "has no authorities that can be read" in told.fault
            ca.write_bytes(kept)
            await inbox.until(2)


async def test_what_an_installation_of_before_kept_in_a_file_is_gone_on_from(
    house: House, tellings: PostgresTellings, tmp_path: Path
) -> None:
    folder = open_data_folder(tmp_path / "data", create=True)
    cursor = Cursor(folder.sinks / "receiver-idp.json")
    await (await house.signed_in(DBA)).post("/v1/sign-out")
    async with house.world.state.reading() as reading:
        cursor.write(await reading.ledger_head())
    await (await house.signed_in(DBA)).post("/v1/sign-out")
    async with _inbox(tmp_path / "inbox") as inbox:
        receiver = Receiver("idp", inbox.url, "https://idp.example", ca=str(tmp_path / "inbox" / "authority.pem"))
        telling = Telling(
            house.services.oauth.issuer, house.services.tokens, house.services.credentials, folder, tellings
        )
        desk = house.world.desk
        named = replace(house.world.configuration, receivers={"idp": receiver})
        object.__setattr__(desk, "configuration", named)
        async with telling_receivers(desk, telling):
            await inbox.until(1)
            await asyncio.sleep(0.3)
    assert len(inbox.once) == 1
    assert not cursor.there


async def test_the_receivers_of_a_policy_that_is_activated_are_told_from_then_on(
    house: House, tellings: PostgresTellings, tmp_path: Path
) -> None:
    folder = open_data_folder(tmp_path / "data", create=True)
    telling = Telling(house.services.oauth.issuer, house.services.tokens, house.services.credentials, folder, tellings)
    desk = house.world.desk

    async def name(turn: str, *receivers: Receiver) -> None:
        """Activate them, and wait until they are taken up: so is one then that never answers."""
        named = {one.name: one for one in (*receivers, Receiver(turn, "https://localhost:1/", "https://idp.example"))}
        object.__setattr__(desk, "configuration", replace(house.world.configuration, receivers=named))
        await _begun(tellings, turn)

    async def end_one() -> None:
        await (await house.signed_in(DBA)).post("/v1/sign-out")

    async with _inbox(tmp_path / "one") as one, _inbox(tmp_path / "two") as two, telling_receivers(desk, telling):
        ca = [str(tmp_path / inbox / "authority.pem") for inbox in ("one", "two")]
        await end_one()
        await name("turn-1", Receiver("first", one.url, "https://idp.example", ca=ca[0]))
        await _begun(tellings, "first")
        await end_one()
        await one.until(1)
        # it moved; and another cannot be told for want of its secret, which stands in nobody's way
        await name(
            "turn-2",
            Receiver("first", two.url, "https://idp.example", ca=ca[1]),
            Receiver("bare", one.url, "https://idp.example", secret="env:NOT_THERE_YET", ca=ca[0]),
        )
        await end_one()
        await two.until(1)
        await name("turn-3")
        await end_one()
        await asyncio.sleep(0.5)
    assert (len(one.once), len(two.once)) == (1, 1)
