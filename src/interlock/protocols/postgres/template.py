"""The *template* of a text: the same text with its plain literals taken out, by which its classification is kept.

Applications that write values into their statements send a new text each time; its template stays. What is taken out
are whole numbers of at most nine digits, plain decimal numbers, and strings without a prefix or a backslash. Each
leaves a mark that says which of the three it was. Everything else stands in the template byte for byte.

That a mark stands for what PostgreSQL's own parser takes for a constant is checked when a template is first met
(``classify_template.py``): two texts of one template have the same words and signs in the same places. A text in which
that could be doubted (comments, dollar quotes, prefixed strings, control characters) has no template.
"""

from interlock.protocols.postgres import template_in_c

_NUMBER, _DECIMAL, _STRING = 1, 2, 3
"""The marks. No text that has a template holds these bytes."""

_LONGEST_NUMBER = 9
"""How many digits certainly fit four bytes, so that the parser takes all such numbers for the same kind."""

_QUOTE, _DOUBLE_QUOTE, _AMPERSAND, _DOT, _SPACE = 39, 34, 38, 46, 32

_PLAIN = bytes(
    char == 9 or char == 10 or (32 <= char < 127 and chr(char) not in "0123456789\"'$-/") for char in range(256)
)
"""1 for what begins neither a literal nor anything in which one would be none."""


def find_template(
    text: bytes, places: list[tuple[int, int]] | None = None, start: int = 0, end: int = -1
) -> bytes | None:
    """The template of what stands in ``text`` from ``start`` to ``end``, or None if it has none.

    ``places`` gets the start and end of every literal that was taken out, quotes included.
    """
    end = len(text) if end < 0 else end
    out = template_in_c.make_room(end - start)
    at = start
    size = 0
    previous = _SPACE
    plain = _PLAIN
    while at < end:
        char = text[at]
        after = at + 1
        if plain[char]:
            template_in_c.put(out, size, char)
            size += 1
            at = after
            previous = char
            continue
        kind = 0
        if _is_digit(char):
            if not _continues_word(previous) and previous != _DOT:
                after = _end_of_number(text, at, end)
                kind = _kind_of_number(text, at, after, end)
        elif char == _QUOTE:
            after = _end_of_string(text, after, end)
            if after < 0 or _continues_word(previous) or previous == _AMPERSAND:
                return None
            kind = _STRING
        elif char == _DOUBLE_QUOTE:
            after = text.find(b'"', after, end) + 1
            if after == 0:
                return None
        elif _is_doubtful(text, at, end, char, previous):
            return None
        if kind:
            if places is not None:
                places.append((at, after))
            template_in_c.put(out, size, kind)
            size += 1
            at = after
        else:
            while at < after:
                if text[at] <= _STRING:
                    return None
                template_in_c.put(out, size, text[at])
                size += 1
                at += 1
        previous = text[after - 1]
    return template_in_c.take(out, size)


def _is_doubtful(text: bytes, at: int, end: int, char: int, previous: int) -> bool:
    """Whether ``char`` may begin something in which a literal would not be one."""
    following = text[at + 1] if at + 1 < end else _SPACE
    if char == 45 or char == 47:
        return following == (45 if char == 45 else 42)
    if char == 36:  # a dollar quote, unless it is a parameter or within a word
        return not _continues_word(previous) and not _is_digit(following)
    return char >= 127 or (char < _SPACE and not 9 <= char <= 13)


def _is_digit(char: int) -> bool:
    return 48 <= char <= 57


def _continues_word(char: int) -> bool:
    """Whether what follows ``char`` may belong to the same word: it is one of A-Z a-z 0-9 _ $."""
    return 97 <= char <= 122 or 48 <= char <= 57 or 65 <= char <= 90 or char == 95 or char == 36


def _end_of_number(text: bytes, at: int, end: int) -> int:
    while at < end and (_is_digit(text[at]) or text[at] == _DOT):
        at += 1
    return at


def _kind_of_number(text: bytes, start: int, after: int, end: int) -> int:
    """The mark of a number, 0 for one that is not plain."""
    if after < end and _continues_word(text[after]):
        return 0
    points = 0
    at = start
    while at < after:
        points += text[at] == _DOT
        at += 1
    if points == 0:
        return _NUMBER if after - start <= _LONGEST_NUMBER else 0
    return _DECIMAL if points == 1 and text[after - 1] != _DOT else 0


def _end_of_string(text: bytes, at: int, end: int) -> int:
    """Where a string ends whose opening quote stands before ``at``; -1 if it does not, or holds what may be more."""
    while at < end:
        char = text[at]
        if char == 92 or char >= 127 or char < _SPACE:
            return -1
        at += 1
        if char == _QUOTE:
            if at < end and text[at] == _QUOTE:
                at += 1
            else:
                return at
    return -1
