"""From a statement's text to what is asked about it: its classification, cached by the text's template."""

from collections.abc import Mapping
from typing import Any

from interlock.ports.statement import Described, Effect
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.classify import Classified, ClassifyContext, classify, classify_template
from interlock.protocols.postgres.classify_result import not_understood
from interlock.protocols.postgres.template import find_template

RESERVED = "__interlock_"
"""How the names begin that the machine uses on the client's connection for its own ends."""

_NEVER, _AT_COMMIT = Effect.NEVER, Effect.AT_COMMIT
_CACHED_TEXTS = 4096
_CACHED_TEXT_CHARS = 8192


class Reading:
    """What one text was found to be, and what the machine asks of it again and again, worked out once.

    ``unsettles``: settings or the names of prepared statements may be others once it has run. ``plain``: it runs and
    makes nothing by name, takes no copy data and gives the session no other name, so that what it is depends on nothing
    but its text. ``steady``: also, it changes no setting and copies nothing.
    """

    def __init__(self, classified: Classified) -> None:
        self.classified = classified
        self.unsettles = bool(
            classified.may_change_settings
            or classified.prepares
            or classified.deallocates
            or classified.deallocates_all
        )
        self.ends_transaction = classified.ends_transaction
        self.changes = classified.changes or classified.ends_transaction
        self.takes_reserved = any(is_reserved(name) for name, _ in classified.prepares)
        self.runs_names = classified.executes is not None or bool(classified.fetches)
        makes_names = bool(classified.prepares or classified.renames)
        self.plain = not (self.runs_names or makes_names or classified.copies_in or classified.unknown)
        # What comes of it is rows, a tag and the state of the transaction: what the short way may take (lane.py).
        self.steady = self.plain and not (self.unsettles or classified.copies_out)
        self._never: Described | None = None
        self._at_commit: Described | None = None
        self._now: Described | None = None

    def described(self, effect: Effect) -> Described:
        """What the gateway is told of it; the same object for the same ``effect``."""
        if effect is _NEVER:
            if self._never is None:
                self._never = self._describe(effect)
            return self._never
        if effect is _AT_COMMIT:
            if self._at_commit is None:
                self._at_commit = self._describe(effect)
            return self._at_commit
        if self._now is None:
            self._now = self._describe(effect)
        return self._now

    def _describe(self, effect: Effect) -> Described:
        classified = self.classified
        return Described(
            needs=classified.needs,
            effect=effect,
            summary=classified.summary,
            measurable=classified.measurable,
            fenceable=classified.fenceable,
            unknown=classified.unknown,
        )


class Reader:
    """Classifies texts. One serves all sessions of a worker, which keeps what is asked for again and again.

    A classification is kept by the text's template when it holds for every text of it, else by the text itself; see
    ``classify_template.py``. Only what depends on nothing else but the kind of session is kept: not what runs a
    prepared statement by name, and not what was not understood.
    """

    def __init__(self) -> None:
        # By template (bytes), or by the text itself (str): one is never taken for the other.
        self._reading: dict[bytes | str, Reading] = {}
        self._writing: dict[bytes | str, Reading] = {}
        # What the short way makes of a Parse of the unnamed statement, by its bytes: drivers send the same all day.
        self._parses: tuple[dict[bytes, Any], dict[bytes, Any]] = ({}, {})

    def kept_parses(self, *, read_only: bool) -> dict[bytes, Any]:
        """Where the short way keeps what it made, for all sessions of a kind."""
        return self._parses[read_only]

    def find(self, text: str, read_only: bool) -> Reading | None:
        """What is kept for ``text``, if it is plain; of one that is not the caller must make sure what it means."""
        return self.find_in(text.encode("ascii"), 0, len(text), read_only) if text.isascii() else None

    def find_in(self, raw: bytes, start: int, end: int, read_only: bool) -> Reading | None:
        """As ``find``, for the bytes from ``start`` to ``end``, which may be anything; of a text with a NUL, or with
        another character than ASCII, nothing is kept."""
        if end - start > _CACHED_TEXT_CHARS:
            return None
        kept = self._reading if read_only else self._writing
        template = find_template(raw, None, start, end)
        found = None if template is None else kept.get(template)
        if found is None:
            text = raw[start:end]
            if text.isascii() and text.find(0) < 0:
                found = kept.get(text.decode("ascii"))
        return found if found is not None and found.plain else None

    def read(self, text: str, *, read_only: bool, ascii_only: bool, prepared: Mapping[str, Classified]) -> Reading:
        """Classify ``text``. ``ascii_only``: in this session no other character has one meaning."""
        if not text.isascii():
            if ascii_only:
                return Reading(not_understood("it holds other characters than ASCII, and client_encoding is SQL_ASCII"))
            try:
                text.encode()
            except UnicodeEncodeError:
                return Reading(not_understood("its bytes are not UTF-8"))
        context = ClassifyContext(prepared=prepared, read_only=read_only)
        if prepared or len(text) > _CACHED_TEXT_CHARS:
            return Reading(classify(text, context))
        kept = self._reading if read_only else self._writing
        places: list[tuple[int, int]] = []
        template = find_template(text.encode("ascii"), places) if text.isascii() else None
        known = None if template is None else kept.get(template)
        if known is None:
            known = kept.get(text)
        if known is not None:
            return known
        classified, for_all = classify_template(text, context, places)
        reading = Reading(classified)
        if not classified.unknown and classified.executes is None:
            if len(kept) >= _CACHED_TEXTS:
                del kept[next(iter(kept))]
            kept[template if for_all and template is not None else text] = reading
        return reading


def is_reserved(name: str) -> bool:
    """Whether a name begins like those that the machine uses for its own ends on the same connection."""
    return name.startswith(RESERVED)


def may_execute_prepared(text: str) -> bool:
    """Whether the text may hold EXECUTE, so that its meaning depends on the prepared statements of the session."""
    return "execute" in text.lower()


def show(text: str) -> str:
    """The text as it is written down: bytes that are not UTF-8 as escapes."""
    if text.isascii():
        return text
    return messages.encode(text).decode("utf-8", "backslashreplace")
