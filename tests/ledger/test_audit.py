"""Forgeries of a published log: each is noticed, named, and nothing else is blamed."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from interlock.ledger.audit import Progress, Sound, Trust, audit
from interlock.ledger.canonical import canonical
from interlock.ledger.merkle import leaf_hash
from interlock.ledger.notes import COSIGNATURE, Checkpoint, SignerKey, new_signer, sign_checkpoint
from interlock.ledger.tiles import CHECKPOINT, body_path, bundle_path, is_path, read_bundle, tile_path, write_bundle
from interlock.ledger.verify import Broken
from tests.ledger.logs import MemoryLog, bodies, body, log_of

SIZE = 700


async def verdict(log: MemoryLog, since: Checkpoint | None = None) -> Sound | Broken:
    return await audit(log, Trust(log.signer.verifier), since=since)


def change_bundle(log: MemoryLog, number: int, change: Callable[[list[bytes]], list[bytes]], size: int = SIZE) -> None:
    width = min(256, size - number * 256)
    path = bundle_path(number, width)
    log.objects[path] = write_bundle(change(read_bundle(log.objects[path], path, width)))


def fit_tile(log: MemoryLog, number: int, size: int = SIZE) -> None:
    width = min(256, size - number * 256)
    entries = read_bundle(log.objects[bundle_path(number, width)], "", width)
    log.objects[tile_path(0, number, width)] = b"".join(map(leaf_hash, entries))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, SIZE])
async def test_what_was_published_holds(size: int) -> None:
    log = log_of(size)
    found = await verdict(log)
    assert isinstance(found, Sound)
    assert found.checkpoint.size == size


async def test_published_bit_by_bit_it_is_the_same_log() -> None:
    whole, parts = log_of(SIZE), MemoryLog()
    for start in range(0, SIZE, 77):
        old = parts.publish(bodies(SIZE)[start : start + 77]).checkpoint
        assert isinstance(await verdict(parts, since=old), Sound)
        assert isinstance(await verdict(whole, since=old), Sound)
    assert parts.growth.frontier.root() == whole.growth.frontier.root()


@pytest.mark.parametrize("position", [1, 255, 256, 257, 699, 700])
async def test_a_changed_entry_is_named(position: int) -> None:
    log = log_of(SIZE)
    number, at = divmod(position - 1, 256)
    change_bundle(log, number, lambda entries: [*entries[:at], body(position, "evil"), *entries[at + 1 :]])
    found = await verdict(log)
    assert isinstance(found, Broken)
    assert found.position == position
    assert "not the one that was logged" in found.reason


async def test_removed_inserted_and_reordered_entries_are_named() -> None:
    changes: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int]] = {
        "removed": (lambda e: [*e[:4], *e[5:], body(257)], 5),
        "inserted": (lambda e: [*e[:4], body(5, "new"), *e[4:255]], 5),
        "reordered": (lambda e: [*e[:9], e[10], e[9], *e[11:]], 10),
    }
    for change, position in changes.values():
        log = log_of(SIZE)
        change_bundle(log, 0, change)
        found = await verdict(log)
        assert isinstance(found, Broken)
        assert found.position == position


async def test_a_torn_tile_is_blamed_and_its_entries_are_not() -> None:
    for path, position in ((tile_path(0, 1), 257), (tile_path(0, 2, SIZE - 512), 513), (tile_path(1, 0, 2), 1)):
        for content in (b"", None, b"half of it"):
            log = log_of(SIZE)
            if content is None:
                del log.objects[path]
            else:
                log.objects[path] = content
            found = await verdict(log)
            assert isinstance(found, Broken)
            assert found.position == position
            assert path in found.reason
        log = log_of(SIZE)
        log.objects[path] = log.objects[path][:-1] + b"?"
        found = await verdict(log)
        assert isinstance(found, Broken)
        assert path in found.reason
        assert "The entries hold" in found.reason


async def test_a_bundle_that_is_cut_off_is_named() -> None:
    log = log_of(SIZE)
    log.objects[bundle_path(1)] = log.objects[bundle_path(1)][:-3]
    found = await verdict(log)
    assert isinstance(found, Broken)
    assert found.position == 257
    assert "ends within its entry 256" in found.reason


async def test_an_entry_rewritten_with_its_tile_is_found_among_its_256() -> None:
    log = log_of(SIZE)
    change_bundle(log, 1, lambda entries: [*entries[:40], body(297, "evil"), *entries[41:]])
    fit_tile(log, 1)
    found = await verdict(log)
    assert isinstance(found, Broken)
    assert found.position == 257
    assert "257 to 512" in found.reason


async def test_everything_rewritten_but_the_checkpoint_fits_it_no_more() -> None:
    log = log_of(SIZE)
    forged = MemoryLog()
    forged.publish([*bodies(SIZE)[:650], *(body(n, "evil") for n in range(651, SIZE + 1))])
    forged.objects[CHECKPOINT] = log.objects[CHECKPOINT]
    forged.signer = log.signer
    found = await verdict(forged)
    assert isinstance(found, Broken)
    older = log_of(650).growth
    since = Checkpoint(log.signer.verifier.name, 650, older.frontier.root())
    found = await verdict(forged, since=since)
    assert isinstance(found, Broken)
    assert found.position == 651


async def test_a_rewritten_and_signed_history_fits_no_older_checkpoint() -> None:
    log = log_of(SIZE)
    since = log.publish([]).checkpoint
    other = MemoryLog(log.signer)
    other.publish([body(1, "evil"), *bodies(SIZE + 50)[1:]])
    assert isinstance(await verdict(other), Sound)
    found = await verdict(other, since=since)
    assert isinstance(found, Broken)
    assert "another history" in found.reason


async def test_a_ledger_that_went_backwards_is_noticed() -> None:
    log = log_of(SIZE)
    since = log.publish([]).checkpoint
    found = await verdict(log_of(600, log.signer), since=since)
    assert isinstance(found, Broken)
    assert found.position == 601
    assert "went backwards" in found.reason


async def test_forged_checkpoints_do_not_hold() -> None:
    log = log_of(5)
    stranger = new_signer(log.signer.verifier.name)
    checkpoint = log.publish([]).checkpoint
    good = log.objects[CHECKPOINT]
    for content in (
        str(sign_checkpoint(checkpoint, stranger).note).encode(),
        good.replace(b"\n5\n", b"\n4\n"),
        good.replace(b"\n5\n", b"\n05\n"),
        good.replace(b"log.example", b"bad.example"),
        good[:-5] + b"AAA=\n",
        b"",
        b"\xff\n\n\xe2\x80\x94 a b\n",
        str(sign_checkpoint(Checkpoint("other", 5, checkpoint.root), log.signer).note).encode(),
    ):
        log.objects[CHECKPOINT] = content
        found = await verdict(log)
        assert isinstance(found, Broken)
        assert found.position == 0
    # another key's lines beside the log's own are none of our business
    log.objects[CHECKPOINT] = good + stranger.sign(checkpoint.written()).encode()
    assert isinstance(await verdict(log), Sound)


async def test_witnesses_are_counted_by_their_keys() -> None:
    log = log_of(5)
    first, second = new_signer("w.example/1", COSIGNATURE), new_signer("w.example/2", COSIGNATURE)
    text = log.publish([]).checkpoint.written()
    trust = Trust(log.signer.verifier, (first.verifier, second.verifier), need=2)
    log.objects[CHECKPOINT] += first.sign(text, seconds=7).encode() * 2
    found = await audit(log, trust)
    assert isinstance(found, Broken)
    assert "cosigned by 1" in found.reason
    log.objects[CHECKPOINT] += second.sign(text, seconds=8).encode()
    sound = await audit(log, trust)
    assert isinstance(sound, Sound)
    assert sound.witnessed == {"w.example/1": 7, "w.example/2": 8}
    log.objects[CHECKPOINT] = log.objects[CHECKPOINT].replace(b"\n5\n", b"\n6\n")
    assert isinstance(await audit(log, trust), Broken)


async def test_no_ledger_is_its_own_witness_and_one_key_under_two_names_is_one_witness() -> None:
    log = log_of(5)
    witness = new_signer("w.example/1", COSIGNATURE)
    again = SignerKey(replace(witness.verifier, name="w.example/another"), witness.private)
    text = log.publish([]).checkpoint.written()
    log.objects[CHECKPOINT] += witness.sign(text, seconds=7).encode() + again.sign(text, seconds=7).encode()
    own, other = log.signer.verifier, new_signer("w.example/2", COSIGNATURE).verifier
    for need, believed in ((1, (own,)), (2, (witness.verifier, again.verifier, other)), (2, (witness.verifier, own))):
        found = await audit(log, Trust(own, believed, need))
        assert isinstance(found, Broken), believed
        assert f"cosigned by {need - 1} of the witnesses" in found.reason


async def test_a_long_body_is_an_object_of_its_own() -> None:
    log = MemoryLog()
    long = body(2, "x" * 70_000)
    log.publish([body(1), long, body(3)])
    assert isinstance(await verdict(log), Sound)
    path = next(path for path in log.objects if path.startswith("body/"))
    log.objects[path] = long.replace(b"x", b"y", 1)
    found = await verdict(log)
    assert isinstance(found, Broken)
    assert found.position == 2
    del log.objects[path]
    assert isinstance(await verdict(log), Broken)


async def test_an_entry_that_the_log_signed_and_that_is_none() -> None:
    for entry in (
        body(3),
        body(2).replace(b'","', b'", "', 1),
        b'{"n":1.50,"position":2}',
        b'{"a":"\xff","position":2}',
    ):
        log = MemoryLog()
        log.publish([body(1), entry])
        found = await verdict(log)
        assert isinstance(found, Broken)
        assert found.position == 2
    log = MemoryLog()
    log.publish([canonical({"actor": "é", "at": 1.5, "position": 1})])
    assert isinstance(await verdict(log), Sound)


async def test_a_verification_goes_on_where_it_was() -> None:
    log = log_of(SIZE)
    seen: list[Progress] = []
    assert isinstance(await audit(log, Trust(log.signer.verifier), advance=lambda at, _: seen.append(at)), Sound)
    assert [at.size for at in seen] == [256, 512]
    since = Checkpoint(log.signer.verifier.name, 512, log_of(512).growth.frontier.root())
    for at in seen:
        read: list[str] = []

        class Watched(MemoryLog):
            async def read(self, path: str) -> bytes | None:
                read.append(path)  # noqa: B023 -- used within this turn of the loop
                return await log.read(path)

        sound = await audit(Watched(log.signer), Trust(log.signer.verifier), after=at, since=since)
        assert isinstance(sound, Sound)
        assert bundle_path(0) not in read
    change_bundle(log, 2, lambda entries: [body(513, "evil"), *entries[1:]])
    found = await audit(log, Trust(log.signer.verifier), after=seen[1])
    assert isinstance(found, Broken)
    assert found.position == 513


def test_only_paths_of_the_layout_are_paths() -> None:
    for path in (CHECKPOINT, tile_path(0, 1234567, 3), bundle_path(5), body_path("a" * 64)):
        assert is_path(path)
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    for path in ("", "../keys/ledger.key", "tile/../../x", "tile//x", "body/../..", "body/" + "A" * 64, "keys", "/etc"):
        assert not is_path(path)
