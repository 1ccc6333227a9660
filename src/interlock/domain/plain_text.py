"""Text that somebody else wrote, made so that it cannot act on the terminal or log that shows it."""

import unicodedata

_ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of what is no glyph: control, format (bidirectional overrides too), surrogates, separators."""


def acts(character: str) -> bool:
    """Whether a terminal may do something else with ``character`` than show it."""
    return unicodedata.category(character) in _ACTING


def written_out(text: str, *, keep: str = "") -> str:
    """``text`` with every acting character but those in ``keep`` as an escape: ``\\n``, ``\\x1b``, ``\\u202e``."""
    if text.isprintable():
        return text
    return "".join(_escape(character) if character not in keep and acts(character) else character for character in text)


def _escape(character: str) -> str:
    if character == "\n":
        return "\\n"
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
