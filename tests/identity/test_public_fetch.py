"""Fetching what a stranger named: only what the whole world can reach, and no more of it than is wanted."""

import ipaddress
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from interlock.domain.addresses import is_public
from interlock.errors import Refusal
from interlock.identity.oauth_clients import fetch_client
from interlock.identity.public_fetch import LIMIT_BYTES, PublicFetch
from tests.support.site import HOST, response, site


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
        assert await fetch.fetch_json(f"https://{HOST}:{port}/x?y=1") == {"a": 1}
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
            await fetch.fetch_json(f"https://{HOST}:{port}/")
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
            await fetch.fetch_json(url.format(f"{HOST}:{port}"))
        assert asked == []


async def test_one_private_address_among_public_ones_is_enough(tmp_path: Path) -> None:
    async def resolves(host: str, port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(Refusal):
        await PublicFetch(resolves).fetch_json("https://rebinding.example/")
    for host in ("127.0.0.1", "localhost", "[::1]", "0x7f.1", "169.254.169.254"):
        with pytest.raises(Refusal):
            await PublicFetch().fetch_json(f"https://{host}/")


async def test_the_certificate_is_the_names(tmp_path: Path) -> None:
    async with site(tmp_path, lambda: response(b"{}")) as (fetch, port, asked):
        with pytest.raises(Refusal):
            await fetch.fetch_json(f"https://other.example:{port}/")
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
        reading = fetch_client(fetch, document["client_id"], datetime.now(UTC))
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
            await fetch_client(fetch, f"https://{HOST}:{port}/client.json", now)
        assert caught.value.code == "invalid_client"
        for path in ("", "/", "/x/../client.json"):
            with pytest.raises(Refusal):
                await fetch_client(fetch, f"https://{HOST}:{port}{path}", now)
