"""The ledger, and what changed since a position."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ARRAY, Text, and_, cast, func, select

from interlock.ledger.canonical import canonical
from interlock.ports.state import Entity, Following, LedgerEntry, Mark
from interlock.store import tables
from interlock.store.chronicle import Page
from interlock.store.reads import AnyRow, Reads
from interlock.store.rows import form_of_table, keepable


class LogReads(Reads):
    """The ledger, and what changed since a position."""

    async def ledger(self, *, after: int = 0, limit: int = 1000) -> Sequence[LedgerEntry]:
        table = tables.ledger
        query = select(table).where(table.c.position > after).order_by(table.c.position).limit(limit)
        return [_entry(row) for row in await self._rows(query)]

    async def ledger_search(
        self, text: str = "", *, limit: int = 200, before: int | None = None, kind: str = "", actor: str = ""
    ) -> Sequence[LedgerEntry]:
        """The newest ``limit`` entries, in their order, whose body has ``text`` in it (letter case aside).

        ``before``: only those before that position; ``kind``, ``actor``: only of that kind, by that one.
        """
        table = tables.ledger
        if not (keepable(text.replace("\0", "")) and keepable(kind) and keepable(actor)):
            return []
        query = select(table).order_by(table.c.position.desc()).limit(limit)
        if text:
            # as it stands in the body: within quotes, escaped as JSON escapes
            written = canonical(text).decode()[1:-1]
            query = query.where(func.convert_from(table.c.body, "UTF8").icontains(written, autoescape=True))
        if before is not None:
            query = query.where(table.c.position < before)
        for column, wanted in ((table.c.kind, kind), (table.c.actor, actor)):
            if wanted:
                query = query.where(column == wanted)
        return [_entry(row) for row in reversed(await self._rows(query))]

    async def ledger_head(self) -> int:
        """The last entry's position, 0 when there is none."""
        rows = await self._rows(select(func.max(tables.ledger.c.position)))
        return rows[0][0] or 0

    async def changed(self, after: int, *, limit: int) -> Page:
        """What changed after a position, as it now is, and the position up to which that is all.

        ``limit`` bounds how many keys are looked at; a unit of work is never divided.
        """
        table = tables.changes
        rows = select(table.c.entity, table.c.key, table.c.position).where(table.c.position > after)
        touched = await self._rows(rows.order_by(table.c.position).limit(limit))
        full = len(touched) == limit
        if full:
            upto = touched[-1].position
            touched = await self._rows(rows.where(table.c.position <= upto))
        else:
            upto = max(await self.ledger_head(), after)
        last: dict[str, dict[tuple[str, ...], int]] = {}
        for name, key, position in touched:
            place = last.setdefault(name, {})
            place[tuple(key)] = max(position, place.get(tuple(key), 0))
        entities: list[tuple[int, Entity]] = []
        for name in sorted(last):
            form = form_of_table(name)
            found = await self._by_keys(name, tuple(last[name]))
            entities += [(last[name][form.key_of(entity)], entity) for entity in found]
        return Page(upto, entities, full)

    async def _by_keys(self, name: str, keys: Sequence[tuple[str, ...]]) -> Sequence[Entity]:
        """One statement for any number of keys: an array for each column of the key."""
        form = form_of_table(name)
        values = [form.key_values(key) for key in keys]
        columns = [form.table.c[column] for column in form.key]
        arrays = (cast([value[column.name] for value in values], ARRAY(column.type)) for column in columns)
        wanted = func.unnest(*arrays).table_valued(*form.key).render_derived()
        query = select(form.table).join(wanted, and_(*(column == wanted.c[column.name] for column in columns)))
        return [form.read(row._mapping) for row in await self._rows(query)]

    async def followings(self) -> Sequence[Following]:
        table = tables.followings
        left = table.c.until - func.clock_timestamp()
        query = select(table.c.gateway, table.c.worker, table.c.applied, left.label("left"))
        query = query.where(table.c.until > func.clock_timestamp()).order_by(table.c.gateway, table.c.worker)
        return [Following(row.gateway, row.worker, row.applied, row.left) for row in await self._rows(query)]

    async def last_changes(self, kinds: Sequence[str]) -> Mapping[str, Mark]:
        """One look for all of them: an index gives each."""
        changes, ledger = tables.changes, tables.ledger
        kind = func.unnest(cast(list(kinds), ARRAY(Text))).table_valued("name").render_derived()
        last = select(changes.c.position).where(changes.c.entity == kind.c.name)
        place = last.order_by(changes.c.position.desc()).limit(1).scalar_subquery()
        query = select(kind.c.name, ledger.c.position, ledger.c.link).select_from(kind)
        query = query.join(ledger, ledger.c.position == place)
        found: dict[str, Mark] = dict.fromkeys(kinds)
        for row in await self._rows(query):
            found[row[0]] = (row[1], bytes(row[2]))
        return found


def _entry(row: AnyRow) -> LedgerEntry:
    return LedgerEntry(
        position=row.position,
        at=row.at,
        actor=row.actor,
        kind=row.kind,
        body=bytes(row.body),
        link=bytes(row.link).hex(),
    )
