from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from interlock.store.state import PostgresState
from tests.delivery.shop import Shop
from tests.services.world import World
from tests.support.forges import ForgeDouble, serving


@pytest.fixture
def forge() -> Iterator[ForgeDouble]:
    with serving(ForgeDouble()) as double:
        yield double


@pytest.fixture
async def world(state: PostgresState) -> World:
    return World(state)


@pytest.fixture
async def shop(world: World, tmp_path: Path, forge: ForgeDouble) -> AsyncIterator[Shop]:
    opened = await Shop.open(world, tmp_path, forge)
    yield opened
    await opened.close()
