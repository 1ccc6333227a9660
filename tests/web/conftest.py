from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.web.house import Attacker, House, open_house, trust
from tests.web.oauth_client import Client


@pytest.fixture
async def house(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(state, state_database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def attacker(house: House) -> AsyncIterator[Attacker]:
    async with httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as http:
        yield Attacker(house, http)


@pytest.fixture
async def http(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as opened:
        yield opened


@pytest.fixture
async def tool(house: House, http: httpx2.AsyncClient) -> Client:
    """A client that registered itself."""
    return await Client(house, http).register()
