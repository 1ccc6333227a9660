"""Seating persons on the places that rules ask for, each person on one."""

from collections.abc import Mapping, Sequence


def seat(fits: Mapping[str, Sequence[int]], room: Sequence[int]) -> tuple[str, ...]:
    """Persons who together fill as many places as can be filled, tried in the order of ``fits``; none in vain."""
    seated: list[list[str]] = [[] for _ in room]
    for name in fits:
        _place(name, fits, room, seated, set())
    return tuple(name for names in seated for name in names)


def _place(
    name: str, fits: Mapping[str, Sequence[int]], room: Sequence[int], seated: list[list[str]], tried: set[int]
) -> bool:
    for place in fits[name]:
        if place in tried:
            continue
        tried.add(place)
        if len(seated[place]) < room[place]:
            seated[place].append(name)
            return True
        for number, other in enumerate(seated[place]):
            if _place(other, fits, room, seated, tried):
                seated[place][number] = name
                return True
    return False
