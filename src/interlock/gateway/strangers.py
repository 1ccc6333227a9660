"""Connections that nobody has vouched for yet: bounded in number, altogether and for each address.

One too many takes the place of the oldest, from the same address first: who does as clients do is through within
milliseconds, who stays silent makes room. So silence delays nobody.
"""

from collections import OrderedDict
from typing import Protocol


class Stranger(Protocol):
    def drop(self, why: str) -> None:
        """Leave at once."""


class Strangers:
    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._all: OrderedDict[Stranger, str] = OrderedDict()
        self._by_address: dict[str, OrderedDict[Stranger, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, stranger: Stranger, address: str) -> None:
        """Count ``stranger`` in; the oldest is dropped when there are too many."""
        self._all[stranger] = address
        same = self._by_address.setdefault(address, OrderedDict())
        same[stranger] = None
        if len(same) > self._most_per_address:
            next(iter(same)).drop("too many connections from its address said nothing about who they are")
        elif len(self._all) > self._most:
            next(iter(self._all)).drop("too many connections said nothing about who they are")

    def drop_all(self, why: str) -> None:
        for stranger in tuple(self._all):
            stranger.drop(why)

    def leave(self, stranger: Stranger) -> None:
        """It is known now, or gone. May be called more than once."""
        address = self._all.pop(stranger, None)
        if address is None:
            return
        same = self._by_address[address]
        del same[stranger]
        if not same:
            del self._by_address[address]
