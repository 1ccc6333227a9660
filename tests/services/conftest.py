import pytest

from interlock.store.state import PostgresState
from tests.services.world import World


@pytest.fixture
async def world(state: PostgresState) -> World:
    """The company, its configuration applied, at noon."""
    world = World(state)
    await world.apply()
    return world
