from interlock.domain.events import PersonAdded
from interlock.domain.people import Person
from interlock.store.state import PostgresState


async def test_smoke(state: PostgresState) -> None:
    async with state.changing("system") as unit:
        await unit.lock(Person, "a")
        await unit.save(Person("a", groups=frozenset({"x", "y"})))
        unit.record(PersonAdded(person="a", vendor=None, groups=("x", "y")))
    async with state.reading() as reading:
        assert await reading.person("a") == Person("a", groups=frozenset({"x", "y"}))
        assert await reading.ledger_head() == 1
    async for position, entities in state.changes(0):
        assert (position, [*entities]) == (1, [Person("a", groups=frozenset({"x", "y"}))])
        break
