"""The table in the documentation says what the classifier does."""

import re
from pathlib import Path

import pytest

from interlock.protocols.postgres.classify import ClassifyContext, classify

_DOC = Path(__file__).parents[3] / "docs" / "postgres-classification.md"
_ROW = re.compile(r"^\| `(?P<example>[^|]+)` \| (?P<needs>[^|]+) \| [^|]* \|$")
_LINES = [line for line in _DOC.read_text().splitlines() if line.startswith("| `")]


def test_every_row_is_read() -> None:
    assert len(_LINES) > 100
    assert [line for line in _LINES if not _ROW.match(line)] == []


@pytest.mark.parametrize("line", _LINES, ids=lambda line: ascii(line[:60]))
def test_a_row_says_what_is_done(line: str) -> None:
    row = _ROW.match(line)
    assert row is not None
    found = classify(row["example"], ClassifyContext())
    assert sorted(map(str, found.needs)) == sorted(row["needs"].split(", "))
