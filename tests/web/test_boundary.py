import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from interlock.errors import Refusal
from interlock.forges import git, gitea, github, gitlab, webhook
from interlock.ports.forge import ForgeSettings, OpenForge
from interlock.services.delivery import Delivery
from interlock.web.boundary import ADMISSION_BODY_LIMIT, BODY_LIMIT, host_name
from interlock.web.large_bodies import MOST_AT_ONCE, MOST_OF_ONE_NETWORK, LargeBodies
from interlock.web.streams import line_of
from tests.services.world import DEV
from tests.web.house import PASSWORD, Attacker, House, error_of


async def test_what_answers_without_a_token(house: House, attacker: Attacker) -> None:
    health = await attacker.send("GET", "/v1/health")
    assert (health.status_code, health.json()) == (200, {"well": True})
    authority = await attacker.send("GET", "/v1/authority")
    assert authority.text == house.authority.pem


async def test_headers_of_every_answer(house: House, attacker: Attacker) -> None:
    for path in ("/v1/health", "/v1/whoami", "/nowhere", "/v1/authority"):
        headers = (await attacker.send("GET", path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert house.services.proofs.nonces.takes(headers["dpop-nonce"])
        assert "set-cookie" not in headers
        assert "access-control-allow-origin" not in headers


async def test_a_page_of_another_origin_gets_no_leave(house: House, attacker: Attacker) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    response = await attacker.send("OPTIONS", "/v1/whoami", headers=asked)
    assert response.status_code == 405
    assert "access-control-allow-origin" not in response.headers


async def test_calls_that_are_none(house: House, attacker: Attacker) -> None:
    for method, path, status, code in (
        ("GET", "/v1", 404, "not-found"),
        ("GET", "/v1/whoami/", 404, "not-found"),
        ("GET", "/docs", 404, "not-found"),
        ("GET", "/openapi.json", 404, "not-found"),
        ("DELETE", "/v1/whoami", 405, "bad-method"),
        ("GET", "/v1/sign-in", 405, "bad-method"),
    ):
        response = await attacker.send(method, path)
        assert (response.status_code, error_of(response)) == (status, code), path


async def test_names_that_are_not_ours(house: House, attacker: Attacker) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example:8443", "evil@127.0.0.1", "", "[::2]:8443"):
        response = await attacker.send("GET", "/v1/health", headers={"Host": host})
        assert (response.status_code, error_of(response)) == (421, "wrong-host"), host
    for host in ("LOCALHOST:1", "[::1]:8443"):
        assert (await attacker.send("GET", "/v1/health", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"\xff\xfe", 422),
        (b"[" * 50_000, 422),
        (b'{"person": "x", "password": "y", "csr": "z", "admin": true}', 422),
        (b'{"person": "x", "csr": "z"}', 422),
        (b'{"person": 5, "password": "y", "csr": "z"}', 422),
        (b'{"person": "a\\u0000b", "password": "y", "csr": "z"}', 422),
        (b'{"person": "\\ud800", "password": "y", "csr": "z"}', 422),
        (b'{"person": "", "password": "y", "csr": "z"}', 422),
        (b'{"person": "x", "password": "y", "csr": "z", "totp": 123456}', 422),
        (b'{"person": "' + b"x" * 255 + b'", "password": "y", "csr": "z"}', 422),
        (b" " * (BODY_LIMIT + 1), 413),
    ],
)
async def test_forms_that_do_not_fit(house: House, attacker: Attacker, body: bytes, status: int) -> None:
    response = await attacker.send(
        "POST",
        "/v1/sign-in",
        proof=attacker.proof("POST", "/v1/sign-in"),
        content=body,
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == status, response.text
    assert error_of(response) == {413: "too-large", 422: "bad-input"}[status]


async def test_secrets_are_not_said_back(house: House, attacker: Attacker) -> None:
    body = {"person": DEV, "password": PASSWORD, "csr": 5, PASSWORD: 1}
    proof = attacker.proof("POST", "/v1/sign-in")
    response = await attacker.send("POST", "/v1/sign-in", proof=proof, json={**body, "totp": 987654})
    assert response.status_code == 422
    assert "987654" not in response.text


async def test_a_long_body_without_a_length(house: House, attacker: Attacker) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    response = await attacker.send(
        "POST", "/v1/sign-in", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert (response.status_code, error_of(response)) == (413, "too-large")


@pytest.mark.parametrize("path", ["/v1/requests/a%00b", "/v1/requests/" + "x" * 300, "/v1/ledger/x", "/v1/ledger/0"])
async def test_paths_that_do_not_fit(house: House, path: str) -> None:
    client = await house.signed_in(DEV)
    with pytest.raises(Refusal) as met:
        await client.get(path)
    assert met.value.code == "bad-input"


async def test_a_fault_of_ours_says_nothing_of_itself(
    house: House, attacker: Attacker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Mapping[str, str]:
        raise ValueError("a secret detail")

    monkeypatch.setattr(house.services.front.authority.__class__, "pem", property(lambda _: broken()))
    response = await attacker.send("GET", "/v1/authority")
    assert (response.status_code, error_of(response)) == (500, "fault")
    assert "secret detail" not in response.text
    assert "secret detail" in caplog.text
    assert (await attacker.send("GET", "/v1/health")).status_code == 200


async def test_bytes_that_are_no_http(house: House, attacker: Attacker) -> None:
    context = ssl.create_default_context(cadata=house.authority.pem)
    port = int(house.server.rpartition(":")[2])
    for junk in (b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n", b"GET " + b"x" * 100_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(junk)
        answer = await reader.read(65536)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
        writer.close()
    assert (await attacker.send("GET", "/v1/health")).status_code == 200


def test_the_name_in_a_host_header() -> None:
    for host, name in (("A.b:1", "a.b"), ("a", "a"), ("[::1]:5", "::1"), ("[::1]", "::1"), ("", ""), ("[", "")):
        assert host_name(host) == name


def test_a_line_is_one_line_whatever_it_says() -> None:
    line = line_of({"text": "a\nb\u2028c\ud800"})
    assert line.count(b"\n") == 1
    assert json.loads(line.decode(errors="strict"))


async def test_a_few_large_bodies_of_strangers_at_once(house: House, attacker: Attacker) -> None:
    """Nobody knows who sends them before they are whole: two of one network are under way, and others wait."""
    path = "/v1/admission/shop/production"
    context = ssl.create_default_context(cadata=house.authority.pem)
    port = int(house.server.rpartition(":")[2])

    async def begin(size: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {size}\r\n\r\n".encode())
        writer.write(b" " * (size - 1))
        await writer.drain()
        return reader, writer

    async def finish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"{")
        answer = await reader.readuntil(b"\r\n")
        writer.close()
        return answer

    first = [await begin(BODY_LIMIT * 2) for _ in range(MOST_OF_ONE_NETWORK)]
    large = house.api.state.large_bodies
    await large.until(lambda taken: sum(taken.values()) == MOST_OF_ONE_NETWORK)
    later = await begin(BODY_LIMIT * 2)
    later[1].write(b"{")
    # Small ones need no place, and what is too long needs none to be refused.
    assert (await attacker.send("POST", path, content=b"{")).status_code == 422
    assert (await attacker.send("POST", path, content=b" " * (ADMISSION_BODY_LIMIT + 1))).status_code == 413
    waiting = asyncio.ensure_future(later[0].readuntil(b"\r\n"))
    assert (await finish(*first[0]))[9:12] == b"422"
    assert (await waiting)[9:12] == b"422"
    # Who leaves in the middle gives the place back.
    first[1][1].transport.abort()
    await large.until(lambda taken: not taken)
    later[1].close()


async def test_places_are_bounded_over_all_and_given_back() -> None:
    large = LargeBodies()
    networks = ["a", "a", "b", "b"]
    assert len(networks) == MOST_AT_ONCE
    for network in networks:
        assert await large.enter(network, 0.01)
    assert not await large.enter("c", 0.01)
    await large.leave("a")
    assert not await large.enter("b", 0.01)
    assert await large.enter("c", 0.01)
    for network in ("a", "b", "b", "c"):
        await large.leave(network)
    assert not large.taken


async def test_what_brings_no_signature_is_refused_before_its_body(house: House) -> None:
    """The headers alone are sent: an answer means that nothing more was waited for."""
    forges: dict[str, OpenForge] = {}
    unused: Any = None
    object.__setattr__(house.services, "repositories", Delivery(house.world.desk, unused, unused, forges))
    context = ssl.create_default_context(cadata=house.authority.pem)
    port = int(house.server.rpartition(":")[2])
    settings = ForgeSettings(name="hub", url="https://hub.example", token="t", webhook="w" * 32)
    signed = f"sha256={'0' * 64}"
    for opener, good in (
        (github.FORGE, {"X-Hub-Signature-256": signed}),
        (gitea.FORGE, {"X-Gitea-Signature": "0" * 64}),
        (gitlab.FORGE, {"X-Gitlab-Token": "w" * 32}),
        (gitlab.FORGE, {"X-Gitlab-Signature": signed}),
        (git.FORGE, {"X-Interlock-Signature": signed}),
        (webhook.FORGE, {"Webhook-Id": "1", "Webhook-Timestamp": "1", "Webhook-Signature": "v1,x"}),
    ):
        forges["hub"] = opener.open(settings)
        for headers, refused in (({}, True), (dict.fromkeys(good, "x"), True), (good, False)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            lines = [f"Host: 127.0.0.1:{port}", "Content-Length: 100000", *(f"{k}: {v}" for k, v in headers.items())]
            writer.write("\r\n".join(["POST /v1/forges/hub/hooks HTTP/1.1", *lines, "", ""]).encode())
            if not refused:
                writer.write(b"x" * 100000)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 403"), (opener.name, headers)
            writer.close()
        await forges.pop("hub").close()
