"""Columns that a person may not see (``@mask``): whether a statement keeps to that, and which values are covered.

Before it runs, the server is asked what the relations of the statement are, and (without running it) what columns it
will show. A masked column may be shown as it stands by the outermost SELECT, whose rows are covered on their way to
the client (:mod:`interlock.protocols.postgres.row_mask`); any other use of it is refused, because a value that is
compared, sorted by, or made part of something else gets out by another way. Refused with it is what cannot be told
apart: whole rows, views over a masked table, functions that nobody knows.

What is masked in a table is masked in its partitions, in what inherits it, and the other way round. Code of the
database's own (triggers, functions behind a view or a default) is trusted, as everywhere.
"""

from collections.abc import Generator, Iterator

from interlock.domain.actions import Action
from interlock.domain.decisions import Mask
from interlock.ports.protocol import Proceed, Refused
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.classify import Classified
from interlock.protocols.postgres.injection import Step
from interlock.protocols.postgres.mask_relations import STATISTICS, SYSTEM, Relations, ask_relations, covered
from interlock.protocols.postgres.mask_uses import SELECT, Fields, Uses, find_uses
from interlock.protocols.postgres.names import Running
from interlock.protocols.postgres.relay import DENIED, Relay, Wait
from interlock.protocols.postgres.row_mask import RowMask

_QUOTED_SYSTEM = ('"pg_catalog".', '"information_schema".')
_ANY_ROW = """
    any_out any_value anycompatible_out anycompatiblenonarray_out anyelement_out anynonarray_out array_agg concat
    count cume_dist dense_rank hash_record hash_record_extended json_agg json_agg_strict json_build_array
    json_build_object jsonb_agg jsonb_agg_strict jsonb_build_array jsonb_build_object max min mode num_nonnulls
    num_nulls percent_rank pg_collation_for pg_column_compression pg_column_size pg_column_toast_chunk_id pg_typeof
    quote_literal quote_nullable rank record_out record_send row_to_json to_json to_jsonb
"""
_ROW_FUNCTIONS = frozenset(_ANY_ROW.split())
"""The server's own functions that take any row (pg_proc, versions 15 to 18): ``s.max`` is ``max(s)``, when ``s`` has
no column of that name."""

_ROW_COLUMNS = frozenset({"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"})
_READING = frozenset({Action.READ, Action.EXPORT})
_ALLOWED = frozenset({Action.CONNECT, Action.READ, Action.WRITE})


def masks_of(verdict: Proceed) -> tuple[str, ...]:
    """The columns that a statement may not show; most may show all."""
    return tuple(name for one in verdict.obligations if isinstance(one, Mask) for name in one.columns)


def mask(
    relay: Relay, running: Running, masked: tuple[str, ...], text: str, prepared: str | None = None
) -> Generator[Wait, None, bool]:
    """Make sure that ``running`` shows nothing of the ``masked`` columns. ``prepared`` is the name of its statement.

    False: it may not run, the client was told why, and it is finished.
    """
    simple = prepared is None
    # Also of what comes later: a constraint may be looked at when the transaction ends.
    relay.replies.hides_details = True
    if not any(need.action in _READING for need in running.classified.needs):
        return True
    if not simple and relay.replies.expected:
        yield Wait.DRAINED
    if not simple and relay.replies.skipping:
        relay.replies.end(running, "not run, because a statement before it in the batch failed")
        return False
    uses = find_uses(text)
    refused = _judge_kind(running.classified, uses)
    relations: Relations = {}
    if refused is None and not all(name.startswith(_QUOTED_SYSTEM) for name in uses.relations):
        names = sorted(uses.relations)
        steps = [Step(text, statement=prepared, describes=True)] if uses.kind == SELECT else []
        sync = simple or not relay.batch_open
        asked, relations = yield from ask_relations(relay, names, masked, steps, sync=sync)
        if not asked.succeeded:
            _relay_error(relay, running, asked.error, simple=simple)
            return False
        refused = _judge(uses, relations)
        if refused is None and any(one.masked for one in relations.values()):
            running.mask = RowMask(asked.description if uses.kind == SELECT else b"", covered(relations))
            refused = _judge_places(uses, running.mask)
    if refused is None:
        return True
    relay.cancelled = False
    relay.replies.end(running, f"not run: {refused.sentence}")
    relay.refuse(DENIED, refused, query=simple)
    return False


def _relay_error(relay: Relay, running: Running, error: dict[str, str] | None, *, simple: bool) -> None:
    """The server does not take the statement (or was asked to stop): what it says is the answer."""
    said = error or {}
    relay.cancelled = False
    relay.replies.end(running, f"{said.get('C', '')}: {said.get('M', '')}")
    relay.sink.write(messages.relay_error(said))
    if simple:
        relay.sink.write(messages.ready(relay.replies.status))
    else:
        relay.replies.skipping = True


