"""A ledger whose key was replaced, by its objects alone: who holds which key, and what a thief of one can sign."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from interlock.domain.identity_events import LedgerKeyRotated
from interlock.errors import Failure
from interlock.ledger.audit import Current, Progress, Sound, Trust, audit, find_current
from interlock.ledger.canonical import canonical
from interlock.ledger.entries import Recorded, body_of
from interlock.ledger.merkle import prove_consistency
from interlock.ledger.notes import (
    COSIGNATURE,
    Checkpoint,
    Note,
    SignedCheckpoint,
    SignerKey,
    VerifierKey,
    new_signer,
    read_checkpoint,
    signature_line,
)
from interlock.ledger.proofs import read_proof, write_proof
from interlock.ledger.succession import (
    MARK,
    Chain,
    NoSuccession,
    Succession,
    handover_path,
    names_a_key,
    read_succession,
    statement,
)
from interlock.ledger.tiles import CHECKPOINT, TiledTree, tile_path
from interlock.ledger.verify import Broken
from interlock.ledger.witnessing import Answer, Witness, ask_for_cosignature
from interlock.ports.log_keys import LogKey
from interlock.store.signing import Signing
from interlock.store.tiles import ObjectTiles
from tests.ledger.logs import NOW, MemoryLog, bodies, body

NAME = "log.example/rotating"
OLD, NEW, THIRD, EVIL = (new_signer(NAME) for _ in range(4))
UNTIL = NOW + timedelta(days=30)


def named(position: int, older: SignerKey, key: SignerKey, until: datetime = UNTIL) -> bytes:
    """The entry by which ``key`` follows ``older``, both of which the writer has."""
    text = statement(older.verifier, key.verifier, until)
    event = LedgerKeyRotated(
        key=str(key.verifier),
        older=str(older.verifier),
        older_until=until,
        signatures=tuple(one.sign(text).rstrip("\n") for one in (older, key)),
    )
    return body_of(Recorded(position, NOW + timedelta(seconds=position), "operator", event))


@dataclass
class RotatingLog:
    """A log that is signed by ``signers``; ``hand_over`` is what a sequencer does with an entry that names a key."""

    log: MemoryLog
    signers: tuple[SignerKey, ...]
    handed_over: int = 0

    @property
    def size(self) -> int:
        return self.log.growth.size

    def grow(self, count: int, name: str = "") -> SignedCheckpoint:
        first = self.size + 1
        return self.add([body(position, name) for position in range(first, first + count)])

    def add(self, more: list[bytes]) -> SignedCheckpoint:
        self.log.publish(more)
        text = Checkpoint(NAME, self.size, self.log.growth.frontier.root()).written()
        note = Note(text, tuple(signer.sign(text) for signer in self.signers))
        self.log.objects[CHECKPOINT] = str(note).encode()
        return read_checkpoint(str(note).encode())

    async def hand_over(self, older: SignerKey, key: SignerKey, *, overlap: bool = True) -> SignedCheckpoint:
        entry = named(self.size + 1, older, key)
        self.signers = (key, older)
        signed = self.add([entry])
        proof = await write_proof(self.log, signed, self.size, entry)
        self.log.objects[handover_path(self.handed_over)] = proof.encode()
        self.handed_over += 1
        self.signers = (key, older) if overlap else (key,)
        return signed


def fresh() -> RotatingLog:
    return RotatingLog(MemoryLog(OLD), (OLD,))


async def rotated(before: int = 300, after: int = 300) -> RotatingLog:
    """OLD signed it, and handed over to NEW, which signs alone by now."""
    log = fresh()
    log.grow(before)
    await log.hand_over(OLD, NEW, overlap=False)
    log.grow(after)
    return log


async def verdict(log: RotatingLog, key: VerifierKey, since: Checkpoint | None = None) -> Sound | Broken:
    return await audit(log.log, Trust(key), since=since)


async def test_who_holds_only_the_old_key_learns_the_new_one_from_what_the_old_one_signed() -> None:
    log = await rotated()
    for key in (OLD, NEW):
        found = await verdict(log, key.verifier)
        assert isinstance(found, Sound), found
        assert found.key == NEW.verifier
        assert [step.position for step in found.chain.steps] == [301]
    assert isinstance(await verdict(log, EVIL.verifier), Broken)
    quick = await find_current(log.log, Trust(OLD.verifier))
    assert isinstance(quick, Current)
    assert quick.key == NEW.verifier


async def test_in_the_overlap_each_is_enough_and_a_second_rotation_follows() -> None:
    log = fresh()
    log.grow(10)
    both = await log.hand_over(OLD, NEW)
    assert len(both.note.signatures) == 2
    log.grow(600)
    for key in (OLD, NEW):
        assert isinstance(await verdict(log, key.verifier), Sound)
    await log.hand_over(NEW, THIRD, overlap=False)
    log.grow(5)
    for key in (OLD, NEW, THIRD):
        found = await verdict(log, key.verifier)
        assert isinstance(found, Sound)
        assert found.key == THIRD.verifier


async def test_an_older_checkpoint_of_either_key_is_held_against_it() -> None:
    log = fresh()
    before = log.grow(300).checkpoint
    at = (await log.hand_over(OLD, NEW, overlap=False)).checkpoint
    after = log.grow(300).checkpoint
    log.grow(20)
    for since in (before, at, after):
        assert isinstance(await verdict(log, OLD.verifier, since=since), Sound)


# ---- somebody stole the old key after it was replaced


async def test_a_stolen_old_key_cannot_go_on_from_behind_the_handover() -> None:
    log = await rotated()
    log.signers = (OLD,)
    log.grow(5, "evil")
    for key in (OLD, NEW):
        found = await verdict(log, key.verifier)
        assert isinstance(found, Broken)
        assert "carries no signature" in found.reason
    # nor when the handover is taken away: the entry that names the other key is still in the tree
    del log.log.objects[handover_path(0)]
    assert isinstance(await verdict(log, NEW.verifier), Broken)
    found = await verdict(log, OLD.verifier)
    assert isinstance(found, Broken)
    assert (found.position, "names another key" in found.reason) == (301, True)


async def test_another_history_by_a_stolen_old_key_is_refused_by_all_who_know_more() -> None:
    log = await rotated()
    known = read_checkpoint(log.log.objects[CHECKPOINT]).checkpoint
    theirs = fresh()
    theirs.grow(300)
    theirs.grow(400, "evil")
    # who has the newer key; who kept a checkpoint
    assert isinstance(await verdict(theirs, NEW.verifier), Broken)
    found = await verdict(theirs, OLD.verifier, since=known)
    assert isinstance(found, Broken)
    assert "another history" in found.reason
    # who holds the old key and nothing else cannot tell: docs/threat-model.md says so
    assert isinstance(await verdict(theirs, OLD.verifier), Sound)
    # a handover of their own does not make it the one that others know
    await theirs.hand_over(OLD, EVIL, overlap=False)
    assert isinstance(await verdict(theirs, NEW.verifier), Broken)
    # nor does the true one, beside their history
    theirs.log.objects[handover_path(0)] = log.log.objects[handover_path(0)]
    for key in (OLD, NEW):
        assert isinstance(await verdict(theirs, key.verifier), Broken)


async def test_the_true_handover_in_another_history_is_refused_though_the_new_key_signed() -> None:
    """As when who runs it rewrites what was before: both keys' holder, whom an older checkpoint shows."""
    log = await rotated()
    theirs = RotatingLog(MemoryLog(OLD), (NEW,))
    theirs.grow(700, "evil")
    theirs.log.objects[handover_path(0)] = log.log.objects[handover_path(0)]
    found = await verdict(theirs, OLD.verifier)
    assert isinstance(found, Broken)
    assert "another history" in found.reason
    assert isinstance(await find_current(theirs.log, Trust(OLD.verifier)), Broken)


