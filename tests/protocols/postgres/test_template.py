"""Texts of one template are classified alike, and what a literal decides is kept by the text alone."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interlock.protocols.postgres import reading
from interlock.protocols.postgres.classify import ClassifyContext, classify, classify_template
from interlock.protocols.postgres.reading import Reader
from interlock.protocols.postgres.template import find_template


def _template(text: str) -> bytes | None:
    return find_template(text.encode("ascii"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = 987654321"),
        ("UPDATE t SET a = a + -1 WHERE b = 'x'", "UPDATE t SET a = a + -77 WHERE b = 'it''s'"),
        ("SELECT 1.5", "SELECT 22.75"),
        ("INSERT INTO t VALUES (1,'a'),(2,'b')", "INSERT INTO t VALUES (3,''),(4,'--')"),
    ],
)
def test_other_literals_leave_the_template(one: str, other: str) -> None:
    assert _template(one) == _template(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1", "SELECT '1'"),
        ("SELECT 1", "SELECT 1.0"),
        ("SELECT 1", "SELECT 1234567890"),
        ("SELECT t1.a FROM t1", "SELECT t2.a FROM t2"),
        ("SELECT $1", "SELECT $2"),
        ('SELECT "1"', 'SELECT "2"'),
        ("SELECT 1e5", "SELECT 1e6"),
        ("SELECT 0x1F", "SELECT 0x2F"),
        ("SELECT a + 1", "SELECT a - 1"),
        ("SELECT 1", "SELECT  1"),
    ],
)
def test_everything_else_is_told_apart(one: str, other: str) -> None:
    assert _template(one) != _template(other)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 -- 2",
        "SELECT 1 /* 2 */",
        "SELECT $$a$$",
        "SELECT $a$1$a$",
        "SELECT E'a'",
        "SELECT U&'a'",
        "SELECT b'1'",
        "SELECT 'a\\'",
        "SELECT 'a",
        'SELECT "a',
        "SELECT \x01",
        "SELECT '\x02'",
        'SELECT "\x03"',
    ],
)
def test_what_could_be_doubted_has_no_template(text: str) -> None:
    assert _template(text) is None


def test_a_text_that_looks_like_a_template_is_not_taken_for_one() -> None:
    reader = Reader()
    reader.read("SELECT 1", read_only=False, ascii_only=False, prepared={})
    assert reader.find("SELECT 2", False) is not None
    assert reader.find("SELECT \x01", False) is None


def test_a_long_text_is_not_gone_through_for_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    text = f"SELECT {'1, ' * 3000} 1"
    monkeypatch.setattr(reading, "find_template", lambda *_: pytest.fail("it was gone through"))
    assert reader.find(text, False) is None
    assert reader.read(text, read_only=False, ascii_only=False, prepared={}).classified.summary == "SELECT"
    assert reader.find(text, False) is None


def _lasts(text: str) -> bool:
    places: list[tuple[int, int]] = []
    find_template(text.encode("ascii"), places)
    return classify_template(text, ClassifyContext(), places)[1]


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM t WHERE 1 = 1",
        "DELETE FROM t WHERE id = 5 OR 2 = 2",
        "DELETE FROM t WHERE 'yes'",
        "SELECT set_config('work_mem', '1', false)",
        "SELECT lo_open(5, 262144)",
        "SELECT 'a'\n'b'",
        "SET work_mem = 64",
        "COPY t FROM '/tmp/file'",
        "ALTER TABLE t ALTER a SET DEFAULT 5",
    ],
)
def test_a_literal_that_decides_keeps_the_text_apart(text: str) -> None:
    assert not _lasts(text)


@pytest.mark.parametrize(
    "text", ["DELETE FROM t WHERE id = 1", "SELECT 5 LIMIT 3", "UPDATE t SET a = - 5 WHERE b LIKE 'x%'"]
)
def test_a_literal_that_decides_nothing_does_not(text: str) -> None:
    assert _lasts(text)


_KEYWORDS = (
    "SELECT",
    "DELETE FROM t",
    "UPDATE t SET a =",
    "INSERT INTO t VALUES",
    "WHERE",
    "LIMIT",
    "OR",
    "AND",
    "NOT",
)
_OTHERS = ("id", "=", "1", "0", "'x'", "''", "-", "2.5", "true", "(", ")", ",", "coalesce", "set_config", "'true'", ";")
_WORDS = st.sampled_from((*_KEYWORDS, *_OTHERS, "::text"))
_NUMBER = re.compile(r"(?<![\w.'])\d+(?![\w.'])")


@given(st.lists(_WORDS, min_size=2, max_size=12), st.integers(0, 999_999_999), st.booleans())
@example(["DELETE FROM t", "WHERE", "1", "=", "1"], 2, False)
def test_what_is_kept_is_what_would_be_found(words: list[str], number: int, read_only: bool) -> None:
    text = " ".join(words)
    other = _NUMBER.sub(str(number), text)
    reader = Reader()
    for asked in (text, other, text):
        found = reader.read(asked, read_only=read_only, ascii_only=False, prepared={})
        assert found.classified == classify(asked, ClassifyContext(read_only=read_only))
