"""The arithmetic of a comparison: ratios within a round, their median and spread, and whether a goal is reached."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the least and the greatest of what it stands for."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.low)} to {number(self.high)})"


@dataclass(frozen=True, slots=True)
class Goal:
    """A line of what is to be reached: ``text`` names the measure, ``bound`` is its limit in ``unit``."""

    key: str
    text: str
    bound: float
    at_least: bool
    unit: str

    def reached(self, figure: float) -> bool:
        return figure >= self.bound if self.at_least else figure <= self.bound

    def worst(self, figures: Sequence[float]) -> int:
        """The place of the figure that is furthest from the goal."""
        if not figures:
            raise ValueError("a goal without a figure")
        places = range(len(figures))
        return (min if self.at_least else max)(places, key=lambda place: figures[place])

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {number(self.bound)} {self.unit}".rstrip()


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """``ours`` over ``theirs``, round by round. Raises ValueError when a round is missing or nothing was measured."""
    if len(ours) != len(theirs):
        raise ValueError("a ratio needs both figures of its round")
    if any(figure <= 0 for figure in theirs):
        raise ValueError("a ratio needs something to compare with")
    return [our / their for our, their in zip(ours, theirs, strict=True)]


def differences(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """``ours`` less ``theirs``, round by round. Raises ValueError when a round is missing."""
    if len(ours) != len(theirs):
        raise ValueError("a difference needs both figures of its round")
    return [our - their for our, their in zip(ours, theirs, strict=True)]


def spread(figures: Sequence[float]) -> Spread:
    """Raises ValueError for no figures at all."""
    if not figures:
        raise ValueError("there is no median of nothing")
    return Spread(statistics.median(figures), min(figures), max(figures))


def percentile(figures: Sequence[float], part: float) -> float:
    """The smallest figure that at least ``part`` (0 to 1) of all do not exceed (nearest rank)."""
    if not figures:
        raise ValueError("there is no percentile of nothing")
    if not 0 < part <= 1:
        raise ValueError("a percentile is more than nothing and at most all")
    ordered = sorted(figures)
    rank = -(-len(ordered) * part // 1)
    return ordered[max(0, int(rank) - 1)]


def turns(names: Sequence[str], round_number: int) -> list[str]:
    """The order of a round. Every other one is backwards, so that a machine that slows down favours nobody."""
    return list(names) if round_number % 2 == 0 else list(reversed(names))


def number(figure: float) -> str:
    """As it stands in a table: three digits that count, thousands apart."""
    size = abs(figure)
    if size >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if size >= 10 else f"{figure:.2f}"
