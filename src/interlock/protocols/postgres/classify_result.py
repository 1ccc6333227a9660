"""What a classification says of one SQL text, and what it may depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from interlock.domain.actions import EVERYTHING, Need


@dataclass(frozen=True, slots=True)
class Classified:
    """What one SQL text (one or more statements, as a simple query may hold) needs and does.

    ``needs`` is never empty: what asks for nothing else needs ``connect``. ``summary`` is a short name such as
    ``DELETE`` (several statements: ``BEGIN; DELETE``), empty for an empty text. ``target`` names the tables that
    are changed, as written (``table public.orders``, unqualified ``table orders``).

    ``changes``: it may leave the resource other than it was; also true when it calls a function that nobody knows.
    ``changes_rows``: it may insert, update or delete rows, so that a fence has something to count.
    ``transactional``: all its changes can be rolled back and take effect at the commit; also true of a read.
    ``transaction_control``: it holds BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE or PREPARE TRANSACTION.
    ``measurable`` and ``impact``: its effect can be found beforehand, by running it in a transaction that is rolled
    back (``run``) or by describing its targets (``describe``, for TRUNCATE and DROP TABLE); else ``''``.
    ``fenceable``: it can run inside a savepoint and every row it changes is in the server's statistics.
    ``uncountable``: it changes, or makes a later statement change, what is in no statistics.
    ``may_change_settings``: the session's settings may differ afterwards; follow what the server reports.

    ``prepares`` holds the statements that PREPARE would remember; they count only once the server said it did.
    ``deallocates`` the names that would be forgotten, ``deallocates_all`` that every name would.
    ``executes`` is the first name that EXECUTE runs, ``fetches`` holds the cursors that FETCH and MOVE run.
    ``unvetted`` names the functions and operators that are not in the catalogue of built-ins.
    ``renames`` holds what it would set ``application_name`` to, None for a value that is not written out: on an account
    that is shared, the server's own log tells by that name whose a statement was.

    ``unknown`` says why nobody understood the text; then ``needs`` is ``EVERYTHING`` and all that a text may do must be
    taken as done.
    """

    needs: tuple[Need, ...]
    summary: str = ""
    changes: bool = False
    changes_rows: bool = False
    begins_transaction: bool = False
    ends_transaction: bool = False
    transaction_control: bool = False
    transactional: bool = True
    measurable: bool = False
    impact: str = ""
    fenceable: bool = False
    may_change_settings: bool = False
    target: tuple[str, ...] = ()
    count: int = 0
    copies_in: bool = False
    copies_out: bool = False
    prepares: "tuple[tuple[str, Classified], ...]" = ()
    executes: str | None = None
    deallocates: tuple[str, ...] = ()
    deallocates_all: bool = False
    unvetted: tuple[str, ...] = ()
    fetches: tuple[str, ...] = ()
    uncountable: bool = False
    renames: tuple[str | None, ...] = ()
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class ClassifyContext:
    """What the meaning of a text depends on besides the text.

    ``standard_conforming_strings`` is what the server last reported. ``prepared`` maps the names of the session's
    prepared statements (of PREPARE and of the extended protocol: they share one namespace) to what each is. A name is
    added when the server confirmed it, never when it was only asked for, and never replaced before it was closed.

    ``read_only`` says that the server itself refuses changes in this session. A function that nobody knows then
    needs ``read``; otherwise it may change rows and needs ``write``.
    """

    standard_conforming_strings: bool = True
    prepared: Mapping[str, Classified] = field(default_factory=dict)
    read_only: bool = False


class NotUnderstoodError(Exception):
    """The text holds something that the classifier has no rule for; the message says what."""


def not_understood(why: str) -> Classified:
    """The classification of what nobody understood: the widest action on everything, and every flag at its worst."""
    return Classified(
        needs=EVERYTHING,
        summary="unknown",
        changes=True,
        changes_rows=True,
        begins_transaction=True,
        ends_transaction=True,
        transaction_control=True,
        transactional=False,
        may_change_settings=True,
        count=1,
        deallocates_all=True,
        unknown=why,
    )
