"""What a person types at the SQL terminal, and how answers look there: a line editor, a few words, tables.

Not psql, on purpose: psql starts programs and reads files of the machine that it runs on (``\\!``, ``\\o |``,
``\\copy``, ``\\i``), which here would be the control plane's. Every word with a backslash here is a query or changes
how rows look.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_HISTORY = 200
_LONGEST_REMEMBERED = 4096
_RUNS = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]+|.", re.DOTALL)
"""Characters in a row that only add to the line, tabs too; or one that acts."""
_WIDEST = 60
HELP = (
    "SQL ends with a semicolon. \\d lists tables, \\d NAME describes one, \\dn schemas, \\du roles, \\x turns rows, "
    "\\q ends. Ctrl-C stops what runs, or clears the line."
)
_TABLES = (
    "SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' "
    "WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'p' THEN 'partitioned table' "
    "WHEN 'f' THEN 'foreign table' END AS kind FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
    "ON n.oid = c.relnamespace WHERE c.relkind IN ('r','v','m','S','p','f') "
    "AND n.nspname NOT IN ('pg_catalog','information_schema','pg_toast') ORDER BY 1, 2"
)
_COLUMNS = (
    "SELECT a.attname AS column, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, "
    "CASE WHEN a.attnotnull THEN 'not null' ELSE '' END AS nullable FROM pg_catalog.pg_attribute a "
    "JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE a.attnum > 0 AND NOT a.attisdropped AND (c.relname = {name} OR n.nspname || '.' || c.relname = {name}) "
    "ORDER BY n.nspname, a.attnum"
)
_WORDS = {
    "\\d": _TABLES,
    "\\dt": _TABLES,
    "\\dn": "SELECT nspname AS schema FROM pg_catalog.pg_namespace ORDER BY 1",
    "\\du": "SELECT rolname AS role FROM pg_catalog.pg_roles ORDER BY 1",
}


def query_of(line: str) -> str | None:
    """The query that a word with a backslash stands for; None for what is none."""
    word, _, name = line.strip().rstrip(";").partition(" ")
    if word == "\\d" and name.strip():
        return _COLUMNS.format(name="'" + name.strip().replace("'", "''") + "'")
    return _WORDS.get(word) if not name.strip() else None


@dataclass(slots=True)
class LineEditor:
    """Bytes typed to lines. ``echo`` gathers what the terminal is to show."""

    text: str = ""
    history: list[str] = field(default_factory=list)
    echo: str = ""
    _at: int = 0
    _escape: str = ""

    def type(self, typed: str) -> list[str]:
        """The lines that are whole now; ``\\x03`` and ``\\x04`` stand for themselves."""
        lines = []
        for run in _RUNS.findall(typed):
            at = 0
            while self._escape and at < len(run):
                if run[at] < " ":
                    # Ctrl-C or the end of a line after a lone Esc: no sequence holds it.
                    self._escape = ""
                    break
                self._take_escape(run[at])
                at += 1
            if at == len(run):
                continue
            one = run[at:]
            if one == "\x1b":
                self._take_escape(one)
            elif one in ("\r", "\n"):
                lines.append(self._end_line())
            elif one == "\x03":
                self.echo += "^C\r\n"
                self.text = ""
                lines.append(one)
            elif one == "\x04":
                if not self.text:
                    lines.append(one)
            elif one in ("\x7f", "\b"):
                if self.text:
                    self.text = self.text[:-1]
                    self.echo += "\b \b"
            elif one == "\x15":
                self._replace("")
            else:
                self._add("".join(letter for letter in one if letter.isprintable() or letter == "\t"))
        return lines

    def _end_line(self) -> str:
        line, self.text = self.text, ""
        self.echo += "\r\n"
        if line.strip() and len(line) <= _LONGEST_REMEMBERED:
            self.history = [*self.history[1 - _HISTORY :], line]
        self._at = len(self.history)
        return line

    def _add(self, letters: str) -> None:
        self.text += letters
        self.echo += _echo_of(letters)

    def take_echo(self) -> str:
        echo, self.echo = self.echo, ""
        return echo

    def _take_escape(self, one: str) -> None:
        self._escape += one
        if self._escape in ("\x1b[A", "\x1b[B") and self.history:
            step = -1 if one == "A" else 1
            self._at = min(max(self._at + step, 0), len(self.history))
            self._replace(self.history[self._at] if self._at < len(self.history) else "")
        if (len(self._escape) > 2 and (one.isalpha() or one == "~")) or len(self._escape) > 16:
            self._escape = ""

    def _replace(self, text: str) -> None:
        self.echo += "\b \b" * len(self.text) + _echo_of(text)
        self.text = text


def _echo_of(text: str) -> str:
    """A tab stays one in what is sent, and takes one column of the screen: it is taken back as one."""
    return text.replace("\t", " ")


def table_of(names: Sequence[str], rows: Sequence[Sequence[str | None]], *, turned: bool) -> list[str]:
    """Lines of a table. What would act on a terminal is shown, not done."""
    shown = [[_cell(value) for value in row] for row in rows]
    heads = [_cell(name) for name in names]
    if turned:
        wide = max((len(head) for head in heads), default=0)
        return [
            line
            for place, row in enumerate(shown, 1)
            for line in (
                f"-[ {place} ]-",
                *(f"{head:<{wide}} | {value}" for head, value in zip(heads, row, strict=False)),
            )
        ]
    wides = [max([len(head), *(len(row[place]) for row in shown)]) for place, head in enumerate(heads)]
    lines = [" " + " | ".join(head.ljust(wide) for head, wide in zip(heads, wides, strict=True))]
    lines.append("-" + "-+-".join("-" * wide for wide in wides) + "-")
    lines += [" " + " | ".join(v.ljust(w) for v, w in zip(row, wides, strict=False)) for row in shown]
    return lines


def harmless(text: str) -> str:
    """Nothing in it moves a cursor, rings a bell or changes a colour."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def _cell(value: str | None) -> str:
    if value is None:
        return ""
    shown = harmless(value.replace("\n", "↵"))
    return shown if len(shown) <= _WIDEST * 4 else shown[: _WIDEST * 4] + "…"
