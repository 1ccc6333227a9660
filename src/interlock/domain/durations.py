"""Durations as people write them: ``90s``, ``30m``, ``8h``, ``7d``."""

import re
from datetime import timedelta

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """The duration that ``text`` says. Raises ValueError, with a sentence, on anything but a number and a unit."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is not a duration: write a whole number and a unit, such as 90s, 30m, 8h or 7d")
    try:
        return timedelta(seconds=int(found[1]) * _UNITS_S[found[2]])
    except OverflowError:
        raise ValueError(f"'{text}' is longer than any duration can be") from None


def format_duration(duration: timedelta) -> str:
    """The shortest form that :func:`parse_duration` reads back as ``duration``, fractions of a second cut off.

    A negative duration has no such form and comes out as ``0s``.
    """
    seconds = max(0, duration // timedelta(seconds=1))
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS_S[unit] == 0:
            return f"{seconds // _UNITS_S[unit]}{unit}"
    return f"{seconds}s"
