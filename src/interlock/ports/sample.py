"""A few of the rows that a held statement touches, as a machine read them. Part of :mod:`interlock.ports.protocol`.

They are for the person who decides, where the policy lets them read such rows themself. INVARIANT: no row of a sample
is part of a request's content, so it is in no ledger entry, no notice and no list.
"""

from dataclasses import dataclass, field

MOST_PARTS = 6
MOST_ROWS = 5
MOST_COLUMNS = 24
MOST_CHARACTERS = 160
"""Of one value; what is longer is cut."""

MOST_BYTES = 64 * 1024
"""Of a whole sample, as UTF-8."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as text, None for NULL. ``cut`` is ``""``, ``cut`` (more follows) or ``wide`` (too large to be read)."""

    text: str | None = field(repr=False)
    cut: str = ""


@dataclass(frozen=True, slots=True)
class SampledPart:
    """Rows of one part of the resource, such as a table.

    ``moment`` says which: ``before`` rows as they are before the statement, which it would change or take away;
    ``new`` rows that it would put there. ``left_out`` are columns that are not read, ``more_columns`` how many did not
    fit. Without rows ``why_not`` says why there are none.
    """

    part: str
    moment: str = "before"
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = field(default=(), repr=False)
    left_out: tuple[str, ...] = ()
    more_columns: int = 0
    why_not: str = ""

    @property
    def size_bytes(self) -> int:
        return sum(len((cell.text or "").encode()) for row in self.rows for cell in row)


@dataclass(frozen=True, slots=True)
class Sample:
    """``why_not`` says why there is none at all."""

    parts: tuple[SampledPart, ...] = ()
    why_not: str = ""

    @property
    def rows(self) -> int:
        return sum(len(part.rows) for part in self.parts)


NO_SAMPLE = Sample(why_not="Nothing was measured, so no rows were looked at.")
