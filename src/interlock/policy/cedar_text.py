"""Cedar text taken apart into single policies with their lines, which Cedar's own messages do not carry.

Cedar's grammar ends a policy with ``;`` and uses it nowhere else outside of strings and ``//`` comments.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolicyText:
    """One policy as written; ``line`` (from 1) is that of its first word, its annotations included."""

    line: int
    text: str

    def line_of(self, token: str) -> int:
        """The line of ``token`` when the policy has it once, else the policy's own."""
        if token and self.text.count(token) == 1:
            return self.line + self.text.count("\n", 0, self.text.index(token))
        return self.line


def split_policies(text: str) -> Iterator[PolicyText]:
    """The policies of ``text`` in order. What stands after the last ``;`` comes as one more, unless it is empty."""
    start = _skip_blank(text, 0)
    position = start
    while position < len(text):
        character = text[position]
        if character == ";":
            yield PolicyText(text.count("\n", 0, start) + 1, text[start : position + 1])
            start = position = _skip_blank(text, position + 1)
        elif character == '"':
            position = _end_of_string(text, position)
        elif text.startswith("//", position):
            position = _end_of_line(text, position)
        else:
            position += 1
    if start < len(text):
        yield PolicyText(text.count("\n", 0, start) + 1, text[start:])


LONGEST = 16_384
"""The most characters that one policy may have."""

DEEPEST = 32
"""The most brackets that may be open at once in one policy."""


def too_much(text: str) -> str:
    """Why one policy's text is not given to Cedar, whose parser recurses without a bound of its own; empty if it is."""
    if len(text) > LONGEST:
        return f"the policy is longer than {LONGEST} characters"
    depth = position = 0
    while position < len(text):
        character = text[position]
        if character == '"':
            position = _end_of_string(text, position)
            continue
        if text.startswith("//", position):
            position = _end_of_line(text, position)
            continue
        depth += (character in "([{") - (character in ")]}")
        if depth > DEEPEST:
            return f"the policy has more than {DEEPEST} brackets open at once"
        position += 1
    return ""


def _skip_blank(text: str, position: int) -> int:
    while position < len(text):
        if text[position].isspace():
            position += 1
        elif text.startswith("//", position):
            position = _end_of_line(text, position)
        else:
            break
    return position


def _end_of_line(text: str, position: int) -> int:
    """Past the end of the line: Cedar ends a comment at a line feed and at a carriage return."""
    while position < len(text) and text[position] not in "\n\r":
        position += 1
    return position + 1


def _end_of_string(text: str, position: int) -> int:
    position += 1
    while position < len(text) and text[position] != '"':
        position += 2 if text[position] == "\\" else 1
    return position + 1


def quote(text: str) -> str:
    """``text`` as a Cedar string literal. Everything but plain ASCII is written by its code point."""
    return '"' + "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\u{{{ord(c):x}}}" for c in text) + '"'
