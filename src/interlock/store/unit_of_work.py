"""The one unit of work: the only code that writes the state.

A block of :meth:`interlock.store.state.PostgresState.changing` is one transaction. What is saved is written before the
next read, so that reads see it, and at the end; the recorded events then take their places in the ledger and everything
commits, or nothing does. The database holds to the same rule by itself (see ``docs/decisions/one-unit-of-work.md``).

Isolation is READ COMMITTED on purpose: a read that follows ``lock`` must see what the last holder of the lock
committed, and a snapshot taken before the wait would not.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Insert,
    Integer,
    LargeBinary,
    Select,
    Text,
    bindparam,
    cast,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from interlock.domain.event import Event
from interlock.domain.events import EVENTS
from interlock.errors import Misuse, Refusal
from interlock.ledger.canonical import NotCanonical
from interlock.ledger.entries import Stamp, Written
from interlock.ledger.links import GENESIS, link
from interlock.ports.clock import Clock
from interlock.ports.state import Entity
from interlock.store import tables
from interlock.store.failures import Unreachable, as_failures
from interlock.store.locks import LEDGER_LOCK
from interlock.store.reading import PostgresReading
from interlock.store.reads import AnyRow
from interlock.store.rows import Form, form_of

"""The advisory lock under which entries get their places; the ledger's own trigger takes the same."""


def _insert_entries() -> Insert:
    """All entries of a unit in one statement: the lock is held for one trip, however many there are."""
    table = tables.ledger
    listed = {"positions": BigInteger, "kinds": Text, "bodies": LargeBinary, "links": LargeBinary}
    each = {name: func.unnest(bindparam(name, type_=ARRAY(kind))) for name, kind in listed.items()}
    rows = select(
        each["positions"],
        bindparam("at", type_=table.c.at.type),
        bindparam("actor", type_=Text),
        each["kinds"],
        each["bodies"],
        each["links"],
    )
    return insert(table).from_select(["position", "at", "actor", "kind", "body", "link"], rows)


_INSERT_ENTRIES = _insert_entries()
_NUMBERS = func.unnest(bindparam("numbers", type_=ARRAY(BigInteger))).column_valued("number")
_LOCK_EACH = select(func.pg_advisory_xact_lock(_NUMBERS))


