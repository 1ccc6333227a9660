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
