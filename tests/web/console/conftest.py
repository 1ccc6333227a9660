from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.support.chromium import Browser, chromium, key_of
from tests.web.console.premises import Premises, open_premises


@pytest.fixture
async def premises(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[Premises]:
    async with open_premises(state, state_database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def browser(premises: Premises) -> AsyncIterator[Browser]:
    async with chromium(key_of(premises.house.recordings.parent / "keys" / "server.pem")) as opened:
        yield opened
