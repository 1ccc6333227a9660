"""May this person take this duty now: every separation over what was done before, and whether the rest could be done.

Pure. ``carried`` maps the duties that somebody has to that person; persons are those who may carry anything at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from interlock.proof.chains import Bound, Carriers
from interlock.proof.groups import Groups
from interlock.proof.index import Index, Team
from interlock.proof.model import Duties, Member, Model, Separated
from interlock.proof.partitions import GivenUp
from interlock.proof.separations import holds

AHEAD = Bound(conflicts=2_000, divisions=100, choices=2_000)
"""How long the look-ahead searches: it runs while others wait to decide."""
_TRIED = 10


@dataclass(frozen=True)
class Standing:
    """A chain with the persons who could carry its duties: ``groups`` are each person's."""

    chain: Duties
    people: Mapping[str, Member]
    groups: Mapping[str, frozenset[str]]

    def may_carry(self, person: str, duty: str) -> bool:
        """Whether the chain lets ``person`` carry ``duty``, whatever was done before."""
        return bool(self.ahead.takers[self.chain.duties.index(duty)] & self.ahead.index.bit(person))

    def broken(self, carried: Mapping[str, str], duty: str, person: str) -> Separated | None:
        """The first separation that would not hold if ``person`` took ``duty``."""
        then = {**carried, duty: person}
        for separation in self.chain.separations:
            if not holds(self.chain, separation, then, self.people, self.groups):
                return separation
        return None

    def at_odds(self, carried: Mapping[str, str], duty: str) -> tuple[Separated, ...]:
        """The separations that do not hold over what is carried because of who carries ``duty``.

        Because of it is what this duty breaks alone or with one other, and what would hold without it. Of a duty that
        stands by while two others break a separation nothing is said.
        """
        others = [other for other in carried if other != duty]
        few = [{duty: carried[duty]}, *({duty: carried[duty], other: carried[other]} for other in others)]
        without = {other: carried[other] for other in others}

        def broken(separation: Separated, who: Mapping[str, str]) -> bool:
            return not holds(self.chain, separation, who, self.people, self.groups)

        return tuple(
            one
            for one in self.chain.separations
            if broken(one, carried) and (any(broken(one, who) for who in few) or not broken(one, without))
        )

    def instead(self, carried: Mapping[str, str], duty: str) -> tuple[str, ...]:
        """Who may take ``duty`` with no separation broken, sorted; those first with whom the chain can be finished."""
        takers = self.ahead.takers[self.chain.duties.index(duty)]
        able = [name for name in self.ahead.index.members(takers) if not self.broken(carried, duty, name)]
        finishing = {name for name in able[:_TRIED] if self.ahead.finishes({**carried, duty: name})}
        found = self.ahead.finisher(carried, duty)
        finishing |= set() if found is None else {found}
        return tuple(name for name in able if name in finishing) or tuple(able)

    @cached_property
    def ahead(self) -> "Ahead":
        """The look-ahead, made ready once."""
        return Ahead(self.chain, self.people, self.groups)


class Ahead:
    """Whether a chain could still be finished. Questions while it goes on are cheap: what was found out stays."""

    def __init__(self, chain: Duties, people: Mapping[str, Member], groups: Mapping[str, frozenset[str]]) -> None:
        members: dict[str, list[str]] = {}
        for name, own in groups.items():
            for group in own:
                members.setdefault(group, []).append(name)
        model = Model(people, {group: tuple(names) for group, names in members.items()})
        self.index = Index(people, {})
        known = Groups(model, self.index)
        self.takers: tuple[Team, ...] = tuple(self._takers(chain, duty, known) for duty in chain.duties)
        self._places = {duty: place for place, duty in enumerate(chain.duties)}
        self._carriers = Carriers(chain, self.index, known if chain.by_team else None)

    def finishes(self, carried: Mapping[str, str]) -> bool:
        """Whether a way was found to finish it when ``carried`` are carried; what takes too long counts as none."""
        return self._assign(carried) is not None

    def finisher(self, carried: Mapping[str, str], duty: str) -> str | None:
        """Somebody with whom as ``duty`` the chain can be finished, when it can be at all."""
        found = self._assign({other: name for other, name in carried.items() if other != duty})
        return None if found is None else self.index.name(found[self._places[duty]])

    def _assign(self, carried: Mapping[str, str]) -> list[Team] | None:
        pins = {self._places[duty]: self.index.bit(name) for duty, name in carried.items()}
        if not all(pins.values()):
            return None
        try:
            return self._carriers.assign(self.takers, pins, bound=AHEAD)
        except GivenUp:
            return None

    def _takers(self, chain: Duties, duty: str, groups: Groups) -> Team:
        mask, rule = self.index.approvers, chain.takers.get(duty)
        if rule is not None and rule.group is not None:
            mask &= groups.mask(rule.group)
        if rule is not None and rule.people:
            mask &= self.index.named(rule.people)
        return mask


def blamed(separation: Separated, chain: Duties, carried: Mapping[str, str], duty: str) -> str | None:
    """The duty carried earlier that stands against ``duty`` under ``separation``; None when it is no single one."""
    if separation.kind == "independent":
        place = chain.duties.index(duty)
        near = [chain.duties[place - 1]] if duty in separation.names and place else []
        after = chain.duties[place + 1 : place + 2]
        return next((name for name in (*near, *after) if name in carried), None)
    return next((name for name in separation.names if name in carried and name != duty), None)


def describe(separation: Separated) -> str:
    """The rule as a person reads it."""
    names = ", ".join(separation.names)
    if separation.kind == "separate":
        return f"{names} are separate: no person carries two of them"
    if separation.kind == "bind":
        return f"{names} are bound to one person"
    if separation.kind == "independent":
        return f"{names} is independent by {separation.by} of the duty before it"
    word = "at least" if separation.kind == "at_least" else "at most"
    return f"{names} take {word} {separation.count} persons"
