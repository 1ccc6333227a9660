"""Which words the segments of recordings have, in PostgreSQL's full text. No state, like the replay cache: it is made
anew from the recordings. Implements :class:`interlock.ports.segment_words.SegmentWords`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ARRAY, Text, and_, bindparam, cast, delete, func, not_, or_, select
from sqlalchemy.dialects.postgresql import TSQUERY, insert

from interlock.ports.segment_words import Candidate, IndexedPart, Readable
from interlock.store.connecting import open_engine
from interlock.store.failures import as_failures
from interlock.store.rows import keepable
from interlock.store.tables import segment_words, segment_words_upto

_NAME = "words"
_ADD = (
    insert(segment_words)
    .values(
        {column.name: bindparam(column.name, type_=column.type) for column in segment_words.columns}
        | {"words": func.array_to_tsvector(bindparam("hashes", type_=ARRAY(Text)))}
    )
    .on_conflict_do_nothing()
)


class PostgresSegmentWords:
    """``url`` as for PostgresState."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, connections=3)

    async def close(self) -> None:
        await self._engine.dispose()

    async def upto(self) -> int:
        query = select(segment_words_upto.c.position).where(segment_words_upto.c.name == _NAME)
        with as_failures():
            async with self._engine.begin() as connection:
                return (await connection.execute(query)).scalar_one_or_none() or 0

    async def add(self, parts: Sequence[IndexedPart], *, upto: int) -> None:
        rows = [
            {
                "session": one.session,
                "number": one.number,
                "part": one.part,
                "person": one.person,
                "resource": one.resource,
                "kept_at": one.kept_at,
                "hashes": sorted(one.words),
                "any_words": one.any_words,
            }
            for one in parts
        ]
        moved = insert(segment_words_upto).values(name=_NAME, position=upto)
        moved = moved.on_conflict_do_update(index_elements=["name"], set_={"position": moved.excluded.position})
        with as_failures():
            async with self._engine.begin() as connection:
                if rows:
                    await connection.execute(_ADD, rows)
                await connection.execute(moved)

    async def clear(self) -> None:
        with as_failures():
            async with self._engine.begin() as connection:
                await connection.execute(delete(segment_words))
                await connection.execute(delete(segment_words_upto))

    async def forget(self, session: str) -> None:
        with as_failures():
            async with self._engine.begin() as connection:
                await connection.execute(delete(segment_words).where(segment_words.c.session == session))

    async def find(
        self,
        words: Collection[str],
        *,
        readable: Readable,
        person: str | None = None,
        resource: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int,
    ) -> Sequence[Candidate]:
        table = segment_words
        # Hashes are letters and digits alone, so they stand in a query as they are.
        wanted = cast(" & ".join(sorted(words)), TSQUERY)
        query = select(table.c.session, table.c.number, func.max(table.c.kept_at).label("at"))
        query = query.where(or_(table.c.words.bool_op("@@")(wanted), table.c.any_words))
        for column, value in ((table.c.person, person), (table.c.resource, resource)):
            if value is not None:
                if not keepable(value):
                    return []
                query = query.where(column == value)
        # What may not be read is left out here, before the limit: else what others did could push it out of the answer.
        theirs, there = table.c.person == readable.reader, table.c.resource.in_(sorted(readable.resources))
        query = query.where(or_(theirs, there) if readable.own else and_(not_(theirs), there))
        if since is not None:
            query = query.where(table.c.kept_at >= since)
        if until is not None:
            query = query.where(table.c.kept_at < until)
        query = query.group_by(table.c.session, table.c.number)
        query = query.order_by(func.max(table.c.kept_at).desc(), table.c.session, table.c.number.desc()).limit(limit)
        with as_failures():
            async with self._engine.begin() as connection:
                return [Candidate(row.session, row.number) for row in (await connection.execute(query)).all()]
