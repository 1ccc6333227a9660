from collections.abc import AsyncIterator

import pytest

from interlock.store.home import StateAddress
from interlock.store.outbox import PostgresOutbox
from interlock.store.state import PostgresState
from tests.notify.posts import house_of
from tests.services.world import World


@pytest.fixture
async def house(state: PostgresState) -> World:
    world = World(state)
    await world.apply(house_of())
    return world


@pytest.fixture
async def outbox(state_database: StateAddress) -> AsyncIterator[PostgresOutbox]:
    opened = PostgresOutbox(state_database.url)
    yield opened
    await opened.close()
