"""Persons are offboarded while they connect; `python -m tests.chaos.offboarding --tries 1000` is the long form."""

from tests.chaos.offboarding import run


def test_no_session_outlives_its_person() -> None:
    verdict = run(tries=8, seed=20261128)
    assert verdict.connected > 0
    assert verdict.outlived == []
    assert verdict.back == []
    assert verdict.unreported == []
    assert len(verdict.late_by_directory_s) == 4
