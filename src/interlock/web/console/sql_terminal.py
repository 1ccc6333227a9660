"""An SQL terminal's session: lines typed become queries to the gateway, answers become tables on the terminal.

Holds to:

* one query at a time; what is typed or pasted while it runs waits for it, in its order, and nothing of it is lost
* Ctrl-C stops what runs and throws away what waits
* what is longer than may wait ends the terminal: a part of a paste is never run for the whole
* what is kept of an answer is bounded, by rows and by characters
"""

import asyncio
import codecs
import re
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from interlock.errors import InterlockError
from interlock.web.console.postgres_line import Columns, Done, PostgresLine, Row, Said
from interlock.web.console.sql_screen import HELP, LineEditor, harmless, query_of, table_of

_ROWS_AT_ONCE = 200
_CHARACTERS_AT_ONCE = 128 * 1024
_MOST_AHEAD = 1024 * 1024
_LONGEST_LINE = 64 * 1024
_PARTS = re.compile(r"[^\r\n\x03\x04]{0,1023}[\r\n\x03\x04]|[^\r\n\x03\x04]{1,1024}")
"""What the line editor takes at a time: it holds one end of a line at most, its last character."""
_TOO_MUCH = (
    "A line of more than 64 KB, or more than 1 MB, was typed ahead, so this terminal ends; what had not begun did not "
    "run. For scripts use psql: interlock connect RESOURCE"
)
Show = Callable[[bytes], Awaitable[None]]


class SqlTerminal:
    """``show`` takes what the terminal is to show, ``stop`` asks the gateway to stop what runs."""

    def __init__(self, line: PostgresLine, resource: str, show: Show, stop: Callable[[], Awaitable[None]]) -> None:
        self._line = line
        self._resource = resource
        self._show = show
        self._stop = stop
        self._editor = LineEditor()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._ahead: deque[str] = deque()
        self._ahead_size = 0
        self._typed = asyncio.Event()
        self._query: list[str] = []
        self._query_size = 0
        self._turned = False
        self._runs = False
        self._stopped = False
        self._too_much = False
        self._over = False

    async def work(self) -> None:
        """Until the person has left, the session is over, or too much was typed."""
        await self._say([f"{self._resource}, through Interlock. {HELP}"])
        await self._prompt()
        while not self._over:
            await self._typed.wait()
            self._typed.clear()
            while self._ahead and not self._over:
                self._stopped = False
                part = self._ahead.popleft()
                self._ahead_size -= len(part)
                await self._take_part(part)
                # A long paste is not all that this process does.
                await asyncio.sleep(0)
            if self._too_much:
                await self._say([_TOO_MUCH])
                return

    async def type(self, payload: bytes) -> None:
        """Bytes from the browser."""
        if self._too_much:
            return
        typed = self._decoder.decode(payload)
        _, ctrl_c, after = typed.rpartition("\x03")
        if ctrl_c:
            # What is being taken may be a query that is about to begin.
            self._throw_away()
            self._stopped = True
            await self._stop_what_runs()
            typed = after if self._runs else ctrl_c + after
        self._ahead.extend(_PARTS.findall(typed))
        self._ahead_size += len(typed)
        if self._ahead_size + self._query_size > _MOST_AHEAD:
            self._refuse_all()
            await self._stop_what_runs()
        self._typed.set()

    def close(self) -> None:
        self._line.close()

    def _throw_away(self) -> None:
        self._ahead.clear()
        self._ahead_size = 0

    def _refuse_all(self) -> None:
        """None of it begins: the rest of a paste would be another statement."""
        self._too_much = True
        self._throw_away()

    async def _stop_what_runs(self) -> None:
        if self._runs:
            with suppress(OSError, EOFError):
                await self._stop()

    async def _take_part(self, part: str) -> None:
        lines = self._editor.type(part)
        await self._show(self._editor.take_echo().encode())
        if any(len(line) > _LONGEST_LINE for line in (self._editor.text, *lines)):
            self._refuse_all()
            return
        for line in lines:
            await self._take(line)

    async def _take(self, line: str) -> None:
        words = line.strip()
        if line == "\x03":
            self._take_query()
        elif line == "\x04" or (not self._query and words in ("\\q", "exit", "quit")):
            self._over = True
            return
        elif not self._query and words.startswith("\\"):
            await self._take_word(words)
            return
        elif words or self._query:
            self._query.append(line)
            self._query_size += len(line) + 1
            if words.endswith(";"):
                await self._run(self._take_query())
                return
        await self._prompt()

    def _take_query(self) -> str:
        query = "\n".join(self._query).strip()
        self._query, self._query_size = [], 0
        return query

    async def _take_word(self, word: str) -> None:
        query = query_of(word)
        if query is not None:
            await self._run(query)
            return
        if word == "\\x":
            self._turned = not self._turned
            await self._say([f"Rows are {'turned' if self._turned else 'lines'} now."])
        else:
            await self._say([HELP if word in ("\\?", "\\h") else f"{harmless(word[:20])} is not known here. {HELP}"])
        await self._prompt()

    async def _run(self, query: str) -> None:
        if self._stopped or self._too_much:
            await self._say(["Stopped before it began."])
            await self._prompt()
            return
        self._runs = True
        try:
            await self._show_answers(query)
        except InterlockError as error:
            await self._say([str(error)])
            self._over = True
        except (OSError, EOFError):
            await self._say(["The session is over."])
            self._over = True
        else:
            await self._prompt()
        finally:
            self._runs = False

    async def _show_answers(self, query: str) -> None:
        names: tuple[str, ...] = ()
        rows: list[tuple[str | None, ...]] = []
        kept = 0
        async for answer in self._line.query(query):
            if isinstance(answer, Columns):
                names, rows, kept = answer.names, [], 0
            elif isinstance(answer, Row):
                rows.append(answer.values)
                kept += sum(len(value or "") for value in answer.values)
                if len(rows) >= _ROWS_AT_ONCE or kept >= _CHARACTERS_AT_ONCE:
                    await self._say(table_of(names, rows, turned=self._turned))
                    rows, kept = [], 0
            elif isinstance(answer, Said):
                await self._say([f"{answer.level}:  {answer.sentence}", *answer.more.splitlines()])
            elif isinstance(answer, Done):
                shown = table_of(names, rows, turned=self._turned) if rows or names else []
                await self._say([*shown, answer.tag])
                names, rows, kept = (), [], 0

    async def _prompt(self) -> None:
        mark = {"I": "=", "T": "*", "E": "!"}.get(self._line.status, "?")
        await self._show(f"{self._resource}{'-' if self._query else mark}> ".encode())

    async def _say(self, lines: list[str]) -> None:
        await self._show("".join(f"{harmless(line)}\r\n" for line in lines).encode())