async def test_a_verification_that_is_taken_up_beyond_the_handover_still_looks_at_it() -> None:
    log = await rotated()
    seen: list[Progress] = []
    sound = await audit(log.log, Trust(OLD.verifier), advance=lambda at, _: seen.append(at))
    assert isinstance(sound, Sound)
    assert isinstance(await audit(log.log, Trust(OLD.verifier), after=seen[-1]), Sound)
    other = await rotated(299, 301)
    log.log.objects[handover_path(0)] = other.log.objects[handover_path(0)]
    assert isinstance(await audit(log.log, Trust(OLD.verifier), after=seen[-1]), Broken)


async def test_handovers_that_were_swapped_taken_away_or_doubled_do_not_hold() -> None:
    def with_handovers(*contents: bytes) -> RotatingLog:
        changed = MemoryLog(OLD)
        changed.objects = {path: one for path, one in log.log.objects.items() if not path.startswith("handover")}
        changed.objects |= {handover_path(number): content for number, content in enumerate(contents)}
        return RotatingLog(changed, ())

    log = fresh()
    log.grow(10)
    await log.hand_over(OLD, NEW)
    log.grow(300)
    await log.hand_over(NEW, THIRD, overlap=False)
    log.grow(10)
    first, second = (log.log.objects[handover_path(number)] for number in range(2))
    assert isinstance(await verdict(with_handovers(first, second), OLD.verifier), Sound)
    for contents in ((second, first), (first,), (second,), (), (first, first), (first, second, second)):
        for key in (OLD, NEW, THIRD):
            assert isinstance(await verdict(with_handovers(*contents), key.verifier), Broken), contents


