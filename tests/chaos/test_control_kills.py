"""Two whole control planes; `python -m tests.chaos.control_kills --kills 20 --store s3` is the long form."""

from tests.chaos.control_kills import run


def test_the_other_control_plane_takes_over_with_no_gap_and_no_fork() -> None:
    verdict = run(2, "s3")
    assert verdict.broken == ""
    assert set(verdict.killed) == {"first", "second"}, "each sequenced, and was killed"
    assert verdict.missing == verdict.double == frozenset()
    assert verdict.meanwhile >= 4
    assert verdict.entries > 2 * verdict.acknowledged
