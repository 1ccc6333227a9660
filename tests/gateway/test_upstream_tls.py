"""TLS towards the resource: who it is, is checked as the resource's settings say."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interlock.identity.authority import Authority
from tests.gateway.world import Gate, gateway, policy, until
from tests.support.toy_store import ToyStore


@asynccontextmanager
async def _behind_tls(gate: Gate, mode: str, authority: Path) -> AsyncIterator[None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(gate.folder / "keys" / "server.pem", gate.folder / "keys" / "server.key")
    async with ToyStore(context) as store:
        changed = policy(store.port, version=2, tls=f"{{mode: {mode}, ca: {authority}}}")
        gate.desk.change_policy(replace(changed, digest=mode))
        gate.lend("reader")
        yield


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require"])
async def test_a_resource_that_proves_itself_is_spoken_to(tmp_path: Path, mode: str) -> None:
    async with gateway(tmp_path) as gate, _behind_tls(gate, mode, tmp_path / "keys" / "authority.pem"):
        client = await gate.enter()
        assert await client.ask("get a") == "+(nothing)"
        client.close()
        await until(lambda: gate.desk.ends)


async def test_a_resource_that_does_not_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    async with gateway(tmp_path) as gate, _behind_tls(gate, "verify-full", tmp_path / "empty.pem"):
        said = await gate.knock()
        assert said.startswith("*The authorities for the upstream's TLS")
        assert not gate.desk.starts


async def test_a_resource_of_another_authority_is_a_sentence(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate, _behind_tls(gate, "verify-full", _other_authority(tmp_path)):
        said = await gate.knock()
        assert said.startswith("*The store cannot be reached: The certificate is not accepted")
        assert not gate.desk.starts


def _other_authority(folder: Path) -> Path:
    Authority.open(folder / "other", datetime.now(UTC))
    return folder / "other" / "authority.pem"
