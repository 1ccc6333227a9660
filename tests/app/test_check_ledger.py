"""What `interlock doctor` says of cosignatures: too few, too old, forged, and good ones."""

import pytest

from interlock.app.check_ledger import check_witnesses
from interlock.app.finding import Verdict
from interlock.ledger.notes import COSIGNATURE, Note, SignedCheckpoint, SignerKey, new_signer
from interlock.ledger.witnessing import Witness, ask_for_cosignature
from interlock.policy.configuration import Witnesses, WitnessSource
from tests.ledger.logs import log_of

NOW_S = 1_800_000_000
ONE, TWO = new_signer("w.example/1", COSIGNATURE), new_signer("w.example/2", COSIGNATURE)


def cosigned(*given: tuple[SignerKey, int]) -> SignedCheckpoint:
    """A checkpoint that each of these witnesses cosigned so many seconds before now."""
    log = log_of(3)
    signed = log.publish([])
    note = signed.note
    for signer, ago_s in given:
        witness = Witness(signer, [log.signer.verifier], lambda _: None, lambda _: None)
        answer = witness.add_checkpoint(ask_for_cosignature(0, [], signed), NOW_S - ago_s)
        assert answer.status == 200
        note = Note(note.text, (*note.signatures, answer.text))
    return SignedCheckpoint(signed.checkpoint, note)


def both(need: int) -> Witnesses:
    return Witnesses(tuple(WitnessSource("http://127.0.0.1:1", str(one.verifier)) for one in (ONE, TWO)), need)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "by 0 of 2 witnesses in the last five minutes, and 1 are needed; none has cosigned what is published"),
        (((ONE, 301),), "by 0 of 2 witnesses in the last five minutes"),
        (((ONE, 7200),), "the last cosignature is 2h old"),
    ],
)
def test_too_few_or_too_old_is_said(given: tuple[tuple[SignerKey, int], ...], said: str) -> None:
    finding = check_witnesses(cosigned(*given), both(1), NOW_S)
    assert finding is not None
    assert finding.verdict is Verdict.BAD
    assert said in finding.sentence


def test_as_many_as_are_needed_are_enough_and_no_fewer() -> None:
    assert check_witnesses(cosigned((ONE, 10)), both(1), NOW_S) is None
    assert check_witnesses(cosigned((ONE, 10), (TWO, 299)), both(2), NOW_S) is None
    assert check_witnesses(cosigned((ONE, 10), (TWO, 400)), both(2), NOW_S) is not None
    assert check_witnesses(cosigned((ONE, 10), (ONE, 20)), both(2), NOW_S) is not None, "one that signs twice is one"


def test_without_witnesses_nothing_is_asked() -> None:
    assert check_witnesses(cosigned(), Witnesses(), NOW_S) is None
