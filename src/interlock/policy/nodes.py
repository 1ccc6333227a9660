"""YAML text as a tree of nodes that know their line, before anything in it means anything.

Only what a configuration needs is read: mappings, lists and scalars. Scalars stay text, so that ``on`` is a key and
``1.10`` a version. Refused with the line: anchors, aliases and tags (they hide what a rule says, and a few lines of
aliases can stand for gigabytes), duplicate keys, several documents, nesting past any sense.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from interlock.policy.mistakes import Mistakes

_DEEPEST = 24
_LONGEST = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text as written. ``plain`` is true without quotes."""

    line: int
    text: str
    plain: bool = True

    @property
    def empty(self) -> bool:
        """Whether this says nothing: YAML's null."""
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Listing:
    line: int
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping. ``entries`` are in the order of the file, each key once."""

    line: int
    entries: tuple[tuple[Scalar, "Node"], ...]


Node = Scalar | Listing | Table


def read_tree(text: str, mistakes: Mistakes) -> Table | None:
    """The top-level mapping of ``text``. None when there is none; then ``mistakes`` says why."""
    try:
        text.encode()
    except UnicodeEncodeError:
        mistakes.add(1, "this is not text", "save the file as UTF-8")
        return None
    if len(text) > _LONGEST:
        mistakes.add(1, f"the file is longer than {_LONGEST // 1024 // 1024} MiB", "that is no configuration")
        return None
    try:
        node = _Composer(text, mistakes).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        mistakes.add(
            mark.line + 1 if mark else 1, f"this is not YAML: {said}", "check indentation, quotes and brackets"
        )
        return None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        mistakes.add(line, f"this is not YAML: {error.reason}", "remove the character")
        return None
    except yaml.YAMLError as error:
        mistakes.add(1, f"this is not YAML: {str(error).splitlines()[0]}", "check indentation, quotes and brackets")
        return None
    except _GiveUp:
        return None
    if isinstance(node, Table):
        return node
    if node is None or (isinstance(node, Scalar) and node.empty):
        mistakes.add(1, "the file is empty", "docs/configuration.md begins with a small example")
    else:
        mistakes.add(node.line, "the file is not a mapping of sections", "begin with `resources:`, `people:`, `roles:`")
    return None


class _GiveUp(Exception):
    """What follows cannot be read sensibly; the mistake is already noted."""


class _Composer:
    """Nodes from the parser's events, one document, depth bounded."""

    def __init__(self, text: str, mistakes: Mistakes) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._mistakes = mistakes

    def document(self) -> Node | None:
        node: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if node is not None:
                    self._mistakes.add(_line(event), "a second document begins here", "keep everything in one")
                    raise _GiveUp
                node = self._node(next(self._events), 0)
        return node

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._refuse_magic(event)
        if depth > _DEEPEST:
            self._mistakes.add(_line(event), f"this is nested more than {_DEEPEST} deep", "nothing here needs that")
            raise _GiveUp
        if isinstance(event, yaml.SequenceStartEvent):
            return self._listing(event, depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self._table(event, depth)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(_line(event), event.value, event.style is None)
        return Scalar(_line(event), "", plain=True)

    def _listing(self, start: yaml.Event, depth: int) -> Listing:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Listing(_line(start), tuple(items))

    def _table(self, start: yaml.Event, depth: int) -> Table:
        entries: dict[str, tuple[Scalar, Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, Scalar):
                self._mistakes.add(key.line, "a key is a list or a mapping", "a key is one word")
            elif key.text in entries:
                first = entries[key.text][0].line
                self._mistakes.add(key.line, f"{key.text} is already on line {first}", "keep one of the two")
            else:
                entries[key.text] = (key, value)
        return Table(_line(start), tuple(entries.values()))

    def _refuse_magic(self, event: yaml.Event) -> None:
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent):
            self._mistakes.add(_line(event), f"*{anchor} is an alias", "write out what it stands for")
        elif anchor is not None:
            self._mistakes.add(_line(event), f"&{anchor} is an anchor", "write values where they are used")
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            self._mistakes.add(_line(event), f"{tag} is a tag", "values need no tags here; leave it out")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1