# --- what may not be


def _refuse(sentence: str) -> Refused:
    return Refused(sentence, "masked")


def _judge_kind(classified: Classified, uses: Uses) -> Refused | None:
    """What cannot be followed is refused whatever it reads."""
    if not uses.kind:
        return _refuse(
            "Columns are masked for you here, so only SELECT, INSERT, UPDATE and DELETE go through, one at a time:"
            f" no {classified.summary or 'other statement'}."
        )
    if classified.unvetted:
        return _refuse(f"Columns are masked for you here, and nobody knows what {classified.unvetted[0]} reads.")
    beyond = next((need for need in classified.needs if need.action not in _ALLOWED), None)
    if beyond is not None:
        return _refuse(f"Columns are masked for you here, and {beyond.part} may read them.")
    holds = next((name for name in uses.relations if name.rpartition('"."')[2].strip('"') in STATISTICS), None)
    if holds is not None:
        return _refuse(f"Columns are masked for you here, and {holds} holds values of them.")
    return None


def _judge(uses: Uses, relations: Relations) -> Refused | None:
    """Whether every use of what is masked is one that shows it."""
    for relation in relations.values():
        if relation.schema == "pg_toast" or (relation.schema in SYSTEM and relation.name in STATISTICS):
            return _refuse(f"Columns are masked for you here, and {relation.shown} holds values of them.")
        if relation.over:
            return _refuse(
                f"{relation.shown} is made of {relation.over}, of which columns are masked for you. Read"
                f" {relation.over} itself: what is masked in it comes covered."
            )
        if relation.statistics:
            return _refuse(f"Columns are masked for you here, and {relation.shown} reads statistics that hold values.")
        if relation.calls:
            return _refuse(
                f"Columns are masked for you here, and nobody knows what {relation.calls} reads, which {relation.shown}"
                " calls."
            )
    masked = {column: one.shown for one in relations.values() for column in one.masked}
    if not masked:
        return None
    return next(_mistakes(uses, relations, masked), None)


def _mistakes(uses: Uses, relations: Relations, masked: dict[str, str]) -> Iterator[Refused]:
    some, of = next(iter(masked.items()))
    there = f"{of}.{some} is masked for you"
    given = {alias for fields, alias in uses.shown if alias and fields and fields[-1] in masked}
    for fields in uses.used:
        if fields[-1] in masked or (len(fields) == 1 and fields[0] in given):
            name = fields[-1] if fields[-1] in masked else some
            yield _refuse(
                f"{masked[name]}.{name} is masked for you: the outermost SELECT may show it, as it is, and nothing"
                " else may be done with it (no condition, no expression, no order, no subquery)."
            )
    for word in uses.words & masked.keys():
        yield _refuse(f"{masked[word]}.{word} is masked for you, and may not be compared or taken out of a row.")
    if uses.loose_star:
        yield _refuse(f"{there}, so a * may stand only where rows are shown or in FROM: write the columns out.")
    if uses.renames or uses.natural:
        yield _refuse(f"{there}, so columns keep their names: no lists of names in FROM or WITH, and no NATURAL JOIN.")
    if uses.by_place and uses.inner_star:
        yield _refuse(f"{there}: order, group and make distinct by names, not by places or by whole rows.")
    for fields in (*uses.used, *(fields for fields, _ in uses.shown)):
        if len(fields) == 1 and fields[0] in uses.sources:
            yield _refuse(f"{there}, and {fields[0]} may mean a whole row here: write its columns out.")
        elif len(fields) > 1 and not _is_column(fields, uses, relations):
            yield _refuse(f"{there}, and {'.'.join(fields)} is no column that Interlock can be sure of.")


def _is_column(fields: Fields, uses: Uses, relations: Relations) -> bool:
    """Whether it names a column, and not a function of the row, which may be written in the same way."""
    sources = uses.sources.get(fields[-2], ())
    sure = [source for source in sources if not source.relation or source.relation in relations]
    everything = {column.lower() for one in relations.values() for column in one.columns.values()}
    for source in sure:
        if source.free:
            continue
        if source.relation:
            allowed = {column.lower() for column in relations[source.relation].columns.values()} | _ROW_COLUMNS
        else:
            allowed = source.names | (everything - _ROW_FUNCTIONS if source.star else set())
        if fields[-1] not in allowed:
            return False
    return bool(sure)


def _judge_places(uses: Uses, rows: RowMask) -> Refused | None:
    if uses.by_place and rows.covers:
        return _refuse(
            "The statement shows columns that are masked for you, and would sort or compare by them: order, group and"
            " make distinct by the names of other columns."
        )
    return None
