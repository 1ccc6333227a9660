"""An SQL terminal's session: lines typed become queries to the gateway, answers become tables on the terminal."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

from interlock.errors import InterlockError
from interlock.web.console.postgres_line import Columns, Done, PostgresLine, Row, Said
from interlock.web.console.sql_screen import HELP, LineEditor, harmless, query_of, table_of

_ROWS_AT_ONCE = 200
Show = Callable[[bytes], Awaitable[None]]


class SqlTerminal:
    """``show`` takes what the terminal is to show. ``over`` is set when the person has left."""

    def __init__(self, line: PostgresLine, resource: str, show: Show, stop: Callable[[], Awaitable[None]]) -> None:
        self.over = asyncio.Event()
        self._line = line
        self._resource = resource
        self._show = show
        self._stop = stop
        self._editor = LineEditor()
        self._query = ""
        self._turned = False
        self._running: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self._say([f"{self._resource}, through Interlock. {HELP}"])
        await self._prompt()

    async def type(self, payload: bytes) -> None:
        """Bytes from the browser. While a query runs only Ctrl-C means something."""
        typed = payload.decode(errors="replace")
        if self._running is not None and not self._running.done():
            if "\x03" in typed:
                await self._stop()
            return
        lines = self._editor.type(typed)
        await self._show(self._editor.take_echo().encode())
        for line in lines:
            await self._take(line)
            if self.over.is_set():
                return

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        self._line.close()

    async def _take(self, line: str) -> None:
        if line == "\x03":
            self._query = ""
        elif line == "\x04" or (not self._query and line.strip() in ("\\q", "exit", "quit")):
            self.over.set()
            return
        elif not self._query and line.strip().startswith("\\"):
            await self._take_word(line.strip())
            return
        else:
            self._query += line + "\n"
            if self._query.rstrip().endswith(";"):
                query, self._query = self._query.strip(), ""
                self._running = asyncio.get_running_loop().create_task(self._run(query))
                return
            if not self._query.strip():
                self._query = ""
        await self._prompt()

    async def _take_word(self, word: str) -> None:
        query = query_of(word)
        if query is not None:
            self._running = asyncio.get_running_loop().create_task(self._run(query))
            return
        if word == "\\x":
            self._turned = not self._turned
            await self._say([f"Rows are {'turned' if self._turned else 'lines'} now."])
        else:
            await self._say([HELP if word in ("\\?", "\\h") else f"{harmless(word[:20])} is not known here. {HELP}"])
        await self._prompt()

    async def _run(self, query: str) -> None:
        names: tuple[str, ...] = ()
        rows: list[tuple[str | None, ...]] = []
        try:
            async for answer in self._line.query(query):
                if isinstance(answer, Columns):
                    names, rows = answer.names, []
                elif isinstance(answer, Row):
                    rows.append(answer.values)
                    if len(rows) >= _ROWS_AT_ONCE:
                        await self._say(table_of(names, rows, turned=self._turned))
                        rows = []
                elif isinstance(answer, Said):
                    await self._say([f"{answer.level}:  {answer.sentence}", *answer.more.splitlines()])
                elif isinstance(answer, Done):
                    shown = table_of(names, rows, turned=self._turned) if rows or names else []
                    await self._say([*shown, answer.tag])
                    names, rows = (), []
        except InterlockError as error:
            await self._say([str(error)])
            self.over.set()
            return
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            await self._say(["The session is over."])
            self.over.set()
            return
        await self._prompt()

    async def _prompt(self) -> None:
        mark = {"I": "=", "T": "*", "E": "!"}.get(self._line.status, "?")
        await self._show(f"{self._resource}{'-' if self._query else mark}> ".encode())

    async def _say(self, lines: list[str]) -> None:
        await self._show("".join(f"{harmless(line)}\r\n" for line in lines).encode())
