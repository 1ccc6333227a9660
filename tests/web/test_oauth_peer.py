"""The authorization server, used by a client that other people wrote: npm's oauth4webapi."""

import asyncio
import json
from pathlib import Path

import httpx2
import pytest

from tests.services.world import DEV
from tests.support import peers
from tests.web.house import House, trust
from tests.web.oauth_client import fields_in, say


@pytest.mark.parametrize("algorithm", ["ES256", "Ed25519"])
async def test_oauth4webapi_gets_uses_and_gives_back_tokens(house: House, tmp_path: Path, algorithm: str) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_text(house.authority.pem)
    person = await house.signed_in(DEV)
    environment = {"NODE_EXTRA_CA_CERTS": str(authority)}
    with peers.running("oauth.mjs", house.services.oauth.issuer, algorithm, environment=environment) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        said = {}
        async with httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as browser:
            while line := await asyncio.to_thread(node.stdout.readline):
                said = json.loads(line)
                answer = ""
                if "authorize" in said:
                    went = await browser.get(said["authorize"])
                    answer = await say(person, fields_in(went.headers["location"])["request"], allow=True)
                elif "code" in said:
                    await say(person, said["code"], allow=True)
                else:
                    break
                node.stdin.write(answer + "\n")
                node.stdin.flush()
        if "person" not in said:
            raise AssertionError(await asyncio.to_thread(node.communicate))
    assert said == {
        "person": DEV,
        "still": DEV,
        "there": DEV,
        "over": "WWWAuthenticateChallengeError",
        "type": "dpop",
    }
