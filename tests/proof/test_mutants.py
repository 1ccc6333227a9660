"""None of 2,000 mutants of policies that were proven safe gets past the prover."""

from tests.proof.mutants import judge_mutants


def test_no_mutant_is_missed() -> None:
    score = judge_mutants(2000, seed=20)
    assert score.mutants >= 2000
    assert score.dangerous >= 50
    assert score.missed == []
    assert score.refused_certificates == 0
    # Counted apart: a false alarm costs a look, not a system.
    assert len(score.false_alarms) <= score.mutants // 100, score.false_alarms[:3]


def test_no_mutant_is_missed_where_three_are_claimed() -> None:
    """Two can bring in a guest, and one cannot: what that lets through is seen from three on."""
    score = judge_mutants(500, seed=21, least=3)
    assert score.kinds["bring_guests"] >= 3
    assert score.missed == []
    assert score.refused_certificates == 0
    assert len(score.false_alarms) <= score.mutants // 100, score.false_alarms[:3]
