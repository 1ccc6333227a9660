"""Each part is killed once under load; `python -m tests.chaos.ledger_kills --kills 60` is the long form."""

from tests.chaos.ledger_kills import run


def test_no_gap_no_fork_and_nothing_that_was_kept_is_lost() -> None:
    verdict = run(kills=3, seed=20261128)
    assert verdict.broken == ""
    assert verdict.lost == frozenset()
    assert verdict.acknowledged > 10
    assert verdict.entries > verdict.acknowledged
