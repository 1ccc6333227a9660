"""What every read of the state shares: one connection, one snapshot, failures in words."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ARRAY, ColumnElement, Row, Select, Table, Text, any_, cast, false, select
from sqlalchemy.ext.asyncio import AsyncConnection

from interlock.errors import Misuse
from interlock.ports.state import Entity
from interlock.store import tables
from interlock.store.failures import as_failures
from interlock.store.known_people import KnownPeople
from interlock.store.rows import form_of, keepable

E = TypeVar("E", bound=Entity)
AnyRow = Row[*tuple[Any, ...]]


class Reads:
    """Reads on one connection, for as long as its block lasts.

    With ``known`` the people are read again only when one of them has changed. It needs one snapshot for all reads.
    """

    def __init__(self, connection: AsyncConnection, known: KnownPeople | None = None) -> None:
        self._connection = connection
        self._known = known
        self._over = False

    def end(self) -> None:
        """Nothing can be asked from here on."""
        self._over = True

    async def _last_change(self, table: Table) -> tuple[int, bytes] | None:
        """Where the last change of a row of ``table`` stands in the ledger, and the link there; None before any."""
        changes, ledger = tables.changes, tables.ledger
        last = select(changes.c.position).where(changes.c.entity == table.name)
        last = last.order_by(changes.c.position.desc()).limit(1)
        entry = select(ledger.c.position, ledger.c.link).where(ledger.c.position == last.scalar_subquery())
        found = await self._rows(entry)
        return (found[0].position, bytes(found[0].link)) if found else None

    async def _one(self, entity: type[E], **key: str) -> E | None:
        if not all(keepable(value) for value in key.values()):
            return None
        form = form_of(entity)
        found = await self._all(entity, select(form.table).where(*equals(form.table, key)))
        return found[0] if found else None

    async def _named(self, entity: type[E], column: str, names: Collection[str]) -> dict[str, E]:
        """The entities whose text column ``column`` is one of ``names``, by it."""
        table = form_of(entity).table
        found = await self._all(entity, select(table).where(any_of(table.c[column], names)))
        return {getattr(one, column): one for one in found}

    async def _all(self, entity: type[E], query: Select[*tuple[Any, ...]]) -> Sequence[E]:
        form = form_of(entity)
        return [form.read(row._mapping) for row in await self._rows(query)]

    async def _rows(self, query: Select[*tuple[Any, ...]]) -> Sequence[AnyRow]:
        if self._over:
            raise Misuse("the state was read after its block ended")
        with as_failures():
            return (await self._connection.execute(query)).all()


def is_person(table: Table, person: str) -> ColumnElement[bool]:
    return table.c.person == person if keepable(person) else false()


def any_of(column: ColumnElement[str], texts: Collection[str]) -> ColumnElement[bool]:
    """Whether ``column`` is one of ``texts``, as one array: the same statement for any number of them."""
    return column == any_(cast([text for text in texts if keepable(text)], ARRAY(Text)))


def equals(table: Table, key: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in key.items()]
