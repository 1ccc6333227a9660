"""The letters of notifiers, on their way. No state, like the waiting room: nothing rests on it.

Implements :class:`interlock.ports.notify.Outbox`. What is done with is kept for a month, which is how long a person's
page shows it, and what came of it is known.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import ColumnElement

from interlock.domain.codec import from_plain, to_plain
from interlock.domain.notices import Kept, Later, Letter, Never, Notice, Outcome, Told
from interlock.ports.notify import Trouble
from interlock.store.connecting import open_engine
from interlock.store.failures import as_failures
from interlock.store.tables import letters, letters_upto

_NAME = "upto"
_KEPT_FOR = timedelta(days=30)
_LOST_LATELY = timedelta(days=1)


class PostgresOutbox:
    """``url`` as for PostgresState."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, connections=4)

    async def close(self) -> None:
        await self._engine.dispose()

    async def upto(self) -> int | None:
        query = select(letters_upto.c.position).where(letters_upto.c.name == _NAME)
        with as_failures():
            async with self._engine.begin() as connection:
                return (await connection.execute(query)).scalar_one_or_none()

    async def put(self, put: Collection[tuple[Letter, datetime]], *, upto: int, now: datetime) -> None:
        moved = insert(letters_upto).values(name=_NAME, position=upto)
        moved = moved.on_conflict_do_update(index_elements=["name"], set_={"position": moved.excluded.position})
        with as_failures():
            async with self._engine.begin() as connection:
                for letter, due_at in put:
                    row = {**_row(letter), "put_at": now, "due_at": due_at}
                    await connection.execute(insert(letters).values(row).on_conflict_do_nothing())
                if put:
                    await connection.execute(delete(letters).where(letters.c.put_at < now - _KEPT_FOR))
                await connection.execute(moved)

    async def due(self, notifier: str, now: datetime, limit: int) -> Sequence[Letter]:
        return await self._letters(
            select(letters)
            .where(letters.c.notifier == notifier, letters.c.done_at.is_(None), letters.c.due_at <= now)
            .order_by(letters.c.position, letters.c.person)
            .limit(limit)
        )

    async def next_due(self, notifier: str) -> datetime | None:
        query = select(func.min(letters.c.due_at)).where(letters.c.notifier == notifier, letters.c.done_at.is_(None))
        with as_failures():
            async with self._engine.begin() as connection:
                found: datetime | None = (await connection.execute(query)).scalar_one()
                return found

    async def settle(self, letter: Letter, outcome: Outcome, *, now: datetime, again: datetime | None = None) -> None:
        match outcome:
            case Told():
                said = {"done_at": now, "receipt": outcome.receipt, "why": ""}
            case Never():
                said = {"done_at": now, "why": outcome.why}
            case Kept():
                said = {"due_at": None}
            case Later():
                said = {"tries": letter.tries + 1, "why": outcome.why}
                said |= {"due_at": again} if again is not None else {"done_at": now}
        written = update(letters).where(_is(letter)).values(said)
        with as_failures():
            async with self._engine.begin() as connection:
                await connection.execute(written)

    async def told_of(self, request: str) -> Sequence[tuple[Letter, str]]:
        query = select(letters).where(letters.c.request == request, letters.c.receipt != "")
        with as_failures():
            async with self._engine.begin() as connection:
                found = (await connection.execute(query)).mappings().all()
        return [(_letter(row), row["receipt"]) for row in found]

    async def kept_for(self, person: str, limit: int) -> Sequence[Letter]:
        return await self._letters(
            select(letters)
            .where(letters.c.person == person, letters.c.due_at.is_(None))
            .order_by(letters.c.position.desc())
            .limit(limit)
        )

    async def unseen(self, person: str) -> int:
        query = select(func.count()).where(
            letters.c.person == person, letters.c.due_at.is_(None), letters.c.done_at.is_(None)
        )
        with as_failures():
            async with self._engine.begin() as connection:
                return (await connection.execute(query)).scalar_one()

    async def see(self, person: str, upto: int, now: datetime) -> None:
        mine = (letters.c.person == person, letters.c.due_at.is_(None), letters.c.done_at.is_(None))
        with as_failures():
            async with self._engine.begin() as connection:
                seen = update(letters).where(*mine, letters.c.position <= upto).values(done_at=now)
                await connection.execute(seen)

    async def troubles(self, now: datetime) -> Sequence[Trouble]:
        waiting = letters.c.done_at.is_(None)
        lately = (letters.c.done_at.is_(None)) | (letters.c.done_at > now - _LOST_LATELY)
        query = (
            select(
                letters.c.notifier,
                func.count().filter(waiting),
                func.count().filter(~waiting),
                func.min(letters.c.put_at),
                func.max(letters.c.why),
            )
            .where(letters.c.why != "", lately)
            .group_by(letters.c.notifier)
            .order_by(letters.c.notifier)
        )
        with as_failures():
            async with self._engine.begin() as connection:
                found = (await connection.execute(query)).all()
        return [Trouble(*row) for row in found]

    async def _letters(self, query: Select[Any]) -> Sequence[Letter]:
        with as_failures():
            async with self._engine.begin() as connection:
                found = (await connection.execute(query)).mappings().all()
        return [_letter(row) for row in found]


def _is(letter: Letter) -> ColumnElement[bool]:
    return (
        (letters.c.position == letter.notice.position)
        & (letters.c.notifier == letter.notifier)
        & (letters.c.person == letter.person)
    )


def _row(letter: Letter) -> dict[str, Any]:
    return {
        "position": letter.notice.position,
        "notifier": letter.notifier,
        "person": letter.person,
        "request": letter.notice.request,
        "content": to_plain(letter.notice),
        "tell": list(letter.tell),
        "revises": letter.revises,
        "tries": 0,
        "why": "",
        "receipt": "",
    }


def _letter(row: Mapping[Any, Any]) -> Letter:
    return Letter(
        row["notifier"],
        row["person"],
        from_plain(Notice, row["content"]),
        tuple(row["tell"]),
        row["revises"],
        tries=row["tries"],
        why=row["why"],
        seen=row["done_at"] is not None,
    )
