"""Statements of the machine's own on the client's connection, whose answers the client never sees.

They go by the extended protocol under reserved names, because a simple query would destroy the client's unnamed
statement and portal. Every name in them is qualified with its schema: the client's search path is not ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from interlock.protocols.postgres import messages
from interlock.protocols.postgres.reading import RESERVED

_NAME = f"{RESERVED}own"

Row = tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One statement to run, with ``parameters`` as text. ``statement`` and ``tail`` bind one that is already there.

    Rows are discarded as they come unless ``keeps_rows``. With ``describes`` it is not run: what columns it would show
    is asked for.
    """

    text: str = ""
    parameters: tuple[str, ...] = ()
    statement: str | None = None
    tail: bytes | None = None
    keeps_rows: bool = True
    describes: bool = False

    def build(self) -> list[tuple[str, bytes]]:
        """The messages of the step, each with its type."""
        statement = _NAME if self.statement is None else self.statement
        built = [("C", messages.close(b"P", _NAME)), ("C", messages.close(b"S", _NAME))]
        if self.statement is None:
            built.append(("P", messages.parse(_NAME, self.text)))
        if self.describes:
            built.append(("D", messages.describe(b"S", statement)))
        else:
            tail = messages.bind_tail(self.parameters) if self.tail is None else self.tail
            built += [("B", messages.bind(_NAME, statement, tail)), ("E", messages.execute(_NAME))]
        built += [("C", messages.close(b"P", _NAME)), ("C", messages.close(b"S", _NAME))]
        return built


@dataclass(frozen=True, slots=True)
class Answer:
    rows: list[Row]
    tag: str


@dataclass(slots=True)
class Injection:
    """The steps on their way and what came back. ``error`` holds the server's fields when a step failed.

    ``answers`` has one entry for each step that succeeded, in order. ``description`` is the RowDescription that was
    asked for, empty for a statement that shows nothing.
    """

    steps: Sequence[Step]
    answers: list[Answer] = field(default_factory=list)
    error: dict[str, str] | None = None
    done: bool = False
    description: bytes = b""
    _raw_rows: bytearray = field(default_factory=bytearray)

    @property
    def succeeded(self) -> bool:
        return self.error is None and len(self.answers) == len(self.steps)

    @property
    def sqlstate(self) -> str:
        return "" if self.error is None else self.error.get("C", "")

    @property
    def sentence(self) -> str:
        """What the server said, or nothing."""
        return "" if self.error is None else self.error.get("M", "")

    def take_rows(self, raw: bytes | memoryview) -> None:
        if self.steps[len(self.answers)].keeps_rows:
            self._raw_rows += raw

    def take_end(self, tag: str) -> None:
        rows = messages.read_rows(bytes(self._raw_rows)) if self._raw_rows else []
        self._raw_rows.clear()
        self.answers.append(Answer(rows, tag))

    def take_description(self, raw: bytes) -> None:
        self.description = raw
        self.take_end("")

    def take_error(self, fields: dict[str, str]) -> None:
        if self.error is None:
            self.error = fields
