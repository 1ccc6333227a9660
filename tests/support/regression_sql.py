"""PostgreSQL's own regression tests as statements, and the same statements with other literals in them."""

import functools
import importlib
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

# Imported by name: postgast's stub file has a field called `from`, at which mypy stops if it follows the import.
_postgast = importlib.import_module("postgast")
_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / "build" / "regression-sql"

_COPIED = re.compile(r"^copy\b.*\bfrom\s+stdin\b.*;\s*$", re.IGNORECASE)
_META_AT_END = re.compile(r"\\(g|gx|gset|gexec|gdesc|crosstabview|watch|bind|parse|bind_named|sendpipeline|;).*$")

_NUMBERS = ("0", "1", "2", "7", "007", "999999999", "1000000000", "2147483648", "99999999999999999999", "0x1f", "1_0")
_DECIMALS = ("0.5", "1.0", "1.", ".5", "1e3", "1.5e-3")
_STRINGS = (
    "",
    "a",
    "a''b",
    "off",
    "on",
    "role",
    "default_transaction_read_only",
    "pg_authid",
    "select 1",
    "delete from orders",
    "/etc/passwd",
    "1",
    "%",
    "-- a",
    "\\",
)
_INTEGER, _FLOAT, _STRING, _TRUE, _FALSE = (
    _postgast.pg_query_pb2.Token.Value(name) for name in ("ICONST", "FCONST", "SCONST", "TRUE_P", "FALSE_P")
)


@functools.lru_cache(maxsize=1)
def statements() -> tuple[str, ...]:
    """Every statement once, in the order of the files. What is there to be read by psql alone is left out."""
    subprocess.run([str(_ROOT / "tools" / "regression-sql")], check=True)
    found: dict[str, None] = {}
    for file in sorted(_FOLDER.glob("*.sql")):
        for text in _split(_without_psql(file.read_text(errors="replace"))):
            if text.strip() and "\0" not in text:
                found.setdefault(text.strip(), None)
    return tuple(found)


def varied(text: str, dice: random.Random) -> str:
    """``text`` with other literals: all of them, or one. The same text when it has none, or cannot be scanned."""
    raw = text.encode()
    try:
        tokens = _postgast.scan(text).tokens
    except (_postgast.PgQueryError, ValueError):
        return text
    places = [(token.start, token.end, token.token) for token in tokens if token.token in _OTHERS]
    if not places:
        return text
    if dice.randrange(2):
        places = [dice.choice(places)]
    for start, end, kind in reversed(places):
        raw = raw[:start] + _OTHERS[kind](dice).encode() + raw[end:]
    return raw.decode()


_OTHERS: dict[int, Callable[[random.Random], str]] = {
    _INTEGER: lambda dice: dice.choice(_NUMBERS),
    _FLOAT: lambda dice: dice.choice(_DECIMALS),
    _STRING: lambda dice: f"'{dice.choice(_STRINGS)}'",
    _TRUE: lambda dice: dice.choice((" true ", " false ")),
    _FALSE: lambda dice: dice.choice((" true ", " false ")),
}


def shape(text: str) -> str:
    """What two texts have in common that differ in literals alone; the text's own words when it is not read."""
    try:
        return str(_postgast.fingerprint(text).hex)
    except (_postgast.PgQueryError, ValueError):
        return re.sub(r"[0-9]+|'[^']*'", "?", text)


def _without_psql(text: str) -> str:
    """``text`` without psql's commands and without the data that follows a COPY."""
    kept, copying = [], False
    for line in text.split("\n"):
        if copying:
            copying = line != "\\."
        elif not line.lstrip().startswith("\\"):
            kept.append(_META_AT_END.sub(";", line))
            copying = _COPIED.match(line) is not None
    return "\n".join(kept)


def _split(text: str) -> Iterator[str]:
    try:
        yield from _postgast.split(text, method="scanner")
    except (_postgast.PgQueryError, ValueError):
        # One text in the file cannot even be scanned: the lines tell where statements end.
        yield from re.split(r";[ \t]*\n", text)
