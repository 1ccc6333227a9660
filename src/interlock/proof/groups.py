"""Who is in which group, with the groups within it, and who could be let in by those who administer it."""

from collections.abc import Iterable, Mapping
from functools import cached_property

from interlock.proof.index import Index, Team
from interlock.proof.model import Model

Open = frozenset[str]
"""Groups that everybody of the team has joined, or joins by being let into one within."""


class Groups:
    def __init__(self, model: Model, index: Index) -> None:
        inner = {group: set(model.nested.get(group, ())) for group in {*model.groups, *model.nested}}
        for children in list(inner.values()):
            for child in children:
                inner.setdefault(child, set())
        for power in model.powers:
            inner.setdefault(power.group, set())
            inner.setdefault(power.holder, set())
        self._index = index
        self.direct: Mapping[str, Team] = {group: index.named(tuple(model.groups.get(group, ()))) for group in inner}
        self.below = {group: _below(group, inner) for group in inner}
        self._masks = {group: _union(self.direct[child] for child in below) for group, below in self.below.items()}

    def mask(self, group: str) -> Team:
        """Who is in ``group`` as things are."""
        return self._masks.get(group, 0)

    def opened(self, joined: frozenset[str]) -> Open:
        """The groups one is in by joining ``joined``."""
        if not joined:
            return joined
        return frozenset(group for group, below in self.below.items() if below & joined)

    def beneath(self, groups: Iterable[str]) -> set[str]:
        """``groups`` and all within them."""
        found: set[str] = set()
        for group in groups:
            found |= self.below.get(group, frozenset({group}))
        return found

    @cached_property
    def of_person(self) -> Mapping[str, frozenset[str]]:
        """The groups of each person, those above included; what can be joined later is not among them."""
        found: dict[str, set[str]] = {}
        for group, mask in self._masks.items():
            for name in self._index.members(mask):
                found.setdefault(name, set()).add(group)
        return {name: frozenset(groups) for name, groups in found.items()}

    @property
    def all(self) -> Iterable[Team]:
        return self._masks.values()


def _below(group: str, inner: Mapping[str, set[str]]) -> frozenset[str]:
    if not inner[group]:
        return frozenset({group})
    seen, waiting = {group}, [group]
    while waiting:
        fresh = inner[waiting.pop()] - seen
        seen |= fresh
        waiting.extend(fresh)
    return frozenset(seen)


def _union(masks: Iterable[Team]) -> Team:
    union = 0
    for mask in masks:
        union |= mask
    return union
