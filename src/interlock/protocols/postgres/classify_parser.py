"""The one place that knows which parser reads SQL: libpg_query (PostgreSQL 18's grammar) through postgast.

The tree is plain lists and dicts, as libpg_query writes them in JSON: a node is ``{"SelectStmt": {fields}}``, a field
whose type is fixed holds the fields alone, what is empty is left out. That form is read four times faster than
protobuf messages and nests deeper than the hundred levels that protobuf allows.

The C code writes the tree by recursion without any check of the stack, so a long chain (``1+1+1…``) would end the
process. A tree cannot be deeper than the text has tokens: long texts have theirs counted first, and are then read on a
thread whose stack is large enough.
"""

import ctypes
import gc
import importlib
import json
import threading
from typing import Any

# Imported by name: postgast's stub file has a field called `from`, at which mypy stops if it follows the import.
lib = importlib.import_module("postgast.native").lib
ScanResult = importlib.import_module("postgast.pg_query_pb2").ScanResult

Tree = dict[str, Any]

_SHORT_TEXT_BYTES = 16 * 1024
_MOST_TOKENS = 1_000_000
_STACK_BYTES = 512 * 1024 * 1024
_THREAD_STARTING = threading.Lock()


class UnreadableError(Exception):
    """The parser does not read the text, or must not be asked to; the message says why."""


def read_statements(text: str) -> list[Tree]:
    """The statements of ``text``, each a node. Raises UnreadableError for whatever text is not read exactly.

    Safe on any thread. A text of more than a million tokens is not read.
    """
    try:
        query = text.encode()
    except UnicodeEncodeError:
        raise UnreadableError("the text holds characters that are no characters") from None
    if b"\0" in query:
        raise UnreadableError("the text holds a NUL character, and the parser would stop there")
    written = _parse(query) if len(query) <= _SHORT_TEXT_BYTES else _parse_long(query)
    try:
        return _read_tree(written)
    except RecursionError:
        raise UnreadableError("the statement is nested too deeply") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError(f"the parser's answer could not be read: {error}") from None


def _read_tree(written: bytes) -> list[Tree]:
    # A large tree is millions of small objects without cycles: looking for cycles meanwhile takes most of the time.
    pause = len(written) > 50_000 and gc.isenabled()
    if pause:
        gc.disable()
    try:
        return [raw["stmt"] for raw in json.loads(written)["stmts"]]
    finally:
        if pause:
            gc.enable()


def _parse(query: bytes) -> bytes:
    result = lib.pg_query_parse(query)
    try:
        if result.error:
            raise UnreadableError(_describe_error(result.error.contents))
        return bytes(result.parse_tree)
    finally:
        lib.pg_query_free_parse_result(result)


def _parse_long(query: bytes) -> bytes:
    if _count_tokens(query) > _MOST_TOKENS:
        raise UnreadableError("the text is longer than a million words and signs")
    outcome: list[bytes | BaseException] = []

    def parse() -> None:
        try:
            outcome.append(_parse(query))
        except UnreadableError as error:
            outcome.append(error)

    with _THREAD_STARTING:
        before = threading.stack_size(_STACK_BYTES)
        try:
            thread = threading.Thread(target=parse, name="postgres-parser")
            thread.start()
        finally:
            threading.stack_size(before)
    thread.join()
    if not outcome:
        raise UnreadableError("the parser gave no answer")
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _count_tokens(query: bytes) -> int:
    result = lib.pg_query_scan(query)
    try:
        if result.error:
            raise UnreadableError(_describe_error(result.error.contents))
        return len(ScanResult.FromString(ctypes.string_at(result.pbuf.data, result.pbuf.len)).tokens)
    finally:
        lib.pg_query_free_scan_result(result)


def _describe_error(error: Any) -> str:
    message = (error.message or b"").decode("utf-8", "replace")
    return f"PostgreSQL's parser says: {message or 'no reason'}"
