"""The people, contracts and grants that a person may see (``reading_rights``), and the ledger for administrators."""

from collections.abc import Sequence

from interlock.domain.grants import Grant
from interlock.domain.people import Contract, Extension, Person
from interlock.ports.state import LedgerEntry
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.endings import MANY
from interlock.services.reading_rights import (
    check_may_read_ledger,
    may_read_contract,
    may_read_grant,
    may_read_person,
)


async def list_people(desk: Desk, *, person: str) -> Sequence[Person]:
    """Sorted by name; those who have left are among them."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        contracts = await reading.contracts()
        return [other for other in await reading.people() if may_read_person(reader, other, contracts)]


async def list_contracts(desk: Desk, *, person: str) -> Sequence[Contract]:
    """Sorted by name; those that have ended are among them."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        return [contract for contract in await reading.contracts() if may_read_contract(reader, contract)]


async def list_extensions(desk: Desk, *, person: str) -> Sequence[Extension]:
    """Those that wait for an answer, of the contracts that the person may see; for employees."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        if not reader.is_employee:
            return []
        found = [await reading.extension(contract.name) for contract in await reading.contracts()]
        now = desk.clock.now()
        return [extension for extension in found if extension is not None and extension.open(now)]


async def list_grants(desk: Desk, *, person: str) -> Sequence[Grant]:
    """The active ones, the newest first."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        contracts = await reading.contracts()
        active = await reading.grants(active_at=desk.clock.now(), limit=MANY)
        return [grant for grant in active if may_read_grant(reader, grant, contracts)]


async def read_ledger(desk: Desk, *, person: str, after: int = 0, limit: int = 1000) -> Sequence[LedgerEntry]:
    """Entries in their order, from the first after ``after``. Raises Refusal (``not-yours``)."""
    async with desk.state.reading() as reading:
        check_may_read_ledger(await acting_person(reading, person))
        return await reading.ledger(after=after, limit=limit)


async def ledger_size(desk: Desk, *, person: str) -> int:
    """The last entry's position, 0 when there is none. Raises Refusal (``not-yours``)."""
    async with desk.state.reading() as reading:
        check_may_read_ledger(await acting_person(reading, person))
        return await reading.ledger_head()


async def check_ledger_reader(desk: Desk, *, person: str) -> None:
    """Raises Refusal (``not-yours``) unless ``person`` may read the ledger."""
    async with desk.state.reading() as reading:
        check_may_read_ledger(await acting_person(reading, person))


async def search_ledger(
    desk: Desk,
    *,
    person: str,
    text: str = "",
    limit: int = 200,
    before: int | None = None,
    kind: str = "",
    actor: str = "",
) -> Sequence[LedgerEntry]:
    """The newest entries that hold ``text``, in their order; only those before the position ``before``, of that kind,
    by that actor. Raises Refusal (``not-yours``)."""
    async with desk.state.reading() as reading:
        check_may_read_ledger(await acting_person(reading, person))
        return await reading.ledger_search(text, limit=limit, before=before, kind=kind, actor=actor)
