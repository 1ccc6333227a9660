"""From the bytes of a statement to what is asked about it: the text, exactly, and its classification, cached."""

from collections.abc import Mapping

from interlock.protocols.postgres import messages
from interlock.protocols.postgres.classify import Classified, ClassifyContext, classify
from interlock.protocols.postgres.classify_result import not_understood

_CACHED_TEXTS = 4096
_CACHED_TEXT_CHARS = 8192


class Reader:
    """Classifies texts. One serves all sessions of a worker; ``recent`` keeps what is asked for again and again.

    Only what depends on nothing but the text and the context's settings is kept: not what runs a prepared statement
    by name, and not what was not understood.
    """

    def __init__(self) -> None:
        self._recent: dict[tuple[str, bool, bool], Classified] = {}

    def read(self, text: str, *, read_only: bool, ascii_only: bool, prepared: Mapping[str, Classified]) -> Classified:
        """Classify ``text``. ``ascii_only``: in this session no other character has one meaning."""
        if not text.isascii():
            if ascii_only:
                return not_understood("it holds other characters than ASCII, and client_encoding is SQL_ASCII")
            try:
                text.encode()
            except UnicodeEncodeError:
                return not_understood("its bytes are not UTF-8")
        key = (text, read_only, bool(prepared))
        known = self._recent.get(key)
        if known is not None:
            return known
        classified = classify(text, ClassifyContext(prepared=prepared, read_only=read_only))
        if not prepared and not classified.unknown and classified.executes is None and len(text) <= _CACHED_TEXT_CHARS:
            if len(self._recent) >= _CACHED_TEXTS:
                del self._recent[next(iter(self._recent))]
            self._recent[key] = classified
        return classified


def may_execute_prepared(text: str) -> bool:
    """Whether the text may hold EXECUTE, so that its meaning depends on the prepared statements of the session."""
    return "execute" in text.lower()


def show(text: str) -> str:
    """The text as it is written down: bytes that are not UTF-8 as escapes."""
    if text.isascii():
        return text
    return messages.encode(text).decode("utf-8", "backslashreplace")
