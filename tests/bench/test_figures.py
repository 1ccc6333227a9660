"""The arithmetic that a comparison rests on."""

import pytest
from bench.figures import Goal, Spread, differences, number, percentile, ratios, spread, turns
from hypothesis import given
from hypothesis import strategies as st

FLOORS = Goal("floor", "as fast", 1.0, at_least=True, unit="× theirs")
CEILING = Goal("ceiling", "as cheap", 1.2, at_least=False, unit="× theirs")
FIGURES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50)


def test_a_ratio_is_taken_within_its_round() -> None:
    """A machine that halves its speed between rounds changes neither ratio."""
    assert ratios([100, 50], [200, 100]) == [0.5, 0.5]


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], []), ([1.0, 2.0], [1.0]), ([1.0], [0.0]), ([1.0], [-1.0])])
def test_there_is_no_ratio_without_both_figures(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="a ratio needs"):
        ratios(ours, theirs)


def test_a_difference_is_taken_within_its_round() -> None:
    assert differences([3.0, 5.0], [1.0, 6.0]) == [2.0, -1.0]
    with pytest.raises(ValueError, match="a difference needs"):
        differences([1.0], [])


def test_a_spread_is_the_median_and_the_ends() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([4.0, 1.0, 2.0, 3.0]) == Spread(2.5, 1.0, 4.0)
    assert str(spread([0.5, 1.25, 1234.0])) == "1.25 (0.50 to 1,234)"
    with pytest.raises(ValueError, match="no median of nothing"):
        spread([])


def test_percentiles_are_of_the_nearest_rank() -> None:
    hundred = [float(one) for one in range(1, 101)]
    assert [percentile(hundred, part) for part in (0.5, 0.99, 1.0, 0.001)] == [50.0, 99.0, 100.0, 1.0]
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([2.0, 1.0], 0.5) == 1.0


@pytest.mark.parametrize("part", [0.0, -0.5, 1.01])
def test_a_percentile_is_a_part_of_all(part: float) -> None:
    with pytest.raises(ValueError, match="a percentile is"):
        percentile([1.0], part)
    with pytest.raises(ValueError, match="no percentile of nothing"):
        percentile([], 0.5)


@given(FIGURES, st.floats(0.01, 1.0))
def test_a_percentile_is_one_of_them_and_that_part_does_not_exceed_it(figures: list[float], part: float) -> None:
    found = percentile(figures, part)
    assert found in figures
    assert sum(one <= found for one in figures) >= part * len(figures) - 1e-9


@given(FIGURES)
def test_the_ratios_to_themselves_are_one(figures: list[float]) -> None:
    assert spread(ratios(figures, figures)) == Spread(1.0, 1.0, 1.0)


def test_a_goal_is_reached_at_its_bound_and_judged_by_the_worst() -> None:
    assert [FLOORS.reached(figure) for figure in (0.99, 1.0, 1.01)] == [False, True, True]
    assert [CEILING.reached(figure) for figure in (1.19, 1.2, 1.21)] == [True, True, False]
    assert FLOORS.worst([1.5, 0.7, 0.9]) == 1
    assert CEILING.worst([1.5, 0.7, 0.9]) == 0
    assert (str(FLOORS), str(CEILING)) == ("≥ 1.00 × theirs", "≤ 1.20 × theirs")
    with pytest.raises(ValueError, match="without a figure"):
        FLOORS.worst([])


def test_turns_favour_nobody() -> None:
    names = ("a", "b", "c")
    orders = [turns(names, place) for place in range(4)]
    assert orders[0] == ["a", "b", "c"]
    assert orders[1] == ["c", "b", "a"]
    for name in names:
        assert sum(order.index(name) for order in orders) == 4


def test_numbers_have_three_digits_that_count() -> None:
    assert [number(one) for one in (0.123, 1.0, 12.34, 123.4, 123456.0, -1.5)] == [
        "0.12",
        "1.00",
        "12.3",
        "123",
        "123,456",
        "-1.50",
    ]
