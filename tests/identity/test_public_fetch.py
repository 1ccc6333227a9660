"""Fetching what a stranger named: only what the whole world can reach, and no more of it than is wanted."""

import asyncio
import ipaddress
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from interlock.domain.addresses import is_public
from interlock.errors import Refusal
from interlock.identity.oauth_clients import fetch_client
from interlock.identity.public_fetch import (
    AT_ONCE,
    AT_ONCE_FOR_ASKER,
    AT_ONCE_TO_HOST,
    LIMIT_BYTES,
    PublicFetch,
)
from tests.support.site import HOST, response, site

ASKER = "192.0.2.7"


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
    ],
)
def test_addresses_that_mean_something_else_to_everybody(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_world(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


async def test_a_document_is_fetched_from_the_address_that_was_looked_at(tmp_path: Path) -> None:
    async with site(tmp_path, lambda: response(b'{"a": 1}')) as (fetch, port, asked):
        assert await fetch.fetch_json(f"https://{HOST}:{port}/x?y=1", ASKER) == {"a": 1}
        assert asked[0].startswith(b"GET /x?y=1 HTTP/1.1\r\n")
        assert f"host: {HOST}:{port}".encode() in asked[0].lower()
        assert b"authorization" not in asked[0].lower()


@pytest.mark.parametrize(
    "answer",
    [
        response(b"", status="302 Found", more="Location: https://127.0.0.1/\r\n"),
        response(b"{}", kind="text/html"),
        response(b"[]"),
        response(b"{"),
        response(b"[" * 5000),
        response(b'{"a": "' + b"x" * LIMIT_BYTES + b'"}'),
        response(b"{}", status="500 No"),
        b"\x00\x01\x02",
    ],
)
async def test_answers_that_are_none(tmp_path: Path, answer: bytes) -> None:
    async with site(tmp_path, lambda: answer) as (fetch, port, _):
        with pytest.raises(Refusal) as caught:
            await fetch.fetch_json(f"https://{HOST}:{port}/", ASKER)
        assert caught.value.code == "unfetchable"


@pytest.mark.parametrize(
    "url",
    [
        "http://{}/",
        "https://u:p@{}/",
        "https://{}/#x",
        "file:///etc/passwd",
        "https://",
        "gopher://{}/",
        "https://[::1/",
    ],
)
async def test_addresses_that_are_not_called(tmp_path: Path, url: str) -> None:
    async with site(tmp_path, lambda: response(b"{}")) as (fetch, port, asked):
        with pytest.raises(Refusal):
            await fetch.fetch_json(url.format(f"{HOST}:{port}"), ASKER)
        assert asked == []


async def test_one_private_address_among_public_ones_is_enough(tmp_path: Path) -> None:
    async def resolves(host: str, port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(Refusal):
        await PublicFetch(resolves).fetch_json("https://rebinding.example/", ASKER)
    for host in ("127.0.0.1", "localhost", "[::1]", "0x7f.1", "169.254.169.254"):
        with pytest.raises(Refusal):
            await PublicFetch().fetch_json(f"https://{host}/", ASKER)


async def test_the_certificate_is_the_names(tmp_path: Path) -> None:
    async with site(tmp_path, lambda: response(b"{}")) as (fetch, port, asked):
        with pytest.raises(Refusal):
            await fetch.fetch_json(f"https://other.example:{port}/", ASKER)
        assert asked == []


@pytest.mark.parametrize(
    ("more", "passes"),
    [
        ({}, True),
        ({"token_endpoint_auth_method": "none"}, True),
        ({"client_secret": "x"}, False),
        ({"client_secret_expires_at": 0}, False),
        ({"token_endpoint_auth_method": "client_secret_post"}, False),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, False),
        ({"redirect_uris": []}, False),
        ({"redirect_uris": ["javascript:alert(1)"]}, False),
    ],
)
async def test_a_document_holds_no_secret(tmp_path: Path, more: dict[str, Any], passes: bool) -> None:
    """A secret in a document is everybody's: clients that are known by one have a key of their own, or none."""
    document: dict[str, Any] = {"redirect_uris": ["https://client.example/back"], **more}
    async with site(tmp_path, lambda: response(json.dumps(document).encode())) as (fetch, port, _):
        document["client_id"] = f"https://{HOST}:{port}/client.json"
        reading = fetch_client(fetch, document["client_id"], datetime.now(UTC), ASKER)
        if passes:
            assert (await reading).id == document["client_id"]
            return
        with pytest.raises(Refusal) as caught:
            await reading
        assert caught.value.code in ("invalid_client", "invalid_client_metadata", "invalid_redirect_uri")


async def test_a_client_is_what_its_document_says_and_no_other(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    (tmp_path / "a").mkdir()
    document = {"client_id": "", "client_name": "Tool\x1b[2J", "redirect_uris": ["https://client.example/back"]}
    async with site(tmp_path / "a", lambda: response(json.dumps(document).encode())) as (fetch, port, _):
        with pytest.raises(Refusal) as caught:
            await fetch_client(fetch, f"https://{HOST}:{port}/client.json", now, ASKER)
        assert caught.value.code == "invalid_client"
        for path in ("", "/", "/x/../client.json"):
            with pytest.raises(Refusal):
                await fetch_client(fetch, f"https://{HOST}:{port}{path}", now, ASKER)


async def test_nobody_makes_us_call_without_end_nor_keeps_others_from_it() -> None:
    calls: list[str] = []
    go_on = asyncio.Event()

    async def resolves(host: str, port: int) -> list[str]:
        calls.append(host)
        await go_on.wait()
        return []

    fetch = PublicFetch(resolves)

    async def ask(host: str, asker: str) -> str:
        with pytest.raises(Refusal) as caught:
            await fetch.fetch_json(f"https://{host}/client", asker)
        return caught.value.sentence

    async def flood(asks: list[tuple[str, str]]) -> tuple[int, list[asyncio.Task[str]]]:
        """How many were let through to be resolved."""
        before = len(calls)
        tasks = [asyncio.create_task(ask(*one)) for one in asks]
        await asyncio.sleep(0)
        return len(calls) - before, tasks

    # One asker, many hosts; then many askers and the host of the first, however it is written; then everybody.
    one, first = await flood([(f"h{number}.example", ASKER) for number in range(50)])
    assert one == AT_ONCE_FOR_ASKER
    same, second = await flood([(("H0.example.", "h0.EXAMPLE")[number % 2], f"a{number}") for number in range(50)])
    assert same == AT_ONCE_TO_HOST - 1
    everybody, third = await flood([(f"x{number}.example", f"b{number}") for number in range(200)])
    assert everybody == AT_ONCE - one - same
    go_on.set()
    said = await asyncio.gather(*first, *second, *third)
    assert sum("Too many" in sentence for sentence in said) == 300 - AT_ONCE
    # Whoever asks when they are done is asked for again.
    again, fourth = await flood([(f"h{number}.example", ASKER) for number in range(AT_ONCE_FOR_ASKER)])
    await asyncio.gather(*fourth)
    assert again == AT_ONCE_FOR_ASKER


async def test_a_name_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.identity.public_fetch.TIMEOUT_S", 0.05)

    async def resolves(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(Refusal, match="did not answer"):
        await PublicFetch(resolves).fetch_json("https://silent.example/client", ASKER)