class PostgresUnitOfWork(PostgresReading):
    """Implements :class:`interlock.ports.state.UnitOfWork`."""

    def __init__(self, connection: AsyncConnection, actor: str, clock: Clock) -> None:
        super().__init__(connection)
        self._actor = actor
        self._clock = clock
        self._events: list[Event] = []
        self._touched: set[tuple[str, tuple[str, ...]]] = set()
        # What is saved and not written yet, by the type of entity: many of one type go out together.
        self._unwritten: dict[type, dict[tuple[str, ...], dict[str, Any]]] = {}

    async def lock(self, entity_type: type, key: str) -> None:
        self._check_open()
        await self._execute(select(func.pg_advisory_xact_lock(cast(_lock_number(entity_type, key), BigInteger))))

    async def lock_each(self, entity_type: type, keys: Sequence[str]) -> None:
        self._check_open()
        if keys:
            # The rows of a function come in their order, and each is locked before the next one is looked at.
            await self._execute(_LOCK_EACH, [{"numbers": [_lock_number(entity_type, key) for key in keys]}])

    async def save(self, entity: Entity) -> None:
        self._check_open()
        form = form_of(type(entity))
        row = form.row(entity)
        key = form.key_of(entity)
        self._touched.add((form.table.name, key))
        self._unwritten.setdefault(type(entity), {})[key] = row

    async def forget_connections(self, most: int) -> tuple[int, int]:
        self._check_open()
        (row,) = await self._rows(
            select(text("passes"), text("passwords")).select_from(func.interlock.forget_connections(most))
        )
        return int(row[0]), int(row[1])

    async def _write(self) -> None:
        """Insert or replace what was saved. References between tables are looked at when all is written."""
        unwritten, self._unwritten = self._unwritten, {}
        for entity_type, rows in unwritten.items():
            try:
                await self._execute(_upsert(form_of(entity_type)), list(rows.values()))
            except NotCanonical as error:
                raise _unkeepable(str(error)) from error

    async def _rows(self, query: Select[*tuple[Any, ...]]) -> Sequence[AnyRow]:
        if self._unwritten and not self._over:
            await self._write()
        return await super()._rows(query)

    def record(self, event: Event) -> None:
        self._check_open()
        if EVENTS.get(event.kind) is not type(event):
            raise Misuse(f"{type(event).__name__} is not one of the ledger's kinds of event")
        self._events.append(event)

    async def commit(self) -> None:
        """Give the events their places and commit. Raises Misuse when something was saved and nothing recorded."""
        self._check_open()
        await self._write()
        self.end()
        if not self._events:
            if self._touched:
                raise Misuse("a unit of work saved something and recorded no event; nothing was written")
            return
        written = self._written_events()
        # Last of all locks, so that nobody waits for another's whole unit of work, and no two can wait for each other.
        await self._execute(select(func.pg_advisory_xact_lock(*(cast(part, Integer) for part in LEDGER_LOCK))))
        position = await self._append(written)
        if self._touched:
            rows = [{"position": position, "entity": name, "key": list(key)} for name, key in sorted(self._touched)]
            await self._execute(insert(tables.changes), rows)
        try:
            with as_failures():
                await self._connection.commit()
        except Unreachable as error:
            raise Unreachable(
                f"{error.sentence} A change was being committed: whether it was kept, the ledger says.", error.remedy
            ) from error

    def _written_events(self) -> list[Written]:
        try:
            return [Written(event) for event in self._events]
        except NotCanonical as error:
            raise _unkeepable(str(error)) from error

    async def _append(self, events: Sequence[Written]) -> int:
        """Write the events after the last entry; the position of the last of them."""
        table = tables.ledger
        query = select(table.c.position, table.c.link).order_by(table.c.position.desc()).limit(1)
        with as_failures():
            last = (await self._connection.execute(query)).one_or_none()
        position, head = (last.position, bytes(last.link)) if last else (0, GENESIS)
        at = self._clock.now()
        try:
            stamp = Stamp(at, self._actor)
        except NotCanonical as error:
            raise _unkeepable(str(error)) from error
        bodies, links = [], []
        for number, event in enumerate(events, position + 1):
            body = event.placed(number, stamp)
            head = link(head, body)
            bodies.append(body)
            links.append(head)
        places = range(position + 1, position + 1 + len(events))
        given = {
            "positions": list(places),
            "at": at,
            "actor": self._actor,
            "kinds": [one.kind for one in events],
            "bodies": bodies,
            "links": links,
        }
        await self._execute(_INSERT_ENTRIES, given)
        return places[-1]

    async def _execute(self, statement: Any, rows: Mapping[str, Any] | list[dict[str, Any]] | None = None) -> None:
        with as_failures():
            await self._connection.execute(statement, rows)

    def _check_open(self) -> None:
        if self._over:
            raise Misuse("a unit of work was used after its block ended")


def _lock_number(entity_type: type, key: str) -> int:
    digest = hashlib.sha256(f"{entity_type.__name__}\0{key}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], signed=True)


@cache
def _upsert(form: Form[Any]) -> Insert:
    statement = upsert(form.table)
    names = [column.name for column in form.table.columns if column.name not in form.key]
    rest = {name: statement.excluded[name] for name in names}
    # A row that is all key is saved already when it is there; it counts as touched all the same.
    if not rest:
        return statement.on_conflict_do_nothing(index_elements=form.key)
    return statement.on_conflict_do_update(index_elements=form.key, set_=rest)


def _unkeepable(why: str) -> Refusal:
    return Refusal("unkeepable-text", f"This cannot be kept as it is: {why}.", "Send it as ordinary text.")
