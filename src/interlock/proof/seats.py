"""A person for each part of a chain's duties, once it is settled which duties go together.

By Hall's condition when the parts only have to be carried by different persons. Where a duty is to be independent of
the one before it, the vendors are chosen first (they divide the people, so that there is little to choose), or, for
teams, the persons themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interlock.proof.groups import Groups
from interlock.proof.index import Index, Team, each

Apart = tuple[int, int, str]
"""Two parts that are to be of different vendors, or of persons with no team in common: ``vendor`` or ``team``."""


class TooLong(Exception):
    """More was tried than may be."""


@dataclass
class _Search:
    """``apart`` is what is to be chosen for; ``left`` how many choices may still be tried, None for all."""

    apart: Sequence[Apart]
    left: int | None


class Seats:
    def __init__(self, index: Index, groups: Groups | None) -> None:
        self._index = index
        self._groups = groups
        self._meeting: dict[Team, Team] = {}

    def seat(self, parts: Sequence[Team], apart: Sequence[Apart], *, tries: int | None = None) -> list[Team] | None:
        """One person of each of ``parts``, no person twice. Raises TooLong."""
        if not apart:
            return match(parts)
        if match(parts) is None:
            return None
        return self._choose(list(parts), _Search(apart, tries), ())

    def stuck(self, parts: Sequence[Team], apart: Sequence[Apart], *, tries: int | None = None) -> list[int]:
        """Some of ``parts``, by number, for which there are no persons; few of them, when that is cheap to tell."""
        few = unmatched(parts)
        if few:
            return few
        concerned = sorted({place for one, other, _ in apart for place in (one, other)})
        if self.seat(*_only(parts, apart, concerned), tries=tries) is not None:
            return list(range(len(parts)))
        for place in list(concerned):
            fewer = [other for other in concerned if other != place]
            if self.seat(*_only(parts, apart, fewer), tries=tries) is None:
                concerned = fewer
        return concerned

    def _choose(self, parts: list[Team], search: _Search, chosen: tuple[int, ...]) -> list[Team] | None:
        """Settle one part after another that is to be apart from others; then everybody finds a place or not."""
        open_ = {place for one, other, _ in search.apart for place in (one, other)}.difference(chosen)
        if not open_:
            return match(parts)
        place = min(open_, key=lambda number: parts[number].bit_count())
        for choice in self._choices(parts[place], place, search.apart):
            if search.left is not None:
                if search.left <= 0:
                    raise TooLong
                search.left -= 1
            then = list(parts)
            then[place] = choice
            for other, meeting in self._neighbours(place, choice, search.apart):
                then[other] &= ~meeting
            if all(then):
                found = self._choose(then, search, (*chosen, place))
                if found is not None:
                    return found
        return None

    def _choices(self, part: Team, place: int, apart: Sequence[Apart]) -> list[Team]:
        by_team = any(kind != "vendor" for one, other, kind in apart if place in (one, other))
        if by_team:
            return list(each(part))
        choices = [part & unit for unit in self._index.units.values() if part & unit]
        return sorted(choices, key=lambda choice: -choice.bit_count())

    def _neighbours(self, place: int, choice: Team, apart: Sequence[Apart]) -> list[tuple[int, Team]]:
        found = []
        for one, other, kind in apart:
            if place in (one, other):
                meeting = self._index.unit(choice & -choice) if kind == "vendor" else self._teammates(choice)
                found.append((other if place == one else one, meeting))
        return found

    def _teammates(self, person: Team) -> Team:
        """Who shares a group with ``person``, themselves among them."""
        mask = self._meeting.get(person)
        if mask is None:
            mask = person
            for group in self._groups.all if self._groups is not None else ():
                if group & person:
                    mask |= group
            self._meeting[person] = mask
        return mask


def _only(
    parts: Sequence[Team], apart: Sequence[Apart], places: Sequence[int]
) -> tuple[Sequence[Team], Sequence[Apart]]:
    numbers: Mapping[int, int] = {place: number for number, place in enumerate(places)}
    kept = [(numbers[one], numbers[other], kind) for one, other, kind in apart if one in numbers and other in numbers]
    return [parts[place] for place in places], kept


def match(parts: Sequence[Team]) -> list[Team] | None:
    """A person of each of ``parts``, all different, or None."""
    used = 0
    found: list[Team] = []
    for part in parts:
        free = part & ~used
        if not free:
            break
        found.append(free & -free)
        used |= found[-1]
    else:
        return found
    matched, stuck = _augment(parts)
    return None if stuck else [matched[place] for place in range(len(parts))]


def unmatched(parts: Sequence[Team]) -> list[int]:
    """Parts that together have fewer persons than they are; none when each can have its own."""
    return _augment(parts)[1]


def _augment(parts: Sequence[Team]) -> tuple[dict[int, Team], list[int]]:
    # A part with as many persons as there are parts always finds one: so many of each suffice.
    able = [_first(part, len(parts)) for part in parts]
    holder: dict[Team, int] = {}
    for place in range(len(parts)):
        tried: set[Team] = set()
        reached = {place}
        if not _seat(place, able, holder, tried, reached):
            return {}, sorted(reached)
    return {place: person for person, place in holder.items()}, []


def _seat(
    place: int, able: Sequence[Sequence[Team]], holder: dict[Team, int], tried: set[Team], reached: set[int]
) -> bool:
    for person in able[place]:
        if person in tried:
            continue
        tried.add(person)
        other = holder.get(person)
        if other is not None:
            reached.add(other)
        if other is None or _seat(other, able, holder, tried, reached):
            holder[person] = place
            return True
    return False


def _first(part: Team, count: int) -> list[Team]:
    found = []
    for person in each(part):
        found.append(person)
        if len(found) == count:
            break
    return found
