"""What a session comes to: the rows that went through it, and the statements that were refused.

Told when one of the numbers has grown by a quarter since it was last told (rows by a hundred at least), so that the
ledger gets a few dozen entries of a session that reads a thousand million rows.
"""

from collections.abc import Callable

from interlock.ports.control import SessionCount

_FEWEST_ROWS = 100
_MOST_ROWS = 10**18
"""More than any server has; one that says so is not counted further."""


class Tally:
    """``told`` hears of it when somebody wants to."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.rows = 0
        self.refused = 0
        self.told: Callable[[SessionCount], None] | None = None
        self._next_rows = _FEWEST_ROWS
        self._next_refused = 1

    def add_rows(self, rows: int) -> None:
        self.rows = min(self.rows + rows, _MOST_ROWS)
        if self.rows >= self._next_rows:
            self._next_rows = self.rows + max(_FEWEST_ROWS, self.rows // 4)
            self._tell()

    def add_refusal(self) -> None:
        self.refused += 1
        if self.refused >= self._next_refused:
            self._next_refused = self.refused + max(1, self.refused // 4)
            self._tell()

    def _tell(self) -> None:
        if self.told is not None:
            self.told(SessionCount(self.session, self.rows, self.refused))
