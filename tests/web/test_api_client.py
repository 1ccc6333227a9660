"""The client that the command line and the gateways use, against the served API."""

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from interlock.errors import Failure, NotFound, Refusal
from interlock.identity.api_client import ApiClient, authority_digest, fetch_authority, server_address
from interlock.identity.authority import Authority
from interlock.identity.keys import new_key
from tests.services.world import DEV, refused
from tests.web.house import House


def calls(house: House, token: str | None, key: Any, authority: str) -> list[Any]:
    with ApiClient(house.server, key=key, authority=authority, token=token, clock=house.clock) as client:
        found = [client.get("/v1/whoami")["person"], client.get("/v1/requests", scope="mine")]
        found.extend(
            outcome(lambda path=path: client.get(path)) for path in ("/v1/requests/r-0", "/v1/ledger", "/v1/x")
        )
        found.append(outcome(lambda: client.post("/v1/requests", {})))
        found.append(outcome(lambda: list(client.stream("/v1/sessions/s-0/records"))))
        return found


def outcome(call: Any) -> Any:
    try:
        return call()
    except (Refusal, Failure) as error:
        return type(error), getattr(error, "code", "")


async def test_calls_one_after_the_other(house: House) -> None:
    key = new_key()
    token = (await house.signed_in(DEV, key=key)).auth.token
    found = await asyncio.to_thread(calls, house, token, key, house.authority.pem)
    assert found == [
        DEV,
        [],
        (NotFound, "not-found"),
        (Refusal, "not-yours"),
        (NotFound, "not-found"),
        (Refusal, "bad-input"),
        (NotFound, "not-found"),
    ]


async def test_a_stream_in_the_plain_form(house: House) -> None:
    key = new_key()
    gateway = await house.gateway(key=key)

    def first() -> Mapping[str, Any]:
        with ApiClient(
            house.server, key=key, authority=house.authority.pem, token=gateway.auth.token, clock=house.clock
        ) as client:
            return next(client.stream("/v1/gateway/feed"))

    assert (await asyncio.to_thread(first))["type"] == "snapshot"


async def test_the_authority_is_known_by_its_fingerprint_at_first_contact(house: House) -> None:
    fingerprint = house.authority.fingerprint
    pem = await asyncio.to_thread(fetch_authority, house.server, fingerprint.upper())
    assert pem == house.authority.pem
    assert authority_digest(pem) == fingerprint
    assert await asyncio.to_thread(fetch_authority, house.server, None) == pem
    for wrong in ("0" * 32, "", "é"):
        with refused("wrong-authority"):
            await asyncio.to_thread(fetch_authority, house.server, wrong)


async def test_a_server_of_another_authority_is_not_talked_to(house: House, tmp_path: Path) -> None:
    """Nobody in between gets a token or a password to see."""
    other = Authority.open(tmp_path / "other", house.clock.now())
    client = ApiClient(house.server, key=new_key(), authority=other.pem, token="secret")
    with client, pytest.raises(Failure, match="does not prove to be the server that is pinned"):
        await asyncio.to_thread(client.get, "/v1/whoami")


async def test_a_name_that_is_not_in_the_certificate(house: House) -> None:
    port = house.server.rpartition(":")[2]
    client = ApiClient(f"https://127.0.0.2:{port}", key=new_key(), authority=house.authority.pem)
    with client, pytest.raises(Failure):
        await asyncio.to_thread(client.get, "/v1/health")


async def test_a_server_that_is_not_there_or_something_else(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Failure, match="cannot be reached"):
        await asyncio.to_thread(fetch_authority, f"127.0.0.1:{port}", None)
    with (
        ApiClient(f"https://127.0.0.1:{port}", key=new_key(), authority=house.authority.pem) as client,
        pytest.raises(Failure, match="cannot be reached"),
    ):
        await asyncio.to_thread(client.get, "/v1/health")


async def test_a_server_that_breaks_off(house: House) -> None:
    async def slam(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(slam, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Failure):
            await asyncio.to_thread(fetch_authority, f"https://127.0.0.1:{port}", None)


@pytest.mark.parametrize("text", ["http://127.0.0.1:8443", "https://a/b", "", "https://u:p@h", "https://:1", "ftp://x"])
def test_addresses_that_are_none(text: str) -> None:
    with refused("bad-server"):
        server_address(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("gw.example:8443", "https://gw.example:8443"),
        ("https://gw.example/", "https://gw.example"),
        ("[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_addresses_as_people_type_them(text: str, address: str) -> None:
    assert server_address(text) == address


def test_a_pinned_authority_that_is_none() -> None:
    with pytest.raises(Failure, match="not a certificate"):
        ApiClient("https://127.0.0.1:1", key=new_key(), authority="nonsense")
