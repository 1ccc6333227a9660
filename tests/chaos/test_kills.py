"""Each part is killed twice under load; `python -m tests.chaos.kills --kills 30` is the long form."""

from tests.chaos.kills import run


def test_no_change_without_its_record_and_everything_comes_back() -> None:
    verdict = run(kills=6, seed=20261124)
    assert verdict.rows > 100
    assert verdict.unrecorded == frozenset()
    assert verdict.lost == frozenset()
    assert "The ledger holds" in verdict.verified
