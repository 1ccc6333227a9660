"""The witness by its protocol: what it cosigns, and everything that it does not."""

import pytest

from interlock.ledger.merkle import prove_consistency
from interlock.ledger.notes import (
    COSIGNATURE,
    Note,
    SignedCheckpoint,
    cosigners,
    new_signer,
    read_signer,
    read_verifier,
    sign_checkpoint,
)
from interlock.ledger.tiles import TiledTree
from interlock.ledger.witnessing import SIZE, Answer, Witness, ask_for_cosignature
from tests.ledger.logs import MemoryLog, bodies, body, log_of

SIGNER = new_signer("w.example/1", COSIGNATURE)


class Kept:
    """A witness that remembers in memory."""

    def __init__(self, log: MemoryLog) -> None:
        self.last: dict[str, SignedCheckpoint] = {}
        self.witness = Witness(SIGNER, [log.signer.verifier], self.last.get, self.keep)

    def keep(self, signed: SignedCheckpoint) -> None:
        self.last[signed.checkpoint.origin] = signed


async def ask(kept: Kept, log: MemoryLog, old: int, signed: SignedCheckpoint) -> Answer:
    proof = await prove_consistency(TiledTree(log, signed.checkpoint.size).hash_of, old, signed.checkpoint.size)
    return kept.witness.add_checkpoint(ask_for_cosignature(old, proof, signed), 1_800_000_000)


async def test_it_cosigns_what_continues() -> None:
    log = MemoryLog()
    kept = Kept(log)
    old = 0
    for count in (1, 300, 0, 7, 512):
        signed = log.publish([body(old + number + 1) for number in range(count)])
        answer = await ask(kept, log, old, signed)
        assert answer.status == 200
        both = SignedCheckpoint(signed.checkpoint, Note(signed.note.text, (*signed.note.signatures, answer.text)))
        assert cosigners(both, [SIGNER.verifier]) == {"w.example/1": 1_800_000_000}
        old = signed.checkpoint.size
        assert kept.last[log.signer.verifier.name].checkpoint.size == old


async def test_another_history_is_not_cosigned() -> None:
    log = log_of(300)
    kept = Kept(log)
    assert (await ask(kept, log, 0, log.publish([]))).status == 200
    rewritten = MemoryLog(log.signer)
    signed = rewritten.publish([*bodies(100), *(body(n, "evil") for n in range(101, 301))])
    same = await ask(kept, rewritten, 300, signed)
    assert (same.status, same.text, same.content_type) == (409, "300\n", SIZE)
    longer = rewritten.publish([body(301)])
    assert (await ask(kept, rewritten, 300, longer)).status == 422
    assert kept.last[log.signer.verifier.name].checkpoint == log.publish([]).checkpoint
    # the true one goes on
    assert (await ask(kept, log, 300, log.publish([body(301)]))).status == 200


async def test_a_ledger_that_went_backwards_is_not_cosigned() -> None:
    log = log_of(300)
    kept = Kept(log)
    assert (await ask(kept, log, 0, log.publish([]))).status == 200
    shorter = log_of(200, log.signer)
    answer = await ask(kept, shorter, 0, shorter.publish([]))
    assert (answer.status, answer.text) == (409, "300\n")


async def test_strangers_and_forgeries_are_refused() -> None:
    log = log_of(5)
    kept = Kept(log)
    signed = log.publish([])
    other = log_of(5, new_signer("other.example/log"))
    assert (await ask(kept, other, 0, other.publish([]))).status == 404
    impostor = new_signer(log.signer.verifier.name)
    assert (await ask(kept, log, 0, sign_checkpoint(signed.checkpoint, impostor))).status == 403
    good = ask_for_cosignature(0, [], signed)
    for content, status in (
        (good.replace(b"\n5\n", b"\n6\n"), 403),
        (good.replace(b"old 0", b"old 6"), 400),
        (good.replace(b"old 0", b"old 3"), 409),
        (good.replace(b"old 0", b"old 00"), 400),
        (good.replace(b"old 0", b"new 0"), 400),
        (good.replace(b"old 0\n", b"old 0\n!!\n"), 400),
        (good.replace(b"old 0\n", b"old 0\n" + b"AAAA\n" * 64), 400),
        (good.replace(b"old 0\n", b"old 0\nAAAA\n"), 422),
        (b"", 400),
        (b"\xff" * 50, 400),
        (b"old 0\n\n", 400),
    ):
        assert kept.witness.add_checkpoint(content, 1).status == status, content
    assert kept.last == {}


def test_keys_are_read_as_they_are_written() -> None:
    for algorithm in (1, COSIGNATURE):
        signer = new_signer("name.example/x", algorithm)
        again = read_signer(signer.secret_text())
        assert again.verifier == signer.verifier == read_verifier(str(signer.verifier))
    # the example of C2SP's signed-note
    known = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert str(read_verifier(known)) == known
    for wrong in ("", "a+b", "a b+c74f20a3+AAAA", known.replace("c74", "c75"), known[:-4] + "!!!!", known[:-4]):
        with pytest.raises(ValueError, match=r"key|number|name"):
            read_verifier(wrong)
