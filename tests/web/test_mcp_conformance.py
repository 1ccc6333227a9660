"""The mode for authorization servers of npm's MCP conformance suite, against ours.

Its client knows no DPoP, and a bearer token is what we never give. So it runs twice: as it is, which has to end with a
refusal at the token endpoint and nowhere before; and with a proof added to that one call, which has to pass in full.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2

from tests.services.world import DEV
from tests.support import peers
from tests.support.ports import free_port
from tests.web.house import House, trust
from tests.web.oauth_client import Client, fields_in, say

METADATA = {"authorization-server-metadata": "SUCCESS", "authorization-server-metadata-cimd": "SUCCESS"}


async def _run(house: House, folder: Path, environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The suite's checks by their ids, with a person who says yes when it asks for a code."""
    authority = folder / "authority.pem"
    authority.write_text(house.authority.pem)
    person = await house.signed_in(DEV)
    port = free_port()
    async with httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as browser:
        client = await Client(house, browser).register(redirect_uris=[f"http://127.0.0.1:{port}/callback"])
        words = ("authorization", "--url", house.services.oauth.issuer, "--client-id", client.id, "--port", str(port))
        environment = {"NODE_EXTRA_CA_CERTS": str(authority), **environment}
        with peers.running("conformance.mjs", *words, "-o", str(folder), environment=environment) as node:
            assert node.stdout is not None
            while line := await asyncio.to_thread(node.stdout.readline):
                if "/oauth/authorize?" in line:
                    went = await browser.get(line.strip())
                    back = await say(person, fields_in(went.headers["location"])["request"], allow=True)
                elif line.startswith("Callback server started"):
                    assert (await browser.get(back)).status_code == 200
            await asyncio.to_thread(node.wait, 30)
    return await asyncio.to_thread(_checks_in, folder)


def _checks_in(folder: Path) -> dict[str, dict[str, Any]]:
    checks = [check for file in folder.rglob("checks.json") for check in json.loads(file.read_text())]
    return {check["id"]: check for check in checks}


async def test_all_passes_once_the_token_call_carries_a_proof(house: House, tmp_path: Path) -> None:
    checks = await _run(house, tmp_path, {"DPOP": "1"})
    assert {name: check["status"] for name, check in checks.items()} == {
        **METADATA,
        "authorization-code-grant": "SUCCESS",
    }
    assert checks["authorization-code-grant"]["details"]["body"]["token_type"].lower() == "dpop"


async def test_as_it_is_it_gets_no_token(house: House, tmp_path: Path) -> None:
    checks = await _run(house, tmp_path, {})
    grant = checks.pop("authorization-code-grant")
    assert {name: check["status"] for name, check in checks.items()} == METADATA
    assert (grant["status"], grant["errorMessage"]) == ("FAILURE", "Invalid status code: 400")
