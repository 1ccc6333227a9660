"""What goes wrong with PostgreSQL, as the sentences a person can act on."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy import exc

from interlock.errors import Failure, Misuse
from interlock.ports.state import Contended

_START = "See that PostgreSQL is running and reachable; `interlock doctor` says what is wrong."
NO_ENTRY = "IL001"
"""The SQLSTATE with which the database refuses a change that has no ledger entry."""
DRIVER_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""All that the driver raises of its own. Of the last kind is what it says of a connection that the server has begun to
end (the error has come, the end of the stream has not)."""


class Unreachable(Failure):
    """The database is not there, or went away."""


@contextmanager
def as_failures() -> Iterator[None]:
    """Turn what the database and its driver raise into Failure, Contended (to be tried again) or Misuse."""
    try:
        yield
    except exc.TimeoutError as error:
        raise Contended("Every connection to the state's database is in use.", "Try again.") from error
    except exc.DBAPIError as error:
        raise _translate(error.orig or error, lost=error.connection_invalidated) from error
    except asyncpg.PostgresError as error:
        raise _translate(error, lost=False) from error
    except DRIVER_ERRORS as error:
        raise _lost(error) from error


def _lost(error: BaseException) -> Failure:
    ending = isinstance(error, asyncpg.InternalClientError) or isinstance(error.__cause__, asyncpg.InternalClientError)
    why = ["the server was ending the connection"] if ending else str(error).strip().splitlines()
    return Unreachable(f"The state's database cannot be reached{f' ({why[0]})' if why else ''}.", _START)


def _translate(error: BaseException, *, lost: bool) -> Failure | Misuse:
    sqlstate = getattr(error, "sqlstate", None) or ""
    said = str(getattr(error, "args", ("",))[0] if error.args else error).split("\n")[0]
    said = said.rpartition(">: ")[2]
    match sqlstate:
        case "40001" | "40P01" | "55P03" | "57014":
            return Contended(
                "Another change stood in the way of this one, and nothing of this one was kept.", "Try again."
            )
        case "IL001":
            return Misuse("a change of state was to be committed without its ledger entry; nothing was written")
        case "42501":
            return Failure(
                f"The database refuses what Interlock asked ({said}).", "`interlock doctor` checks its rights."
            )
        case "42P01" | "3F000":
            return Failure(
                "The state's database has no schema of Interlock's.", "Start with `interlock up`, which makes it."
            )
        case "53100":
            return Failure(
                "The disk under the state's database is full; nothing was written.", "Free some space there."
            )
        case "53300":
            return Contended("The state's database has no free connection.", "Try again, or raise its max_connections.")
        case "28P01" | "28000" | "3D000":
            return Failure(
                f"The state's database does not let Interlock in ({said}).", "Check `state` in interlock.yaml."
            )
    if sqlstate[:2] in {"22", "23", "42"}:
        return Misuse(f"the state's database refused a change ({sqlstate}: {said}); nothing was written")
    if lost or not sqlstate or sqlstate[:2] in {"08", "57"}:
        return _lost(error)
    return Failure(f"The state's database failed ({sqlstate}: {said}).", "`interlock doctor` says what is wrong.")