# ---- entries that name a key and may not


def _signed_by(*signers: SignerKey) -> tuple[str, ...]:
    text = statement(OLD.verifier, NEW.verifier, UNTIL)
    return tuple(one.sign(text).rstrip("\n") for one in signers)


def _forged(position: int, **changed: Any) -> bytes:
    event = LedgerKeyRotated(
        key=str(NEW.verifier), older=str(OLD.verifier), older_until=UNTIL, signatures=_signed_by(OLD, NEW)
    )
    return body_of(Recorded(position, NOW, "operator", dataclasses.replace(event, **changed)))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"signatures": _signed_by(OLD)}, id="new-absent"),
        pytest.param({"signatures": _signed_by(NEW)}, id="old-absent"),
        pytest.param({"signatures": ()}, id="none"),
        pytest.param({"signatures": ("x\ny",)}, id="no-lines"),
        pytest.param({"signatures": ("— a b\n\n— c d",)}, id="a-note-within"),
        pytest.param({"key": str(EVIL.verifier)}, id="another-key"),
        pytest.param({"older": str(EVIL.verifier)}, id="another-older"),
        pytest.param({"older_until": UNTIL + timedelta(days=1)}, id="a-longer-overlap"),
        pytest.param({"key": str(new_signer("log.example/other").verifier)}, id="another-log"),
        pytest.param({"key": str(new_signer(NAME, COSIGNATURE).verifier)}, id="a-witness"),
        pytest.param({"key": "nonsense"}, id="nonsense"),
    ],
)
async def test_an_entry_that_both_keys_did_not_sign_names_nothing(changed: dict[str, Any]) -> None:
    with pytest.raises(NoSuccession):
        read_succession(_forged(1, **changed))
    log = fresh()
    log.add([*bodies(5), _forged(6, **changed)])
    found = await verdict(log, OLD.verifier)
    assert isinstance(found, Broken)
    assert found.position == 6


async def test_an_entry_too_long_for_a_bundle_names_no_key_behind_its_hash() -> None:
    event = LedgerKeyRotated(
        key=str(NEW.verifier), older=str(OLD.verifier), older_until=UNTIL, signatures=_signed_by(OLD, NEW)
    )
    log = fresh()
    log.add([*bodies(5), body_of(Recorded(6, NOW, "operator" * 10_000, event))])
    found = await verdict(log, OLD.verifier)
    assert isinstance(found, Broken)
    assert (found.position, "names another key" in found.reason) == (6, True)


def test_what_only_speaks_of_such_an_entry_names_no_key() -> None:
    spoken = {"kind": LedgerKeyRotated.kind}
    plain = {"actor": "a", "at": "2026-11-01T00:00:00Z", "event": {"found": spoken}, "kind": "x", "position": 1}
    assert MARK in canonical(plain)
    assert not names_a_key(canonical(plain))
    assert read_succession(canonical(plain)) is None
    assert names_a_key(canonical({**plain, "kind": LedgerKeyRotated.kind}))
    assert names_a_key(canonical(spoken)[:-1]), "what cannot be read is not let through"


def test_a_signature_for_a_key_is_no_signature_of_a_checkpoint() -> None:
    text = statement(OLD.verifier, NEW.verifier, UNTIL)
    with pytest.raises(ValueError, match="size is not a number"):
        read_checkpoint(f"{text}\n{OLD.sign(text)}".encode())


