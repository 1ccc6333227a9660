"""Everything that is wrong with a configuration, collected so that people see it all at once."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from interlock.errors import ConfigurationError

_MOST = 200
"""Past so many mistakes the file is something else than a configuration; the rest is counted."""

_FEW = 500


@dataclass(slots=True)
class Mistakes:
    """Mistakes and warnings of one load. ``source`` is the name of the YAML file, as people know it."""

    source: str
    _mistakes: list[tuple[str, int, str]] = field(default_factory=list)
    _warnings: list[tuple[str, int, str]] = field(default_factory=list)

    def add(self, line: int, sentence: str, right: str = "", *, file: str | None = None) -> None:
        """``sentence`` says what is wrong on ``line`` (from 1), ``right`` what would be right, both without a dot."""
        self._mistakes.append((file or self.source, line, _join(sentence, right)))

    def warn(self, line: int, sentence: str, right: str = "", *, file: str | None = None) -> None:
        self._warnings.append((file or self.source, line, _join(sentence, right)))

    @property
    def any(self) -> bool:
        return bool(self._mistakes)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._lines(self._warnings))

    def check(self) -> None:
        """Raises ConfigurationError when there is any mistake."""
        if not self._mistakes:
            return
        lines = self._lines(self._mistakes)
        if len(lines) > _MOST:
            lines = [*lines[:_MOST], f"{self.source}: and {len(lines) - _MOST} more"]
        raise ConfigurationError(tuple(lines))

    def _lines(self, entries: list[tuple[str, int, str]]) -> list[str]:
        ordered = sorted(dict.fromkeys(entries), key=lambda entry: (entry[0] != self.source, entry[0], entry[1]))
        return [f"{file}:{line}: {sentence}" for file, line, sentence in ordered]


def _join(sentence: str, right: str) -> str:
    return f"{sentence}; {right}" if right else sentence


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that ``name`` is most likely a slip for, or None.

    Among very many names only those with the same first letter are looked at: comparing is slow.
    """
    known = set(known)
    if len(known) > _FEW:
        known = {other for other in known if other[:1] == name[:1]}
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)), None)


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """'did you mean writer?', or ``otherwise``, or the known names when there are few of them."""
    names = sorted(set(known))
    close = closest(name, names)
    if close is not None:
        return f"did you mean {close}?"
    if otherwise or not 0 < len(names) <= 12:
        return otherwise
    return f"known: {', '.join(names)}"
