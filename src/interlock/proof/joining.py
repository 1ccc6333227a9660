"""What a team comes to by administering groups: which it can let its members into, and how."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from interlock.proof.approving import Approving, Place
from interlock.proof.groups import Groups, Open
from interlock.proof.index import Index, Team
from interlock.proof.model import Model
from interlock.proof.steps import Step, What
from interlock.proof.ways import Way


@dataclass(frozen=True, slots=True)
class _Right:
    holder: str
    group: str
    rules: tuple[Place, ...]

    def groups(self) -> set[str]:
        return {self.holder, *(group for place in self.rules for group in place.groups())}


@dataclass(frozen=True, slots=True)
class Joined:
    """``by`` lets the team into ``group``, with a yes of each of ``yes``."""

    group: str
    by: Team
    yes: tuple[str, ...]


Rights = tuple[int, ...]
"""Rights to administer, by their number."""


class Joining:
    def __init__(self, model: Model, index: Index, groups: Groups, approving: Approving) -> None:
        self._index, self._groups, self._approving = index, groups, approving
        self._rights = [_Right(power.holder, power.group, approving.compile(power.rules)) for power in model.powers]
        self._known: dict[frozenset[str], Rights] = {}
        self._keys: dict[Rights, int] = {}

    def rights_for(self, groups: Iterable[str]) -> Rights:
        """Those that could matter to who is in ``groups``: the others change nothing for them."""
        if not self._rights:
            return ()
        start = frozenset(groups)
        known = self._known.get(start)
        if known is None:
            known = self._known[start] = self._cone(start)
        return known

    def _cone(self, start: frozenset[str]) -> Rights:
        concerned, found = self._groups.beneath(start), set[int]()
        grew = True
        while grew:
            grew = False
            for number, right in enumerate(self._rights):
                if number not in found and right.group in concerned:
                    found.add(number)
                    concerned |= self._groups.beneath(right.groups())
                    grew = True
        return tuple(sorted(found))

    def rests_on(self, rights: Rights, token: Callable[[object], int]) -> int:
        """A number for what it depends on who can use ``rights``."""
        known = self._keys.get(rights)
        if known is None:
            own = [self._rights[number] for number in rights]
            concerned = sorted(self._groups.beneath(group for right in own for group in (right.group, *right.groups())))
            known = self._keys[rights] = token(
                (
                    tuple((right.holder, right.group, tuple(place.key for place in right.rules)) for right in own),
                    tuple((name, self._groups.direct.get(name, 0), self._groups.below.get(name)) for name in concerned),
                )
            )
        return known

    def join(self, team: Team, rights: Rights) -> tuple[Open, tuple[Joined, ...]]:
        """The groups that ``team`` alone can be in by ``rights``, and how."""
        if not rights:
            return frozenset(), ()
        joined: frozenset[str] = frozenset()
        opened: Open = frozenset()
        moves: list[Joined] = []
        moved = True
        while moved:
            moved = False
            for number in rights:
                right = self._rights[number]
                if right.group in joined:
                    continue
                move = self._use(right, team, opened)
                if move is not None:
                    moves.append(move)
                    joined |= {right.group}
                    opened, moved = self._groups.opened(joined), True
        return opened, tuple(moves)

    def holding(self, rights: Rights) -> Iterator[tuple[Team, tuple[Place, ...]]]:
        """Who holds each of ``rights`` as things are, and whose yes it takes."""
        for number in rights:
            holders = self._groups.mask(self._rights[number].holder)
            if holders:
                yield holders, self._rights[number].rules

    def as_ways(self, rights: Rights, askers: Team) -> Iterator[Way]:
        """Using each of ``rights``, by those of ``askers`` who hold it, as if it were a way itself."""
        for number in rights:
            right = self._rights[number]
            holders = self._groups.mask(right.holder) & askers
            if holders:
                yield Way(right.group, 0, holders, (), (), right.rules or None)

    def _use(self, right: _Right, team: Team, opened: Open) -> Joined | None:
        holders = team if right.holder in opened else team & self._groups.mask(right.holder)
        if not holders:
            return None
        if not right.rules:
            return Joined(right.group, holders & -holders, ())
        found = self._approving.find(holders, right.rules, None, team, opened)
        return None if found is None else Joined(right.group, found.asker, found.yes)

    def tell(self, team: Team, moves: Iterable[Joined]) -> tuple[Step, ...]:
        """The steps by which ``team`` joins."""
        steps: list[Step] = []
        for move in moves:
            name = self._index.name(move.by)
            outside = team & ~self._groups.direct.get(move.group, 0)
            steps += [Step(other, What.APPROVE, f"joining {move.group}", name) for other in move.yes]
            steps += [Step(name, What.JOIN, move.group, who) for who in self._index.members(outside)]
        return tuple(steps)