def test_keys_follow_each_other_once_and_never_back() -> None:
    def step(position: int, older: SignerKey, key: SignerKey) -> Succession:
        found = read_succession(named(position, older, key))
        assert found is not None
        return found

    chain = Chain().then(step(5, OLD, NEW), OLD.verifier)
    for wrong, why in (
        (step(9, NEW, OLD), "goes back"),
        (step(9, NEW, NEW), "goes back"),
        (step(9, OLD, THIRD), "did not sign then"),
        (step(5, NEW, THIRD), "stands before"),
    ):
        with pytest.raises(NoSuccession, match=why):
            chain.then(wrong)
    with pytest.raises(NoSuccession, match="did not sign then"):
        Chain().then(step(5, EVIL, NEW), OLD.verifier)
    assert chain.then(step(9, NEW, THIRD)).keys == (OLD.verifier, NEW.verifier, THIRD.verifier)
    assert chain.upto(4).newest is None
    assert chain.upto(5).newest == NEW.verifier


@pytest.mark.parametrize("signers", [(OLD,), (NEW,), (EVIL, OLD), (EVIL, NEW)])
async def test_a_handover_that_both_did_not_sign_is_none(signers: tuple[SignerKey, ...]) -> None:
    log = await rotated()
    content = log.log.objects[handover_path(0)].decode()
    head, _, note = content.partition("\n\n")
    text = note.partition("\n\n")[0] + "\n"
    log.log.objects[handover_path(0)] = f"{head}\n\n{text}\n{''.join(one.sign(text) for one in signers)}".encode()
    for key in (OLD, NEW):
        found = await verdict(log, key.verifier)
        assert isinstance(found, Broken)
        assert "both keys" in found.reason


async def test_a_handover_of_an_entry_outside_of_the_tree_is_none() -> None:
    log = await rotated()
    content = log.log.objects[handover_path(0)]
    other = (await rotated(299, 10)).log.objects[handover_path(0)]
    for forged in (
        content.replace(b"index 300", b"index 299"),
        content.split(b"\n\n")[0] + b"\n\n" + other.split(b"\n\n", 1)[1],
        b"",
        content[:-20],
        b"\xff" + content,
    ):
        log.log.objects[handover_path(0)] = forged
        assert isinstance(await verdict(log, OLD.verifier), Broken)
        assert isinstance(await verdict(log, NEW.verifier), Broken)


async def test_the_handover_is_a_proof_that_an_outsider_with_the_old_key_can_read() -> None:
    log = await rotated()
    proved = read_proof(log.log.objects[handover_path(0)], OLD.verifier)
    step = read_succession(proved.body)
    assert step is not None
    assert step.key == NEW.verifier


async def test_proofs_keep_to_the_keys_that_signed_them() -> None:
    log = fresh()
    early = await write_proof(log.log, log.grow(5), 3, body(3))
    both = await write_proof(log.log, await log.hand_over(OLD, NEW), 3, body(3))
    log.signers = (NEW,)
    late = await write_proof(log.log, log.grow(5), 3, body(3))
    for proof, takes in ((early, {OLD}), (both, {OLD, NEW}), (late, {NEW})):
        for key in (OLD, NEW):
            if key in takes:
                assert read_proof(proof.encode(), key.verifier).position == 3
            else:
                with pytest.raises(ValueError, match="carries no signature"):
                    read_proof(proof.encode(), key.verifier)


# ---- what a sequencer signs


async def _signs(text: str) -> str:
    return OLD.sign(text)


async def _misled(text: str) -> str:
    """As a vault that has another key under this name since."""
    return signature_line(NEW.verifier, EVIL.private.sign(text.encode()))


async def _signing(tiles: ObjectTiles) -> Signing:
    signing = Signing(LogKey(OLD.verifier, _signs), tiles, lambda: NOW)
    assert await signing.take_up(None) is None
    return signing


async def test_an_entry_that_says_another_place_than_its_own_is_not_signed(tmp_path: Path) -> None:
    """Its handover could not hold, and nobody with the old key could verify the ledger any more."""
    signing = await _signing(ObjectTiles(str(tmp_path), create=True))
    entry = named(8, OLD, NEW)
    assert [step and step.position for _, step in signing.parts([body(7), entry, body(9)], 6)] == [8, None]
    with pytest.raises(Failure, match="entry 7 says that its place is 8"):
        list(signing.parts([entry], 6))


