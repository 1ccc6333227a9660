"""A configuration while it is read: the tree, the line of everything, and the mistakes so far."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from interlock.policy.keys import KEYS
from interlock.policy.mistakes import Mistakes, closest, did_you_mean
from interlock.policy.nodes import Listing, Node, Scalar, Table

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """``places`` maps a path to its line; a list's item is there by its number and, when a scalar, by its text."""

    tree: Table
    mistakes: Mistakes
    places: dict[Path, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._walk(self.tree, ())

    def _walk(self, node: Node, path: Path) -> None:
        self.places.setdefault(path, node.line)
        if isinstance(node, Table):
            for key, value in node.entries:
                self.places.setdefault((*path, key.text), key.line)
                self._walk(value, (*path, key.text))
        elif isinstance(node, Listing):
            for number, item in enumerate(node.items):
                self._walk(item, (*path, str(number)))
                if isinstance(item, Scalar):
                    self.places.setdefault((*path, item.text), item.line)

    def line(self, *path: str) -> int:
        """The line of ``path``, or of the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, 1)

    def add(self, path: Path, sentence: str, right: str = "") -> None:
        self.mistakes.add(self.line(*path), sentence, right)

    def warn(self, path: Path, sentence: str, right: str = "") -> None:
        self.mistakes.warn(self.line(*path), sentence, right)

    def declared(self, section: str) -> frozenset[str]:
        """The names under a top-level section, those included whose content is wrong."""
        for key, value in self.tree.entries:
            if key.text == section and isinstance(value, Table):
                return frozenset(name.text for name, _ in value.entries)
        return frozenset()


class Section:
    """One mapping of the configuration: its keys checked against what is known, its values handed out as nodes.

    ``where`` is how people call it ('the role writer'). With ``extra`` keys of people's own are let through. A key
    with nothing behind it is a mistake, since a ``hold`` or ``fence`` that was meant must not get lost; only a
    section at the top may be empty.
    """

    def __init__(self, draft: Draft, node: Node, path: Path, schema: str, where: str, *, extra: bool = False) -> None:
        self.draft = draft
        self.path = path
        self.where = where
        self._known = KEYS[schema]
        self._lenient = extra
        self._values: dict[str, Node] = {}
        if isinstance(node, Table):
            self._values = {key.text: value for key, value in node.entries}
        elif not (isinstance(node, Scalar) and node.empty):
            allowed = ", ".join(self._known) or "nothing (write {})"
            draft.add(path, f"{where} is not a mapping", f"it takes {allowed}")
        for key, value in self._values.items():
            if schema and isinstance(value, Scalar) and value.empty:
                draft.add((*path, key), f"{where} has an empty {shown(key)}", "write a value, or leave the key out")
        if not extra:
            for key in self.extra():
                draft.add((*path, key), f"{where} has an unknown key {shown(key)}", did_you_mean(key, self._known))

    def extra(self) -> tuple[str, ...]:
        """The keys that are not known ones, in the order of the file."""
        return tuple(key for key in self._values if key not in self._known)

    def written(self) -> tuple[str, ...]:
        """The known keys that stand there, in the order of the file."""
        return tuple(key for key in self._values if key in self._known)

    def get(self, key: str) -> Node | None:
        """The value, or None when the key is missing or says nothing."""
        value = self._values.get(key)
        return None if isinstance(value, Scalar) and value.empty else value

    def need(self, key: str, right: str) -> Node | None:
        """As ``get``, and a missing one is a mistake. ``right`` shows what to write.

        A misspelt key was noted as an unknown one already; it is not missing besides.
        """
        value = self.get(key)
        if key not in self._values:
            slip = closest(key, self.extra())
            if slip is None or self._lenient:
                right = right if slip is None else f"did you mean it by {slip}?"
                self.draft.add((*self.path, key), f"{self.where} has no {key}", right)
        return value

    def at(self, key: str) -> Path:
        return (*self.path, key)


def named_entries(draft: Draft, section: str, noun: str) -> Iterator[tuple[Scalar, Node]]:
    """The entries of a top-level section of names; a mistake when it is no mapping."""
    for key, value in draft.tree.entries:
        if key.text != section or (isinstance(value, Scalar) and value.empty):
            continue
        if not isinstance(value, Table):
            draft.add((section,), f"{section} is not a mapping", f"under it stands one name for each {noun}")
            return
        yield from value.entries


def shown(text: str, longest: int = 60) -> str:
    """``text`` as it can stand in a sentence: quoted when it needs to be, cut when it is long."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    plain = cut.isprintable() and cut.strip() == cut and cut and " " not in cut
    return cut if plain else repr(cut)


def dangling(draft: Draft, path: Path, noun: str, name: str, known: Iterable[str], otherwise: str = "") -> bool:
    """Whether ``name`` stands for nothing in ``known``; then the mistake is noted."""
    if name in (known := frozenset(known)):
        return False
    fallback = otherwise or (f"add it, or: {', '.join(sorted(known))}" if 0 < len(known) <= 12 else "add it")
    draft.add(path, f"there is no {noun} {shown(name)}", did_you_mean(name, known, otherwise=fallback))
    return True
