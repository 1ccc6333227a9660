"""A recorded terminal as an asciicast, version 2: made of the recording's records as they are read, and kept nowhere.

https://docs.asciinema.org/manual/asciicast/v2/: a header, then a line ``[seconds, code, data]`` each.
``o`` is output, ``r`` a new size, ``m`` a mark (a statement). What was typed is not in it.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

_FRESH = "\x1bc"
"""RIS: the terminal of another statement begins empty."""


class Cast:
    """Makes the lines. ``started`` is when the recording began: places are counted from there, as on its page."""

    def __init__(self) -> None:
        self._started: datetime | None = None
        self._head_written = False
        self._number: object = None
        self._texts: dict[object, str] = {}

    def lines_of(self, record: Mapping[str, Any]) -> Iterator[str]:
        at = datetime.fromisoformat(str(record["at"]))
        self._started = self._started or at
        after = round((at - self._started).total_seconds(), 6)
        kind, number = record.get("type"), record.get("number")
        if kind == "statement":
            self._texts[number] = str(record.get("text") or "shell")
        elif kind == "resize":
            size = f"{int(record['columns'])}x{int(record['rows'])}"
            yield from self._head(int(record["columns"]), int(record["rows"]))
            yield from self._turn(after, number)
            yield _line(after, "r", size)
        elif kind == "output" and record.get("text"):
            yield from self._head(80, 24)
            yield from self._turn(after, number)
            yield _line(after, "o", str(record["text"]))

    def _head(self, columns: int, rows: int) -> Iterator[str]:
        if not self._head_written:
            self._head_written = True
            yield json.dumps({"version": 2, "width": columns, "height": rows}) + "\n"

    def _turn(self, after: float, number: object) -> Iterator[str]:
        """Another statement's output comes: a mark, and an empty terminal but for the first."""
        if number != self._number:
            first, self._number = self._number is None, number
            yield _line(after, "m", self._texts.get(number, ""))
            if not first:
                yield _line(after, "o", _FRESH)


def _line(after: float, code: str, text: str) -> str:
    return json.dumps([after, code, text]) + "\n"
