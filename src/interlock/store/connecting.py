"""Connections to PostgreSQL: one reading of URLs for the pool, the listener and the migrations."""

import json
import math
import time
from urllib.parse import parse_qs, urlsplit

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from interlock.errors import Failure
from interlock.ledger.canonical import canonical
from interlock.store.failures import DRIVER_ERRORS

APPLICATION_ROLE = "interlock_application"
"""The role whose rights the control plane works with: it owns nothing, and can neither delete nor truncate."""

_CONNECT_S = 10.0
_COMMAND_S = 90.0
_JUST_USED_S = 1.0
_USED_AT = "used_at"

# The role is only taken when it is there and may be taken: a database whose operator gave Interlock one plain role
# works as well, held by the triggers alone. Since PostgreSQL 16 a member is not always one who may SET ROLE.
_SET_UP = """
SELECT set_config('application_name', 'interlock', false),
       set_config('timezone', 'UTC', false),
       set_config('lock_timeout', '20s', false),
       set_config('statement_timeout', '60s', false),
       set_config('idle_in_transaction_session_timeout', '60s', false),
       CASE WHEN $1 AND to_regrole($2) IS NOT NULL THEN
           CASE WHEN pg_has_role(session_user, to_regrole($2),
                                 CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER'
                                      ELSE 'SET' END)
                THEN set_config('role', $2, false) END
       END
"""


def driver_url(url: str) -> str:
    """``url`` as the driver reads it. Raises Failure when it is not one of PostgreSQL's."""
    parts = urlsplit(url)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in {"postgresql", "postgres"}:
        raise Failure(
            f"The state cannot be kept in {scheme or 'this'!r}: Interlock keeps it in PostgreSQL.",
            "Give `state: embedded` or `state: postgresql://user:password@host/database`.",
        )
    return f"postgresql{url[len(parts.scheme) :]}"


async def connect(url: str, *, as_application: bool = True) -> asyncpg.Connection:
    """One connection, set up as all of Interlock's are. Raises what asyncpg raises."""
    try:
        connection = await asyncpg.connect(driver_url(url), timeout=_CONNECT_S, command_timeout=_COMMAND_S)
    except TimeoutError:
        raise
    except OSError as error:
        # uvloop does not say where it could not connect
        parts = urlsplit(url)
        where = parts.netloc.rpartition("@")[2] or ", ".join(parse_qs(parts.query).get("host", ()))
        raise OSError(error.errno, f"{error.strerror} at {where}") from error
    try:
        await connection.fetchrow(_SET_UP, as_application, APPLICATION_ROLE)
    except BaseException:
        connection.terminate()
        raise
    return connection


def open_engine(url: str, *, connections: int = 20) -> AsyncEngine:
    """A pool of connections that are tested before use, so that a restarted server is found again.

    One that was used a moment ago is not asked anything, only seen to be open: asking costs as much as what is asked.
    """
    driver_url(url)
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connect(url),
        pool_size=connections // 2,
        max_overflow=connections - connections // 2,
        pool_timeout=30,
        json_serializer=lambda value: canonical(value).decode(),
        json_deserializer=json.loads,
    )
    event.listen(engine.sync_engine, "checkin", _note_use)
    event.listen(engine.sync_engine, "checkout", _test)
    return engine


def _note_use(_: object, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _test(connection: AdaptedConnection, record: ConnectionPoolEntry, _: object) -> None:
    """Raises InvalidatePoolError, on which the pool opens all of its connections anew."""
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError
    if time.monotonic() - record.info.get(_USED_AT, math.inf) < _JUST_USED_S:
        return
    try:
        connection.run_async(lambda driver: driver.fetchrow(";"))
    except DRIVER_ERRORS as error:
        raise InvalidatePoolError from error