async def test_a_handover_that_would_not_hold_is_not_written(tmp_path: Path) -> None:
    tiles = ObjectTiles(str(tmp_path), create=True)
    signing = await _signing(tiles)
    log = fresh()
    log.grow(5)
    signed = await log.hand_over(OLD, NEW)
    for path, content in log.log.objects.items():
        if path.startswith("tile"):
            await tiles.write(path, content)
    step = read_succession(named(6, OLD, NEW))
    assert step is not None
    text = signed.note.text
    note = Note(text, (await _misled(text), OLD.sign(text)))
    with pytest.raises(Failure, match="cannot be handed over at entry 6"):
        await signing.hand_over(dataclasses.replace(signed, note=note), step, named(6, OLD, NEW))
    assert await tiles.read(handover_path(0)) is None
    await signing.hand_over(signed, step, named(6, OLD, NEW))
    assert await tiles.read(handover_path(0)) == log.log.objects[handover_path(0)]


# ---- witnesses


class Watching:
    """A witness that was given these keys of the log, in their order."""

    def __init__(self, *keys: SignerKey, kept: SignedCheckpoint | None = None) -> None:
        self.kept = kept
        logs = [key.verifier for key in keys]
        self._witness = Witness(new_signer("w.example/1", COSIGNATURE), logs, lambda _: self.kept, self._keep)

    def _keep(self, signed: SignedCheckpoint) -> None:
        self.kept = signed

    async def ask(self, log: RotatingLog, signed: SignedCheckpoint) -> Answer:
        old = 0 if self.kept is None else self.kept.checkpoint.size
        size = signed.checkpoint.size
        proof = await prove_consistency(TiledTree(log.log, size).hash_of, old, size) if old <= size else []
        return self._witness.add_checkpoint(ask_for_cosignature(old, proof, signed), 1_800_000_000)


async def test_a_witness_cosigns_by_the_keys_that_it_was_given() -> None:
    log = fresh()
    only_old, both, only_new = Watching(OLD), Watching(OLD, NEW), Watching(NEW)
    before = log.grow(10)
    assert [(await one.ask(log, before)).status for one in (only_old, both, only_new)] == [200, 200, 403]
    within = await log.hand_over(OLD, NEW)
    assert [(await one.ask(log, within)).status for one in (only_old, both, only_new)] == [200, 200, 200]
    log.signers = (NEW,)
    after = log.grow(10)
    assert [(await one.ask(log, after)).status for one in (only_old, both, only_new)] == [403, 200, 200]
    # given the new key as well, it goes on from what it cosigned last
    again = Watching(OLD, NEW, kept=only_old.kept)
    assert (await again.ask(log, after)).status == 200


async def test_a_witness_that_saw_the_new_key_takes_the_old_one_alone_no_more() -> None:
    log = fresh()
    witness = Watching(OLD, NEW)
    log.grow(10)
    assert (await witness.ask(log, await log.hand_over(OLD, NEW, overlap=False))).status == 200
    kept = witness.kept
    # what continues the true history, and another history, each by the stolen key
    log.signers = (OLD,)
    answer = await witness.ask(log, log.grow(5, "evil"))
    assert (answer.status, "replaced" in answer.text) == (403, True)
    theirs = fresh()
    assert (await witness.ask(theirs, theirs.grow(400, "evil"))).status == 403
    assert witness.kept == kept


async def test_a_witness_that_was_given_the_keys_the_wrong_way_round_says_what_to_look_at() -> None:
    log = fresh()
    witness = Watching(NEW, OLD)
    log.grow(10)
    assert (await witness.ask(log, await log.hand_over(OLD, NEW, overlap=False))).status == 200
    answer = await witness.ask(log, log.grow(5))
    assert (answer.status, "its --log comes last" in answer.text) == (403, True)
    assert (await Watching(OLD, NEW, kept=witness.kept).ask(log, log.grow(5))).status == 200


async def test_a_damaged_tile_is_blamed_and_no_key() -> None:
    log = await rotated()
    path = tile_path(0, 0)
    log.log.objects[path] = b"\0" * 32 + log.log.objects[path][32:]
    found = await verdict(log, OLD.verifier)
    assert isinstance(found, Broken)
    assert found.position == 1
    assert "damaged" in found.reason
