"""Seating persons on the places that rules ask for, each person on one.

A maximum matching by augmenting paths: as many places are filled as any assignment could fill, whatever the order.
"""

from collections.abc import Mapping, Sequence


def seat(fits: Mapping[str, Sequence[int]], room: Sequence[int]) -> list[list[str]]:
    """Who sits where: for each rule the persons on its places, no person twice, nobody in vain.

    ``fits`` has the rules that each person suits, by index, in the order in which persons are tried; ``room`` how many
    places each rule has.
    """
    seated: list[list[str]] = [[] for _ in room]
    for name in fits:
        _place(name, fits, room, seated, set())
    return seated


def _place(
    name: str, fits: Mapping[str, Sequence[int]], room: Sequence[int], seated: list[list[str]], tried: set[int]
) -> bool:
    """Find ``name`` a place, moving others to places that suit them as well. False leaves everything as it was."""
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
