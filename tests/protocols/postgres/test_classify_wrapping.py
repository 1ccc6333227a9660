"""No wrapping makes a statement need less, and how it is written down makes no difference."""

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.domain.actions import EVERYTHING, Action, Need
from interlock.protocols.postgres.classify import Classified, ClassifyContext, classify

ANYONE = ClassifyContext()

QUERIES = [
    "select pg_read_file('x')",
    "select mine(i) from a",
    "select * from pg_authid",
    "select query_to_xml('x', true, true, '')",
    "select set_config('role', 'x', false)",
    "select nextval('s') from a for update",
    "select lo_unlink(i) from a",
    "select * from a tablesample mine(1)",
]
CHANGES = [
    "delete from a",
    "delete from a where i = 1 returning *",
    "update a set x = pg_ls_dir('.')",
    "insert into a select * from dblink('', '') as t(i int)",
    "merge into a using b on true when matched then delete",
    "update pg_catalog.pg_proc set prosrc = mine()",
]
UTILITIES = [
    "truncate a",
    "drop schema s cascade",
    "alter table a drop column x, owner to y",
    "grant b to c",
    "do $$ begin perform 1; end $$",
    "copy a from program 'x'",
    "set role x",
    "create extension dblink",
    "vacuum full a",
    "alter system set x = 1",
]

# What holds a query, and what holds a statement that changes rows as well.
AROUND_QUERIES = [
    "select * from ({}) x",
    "select exists ({})",
    "select array({})",
    "with w as ({}) select 1",
    "with w as (with v as ({}) select * from v) select * from w",
    "insert into t {}",
    "select 1 union all ({})",
    "create table t as {}",
    "create view v as {}",
    "declare c cursor for {}",
    "select 1 where 1 in ({})",
    "delete from t where i = 1 and exists ({})",
]
AROUND_CHANGES = [
    "with w as ({}) select 1",
    "with w as ({}) insert into t values (1)",
    "copy ({}) to stdout",
    "explain analyze {}",
    "explain (analyze on, format json) {}",
    "explain (analyze false, analyze) {}",
    "prepare p as {}; execute p",
    "prepare p as {}; explain analyze execute p",
]
AROUND_ALL = ["begin; {}; commit", "select 1; {}", "{}; select 1", "/* a */ {} -- b", ";;{};;"]


def needs(classified: Classified) -> set[Need]:
    """All but the one that stands for a query that reads no table at all."""
    assert classified.unknown == "", classified.unknown
    return set(classified.needs) - {Need(Action.READ, "database")}


def holds(outer: Classified, inner: Classified) -> bool:
    """Whether ``outer`` is at least as careful as ``inner``."""
    careful = (
        outer.changes >= inner.changes,
        outer.changes_rows >= inner.changes_rows,
        outer.transactional <= inner.transactional,
        outer.may_change_settings >= inner.may_change_settings,
        set(outer.unvetted) >= set(inner.unvetted),
        outer.fenceable <= (inner.fenceable or not inner.changes),
        outer.impact in ("", "run", inner.impact),
    )
    return all(careful) and needs(outer) >= needs(inner)


def layers(first: list[str], around: list[str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.sampled_from(first), st.sampled_from(around)).map(lambda pair: (pair[0], pair[1]))


@given(
    layers(QUERIES, AROUND_QUERIES + AROUND_CHANGES + AROUND_ALL)
    | layers(CHANGES, AROUND_CHANGES + AROUND_ALL)
    | layers(UTILITIES, AROUND_ALL)
)
@settings(deadline=None)
def test_wrapping_never_lowers_what_is_needed(pair: tuple[str, str]) -> None:
    statement, around = pair
    assert holds(classify(around.replace("{}", statement), ANYONE), classify(statement, ANYONE))


@given(st.sampled_from(QUERIES), st.lists(st.sampled_from(AROUND_QUERIES[:7]), max_size=4), st.sampled_from(AROUND_ALL))
@settings(deadline=None)
def test_wrapping_many_times_never_lowers_what_is_needed(statement: str, around: list[str], last: str) -> None:
    text = statement
    for layer in around:
        if "insert" in layer and text is not statement:
            continue
        text = layer.replace("{}", text)
    if classify(text, ANYONE).unknown:
        # INSERT does not stand inside a query; such a text needs everything.
        assert classify(text, ANYONE).needs == EVERYTHING
        return
    assert holds(classify(last.replace("{}", text), ANYONE), classify(statement, ANYONE))


_SPACE = st.sampled_from([" ", "\n", "\t ", " /* ; drop */ ", "/* /* nested */ */ ", " -- select\n", "\r\n"])


@given(st.sampled_from(QUERIES + CHANGES + UTILITIES), st.data())
@settings(deadline=None)
def test_white_space_comments_and_case_change_nothing(statement: str, data: st.DataObject) -> None:
    written = []
    in_quotes = False
    for character in statement:
        if character in "'$":
            in_quotes = not in_quotes
        if in_quotes or character not in string.ascii_letters + " ":
            written.append(character)
        elif character == " ":
            written.append(data.draw(_SPACE))
        else:
            written.append(data.draw(st.sampled_from([character, character.upper()])))
    text = data.draw(_SPACE) + "".join(written) + data.draw(_SPACE)
    assert classify(text, ANYONE) == classify(statement, ANYONE)


@given(st.text(max_size=60) | st.text(alphabet="select1+-*/()'\"$;:,.@ \n\0\\[]{}wherfomdtu", max_size=80))
@settings(deadline=None, max_examples=300)
def test_no_text_makes_it_raise(text: str) -> None:
    found = classify(text, ANYONE)
    assert found.needs
    assert not found.unknown or found.needs == EVERYTHING


@given(st.sampled_from(QUERIES + CHANGES + UTILITIES), st.integers(0, 60), st.text(max_size=3))
@settings(deadline=None)
def test_a_changed_statement_makes_it_not_raise(statement: str, place: int, inserted: str) -> None:
    found = classify(statement[:place] + inserted + statement[place + 1 :], ANYONE)
    assert found.needs
