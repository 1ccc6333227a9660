"""The ledger's key is replaced, with a real database and sequencer: overlaps, kills in between, two at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from interlock.app.background import beside
from interlock.app.check_ledger import check_ledger
from interlock.app.data_folder import DataFolder, locked, open_data_folder
from interlock.app.finding import Verdict
from interlock.app.installation import keep_state_address
from interlock.app.ledger_keys import NEXT_FILE, FileLogKeys
from interlock.app.places import Places
from interlock.app.publishing import KEY_FILE, public_key_of
from interlock.domain.identity_events import LedgerKeyRotated
from interlock.errors import Failure, Refusal
from interlock.identity.keys import write_private
from interlock.ledger.audit import Sound, Trust, audit
from interlock.ledger.notes import SignedCheckpoint, VerifierKey, holds, new_signer, read_checkpoint, read_signer
from interlock.ledger.succession import handover_path, statement
from interlock.ledger.tiles import CHECKPOINT
from interlock.ledger.verify import Broken
from interlock.policy.configuration import Witnesses
from interlock.ports.log_keys import LogKey
from interlock.services.rotate_ledger_key import LedgerRotation, newest_named, rotate_ledger_key
from interlock.store.home import StateAddress
from interlock.store.sequencer import Sequencer
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles
from interlock.wire.objects import Place
from tests.store.test_sequencer import append, until, until_size_of

DAY = timedelta(days=1)


class House:
    """One database and one published ledger; ``folders`` are the data folders of control planes."""

    def __init__(self, state: PostgresState, address: StateAddress, root: Path) -> None:
        self.state = state
        self.url = address.url
        self.root = root
        self.tiles = ObjectTiles(str(root / "log"), create=True)
        self.ahead = timedelta(0)
        """How much later than now the sequencers take it to be."""

    def folder(self, name: str) -> tuple[DataFolder, FileLogKeys]:
        folder = open_data_folder(self.root / name)
        return folder, FileLogKeys.open(folder)

    def copy(self, keys: DataFolder, name: str) -> tuple[DataFolder, FileLogKeys]:
        """Another control plane, with the keys of that one as they are now."""
        folder = open_data_folder(self.root / name)
        for path in keys.keys.glob("ledger*"):
            (folder.keys / path.name).write_bytes(path.read_bytes())
            (folder.keys / path.name).chmod(0o600)
        return folder, FileLogKeys.open(folder)

    @asynccontextmanager
    async def sequencing(self, keys: FileLogKeys) -> AsyncIterator[None]:
        async with beside(Sequencer(self.url, self.tiles, keys, now=lambda: datetime.now(UTC) + self.ahead).run()):
            yield

    async def rotate(self, keys: FileLogKeys, overlap: timedelta = DAY) -> LedgerRotation:
        return await rotate_ledger_key(
            self.state, keys, self.tiles, now=datetime.now(UTC), overlap=overlap, by="operator"
        )

    async def begin(self, keys: FileLogKeys) -> None:
        """A ledger with something in it, published, and nobody who publishes it."""
        async with self.sequencing(keys):
            await self.grown(5)

    async def head(self) -> int:
        async with self.state.reading() as reading:
            return await reading.ledger_head()

    async def grown(self, count: int = 1) -> SignedCheckpoint:
        """That many entries more, published."""
        await append(self.state, count, f"n{await self.head()}-")
        return await self.published()

    async def published(self) -> SignedCheckpoint:
        await until_size_of(self.tiles, await self.head())
        return read_checkpoint(await self.tiles.read(CHECKPOINT) or b"")

    async def verdict(self, key: VerifierKey) -> Sound | Broken:
        return await audit(self.tiles, Trust(key))


@pytest.fixture
def house(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> House:
    return House(state, state_database, tmp_path)


def signed_by(signed: SignedCheckpoint, *keys: VerifierKey) -> list[bool]:
    return [holds(signed.note, key) is not None for key in keys]


async def test_the_new_key_signs_from_its_entry_on_and_the_old_one_until_the_overlap_ends(house: House) -> None:
    folder, keys = house.folder("one")
    old = public_key_of(folder)
    async with house.sequencing(keys):
        before = await house.grown(300)
        assert signed_by(before, old) == [True]
        rotation = await house.rotate(keys)
        assert rotation.older == old
        at = await house.published()
        assert at.checkpoint.size == before.checkpoint.size + 1
        assert signed_by(at, old, rotation.key) == [True, True]
        await until(lambda: public_key_of(folder) == rotation.key)
        within = await house.grown()
        assert signed_by(within, old, rotation.key) == [True, True]
        # a moment before the end, and at it
        house.ahead = rotation.older_until - datetime.now(UTC) - timedelta(seconds=30)
        assert signed_by(await house.grown(), old, rotation.key) == [True, True]
        house.ahead = rotation.older_until - datetime.now(UTC)
        assert signed_by(await house.grown(), old, rotation.key) == [False, True]
        # a clock that is set back lets it sign again, which takes nothing from the new one
        house.ahead = timedelta(0)
        assert signed_by(await house.grown(), old, rotation.key) == [True, True]
    for key in (old, rotation.key):
        found = await house.verdict(key)
        assert isinstance(found, Sound), found
        assert found.key == rotation.key
    # and another rotation follows, after another start
    _, keys = folder, FileLogKeys.open(folder)
    async with house.sequencing(keys):
        third = await house.rotate(keys, timedelta(0))
        after = await house.grown()
    assert signed_by(after, rotation.key, third.key) == [False, True]
    assert isinstance(await house.verdict(old), Sound)
    kept = {read_signer(path.read_text()).verifier for path in folder.keys.glob("ledger.until-*.key")}
    assert kept == {old}, "that of the second rotation, without an overlap, is forgotten already"


async def test_without_an_overlap_the_old_key_still_hands_over(house: House) -> None:
    folder, keys = house.folder("one")
    old = public_key_of(folder)
    async with house.sequencing(keys):
        await house.grown(5)
        rotation = await house.rotate(keys, timedelta(0))
        assert signed_by(await house.published(), old, rotation.key) == [True, True]
        await until(lambda: not list(folder.keys.glob("ledger.until-*")))
        assert signed_by(await house.grown(), old, rotation.key) == [False, True]
    assert isinstance(await house.verdict(old), Sound)


async def test_a_rotation_long_over_before_anything_is_published_hands_over_all_the_same(house: House) -> None:
    folder, keys = house.folder("one")
    old = public_key_of(folder)
    async with house.sequencing(keys):
        await house.grown(5)
    rotation = await house.rotate(keys)
    await append(house.state, 7, "meanwhile")
    house.ahead = 3 * DAY
    async with house.sequencing(keys):
        assert signed_by(await house.published(), old, rotation.key) == [False, True]
    assert await house.tiles.read(handover_path(0)) is not None
    assert isinstance(await house.verdict(old), Sound)


async def test_killed_between_the_key_and_its_entry_nothing_has_happened(house: House) -> None:
    folder, keys = house.folder("one")
    old = public_key_of(folder)
    with keys.alone():
        stray = await keys.make(old)  # and killed here
    async with house.sequencing(keys):
        assert signed_by(await house.grown(), old, stray.verifier) == [True, False]
        rotation = await house.rotate(keys)
        assert rotation.key != stray.verifier
        assert signed_by(await house.grown(), old, rotation.key, stray.verifier) == [True, True, False]
    assert isinstance(await house.verdict(old), Sound)


async def test_killed_after_the_entry_the_next_start_completes_it(house: House) -> None:
    folder, keys = house.folder("one")
    old = public_key_of(folder)
    await house.begin(keys)
    rotation = await house.rotate(keys)  # and killed before anything else saw it
    assert read_signer((folder.keys / KEY_FILE).read_text()).verifier == old
    with pytest.raises(Refusal, match="so that key cannot be replaced"):
        await house.rotate(keys)
    async with house.sequencing(FileLogKeys.open(folder)):
        assert signed_by(await house.published(), old, rotation.key) == [True, True]
        await until(lambda: public_key_of(folder) == rotation.key)
    assert not (folder.keys / NEXT_FILE).exists()
    assert read_signer((folder.keys / KEY_FILE).read_text()).verifier == rotation.key


@pytest.mark.parametrize("written", ["the old one beside", "the new one in place", "the handover"])
async def test_killed_between_any_two_writes_of_the_takeover_it_is_completed(house: House, written: str) -> None:
    folder, keys = house.folder("one")
    old = public_key_of(folder)
    await house.begin(keys)
    before = {path.name: path.read_bytes() for path in folder.keys.glob("ledger*")}
    checkpoint = (Path(house.tiles.where) / CHECKPOINT).read_bytes()
    rotation = await house.rotate(keys)
    fresh = (folder.keys / NEXT_FILE).read_bytes()
    async with house.sequencing(keys):
        published = await house.published()
        await until(lambda: public_key_of(folder) == rotation.key)
    # the folder as a kill left it at that moment
    if written == "the handover":
        (Path(house.tiles.where) / CHECKPOINT).write_bytes(checkpoint)
        for path in folder.keys.glob("ledger.until-*"):
            path.unlink()
    for name, content in before.items():
        (folder.keys / name).write_bytes(content)
    if written == "the new one in place":
        (folder.keys / KEY_FILE).write_bytes(fresh)
    (folder.keys / NEXT_FILE).write_bytes(fresh)
    (folder.keys / NEXT_FILE).chmod(0o600)
    async with house.sequencing(FileLogKeys.open(folder)):
        await until(lambda: public_key_of(folder) == rotation.key and not (folder.keys / NEXT_FILE).exists())
        assert signed_by(await house.grown(), old, rotation.key) == [True, True]
    assert len(list(folder.keys.glob("ledger.until-*.key"))) == 1
    assert isinstance(await audit(house.tiles, Trust(old), since=published.checkpoint), Sound)


async def test_of_two_rotations_at_once_one_follows_and_the_other_is_refused(house: House) -> None:
    """From two machines, whose folders know nothing of each other."""
    folder, one = house.folder("one")
    _, two = house.copy(folder, "two")
    await house.begin(one)
    done = await asyncio.gather(house.rotate(one), house.rotate(two), return_exceptions=True)
    refused = [found for found in done if isinstance(found, Refusal)]
    assert [found.code for found in refused] == ["no-ledger-key"]
    winner = one if isinstance(done[0], LedgerRotation) else two
    async with house.sequencing(winner):
        await house.grown()
    found = await house.verdict(public_key_of(folder))
    assert isinstance(found, Sound)
    assert len(found.chain.steps) == 1


async def test_a_control_plane_without_the_new_key_publishes_nothing_and_the_other_does(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    folder, one = house.folder("one")
    stale, two = house.copy(folder, "two")
    old = public_key_of(folder)
    async with house.sequencing(two):
        await house.grown(3)
        rotation = await house.rotate(one)
        await append(house.state, 1, "after")
        await until(lambda: "which this control plane has not got" in caplog.text)
        published = read_checkpoint(await house.tiles.read(CHECKPOINT) or b"")
        assert published.checkpoint.size == 3
        async with house.sequencing(one):
            assert signed_by(await house.published(), old, rotation.key) == [True, True]
    # later as well, with everything published and the old key still here
    caplog.clear()
    async with house.sequencing(two):
        await append(house.state, 1, "later")
        await until(lambda: "which this control plane has not got" in caplog.text)
        assert (await house.tiles.read(CHECKPOINT) or b"").startswith(f"{old.name}\n5\n".encode())
        # the newest key copied to it, as docs/operations.md says
        (stale.keys / KEY_FILE).write_bytes((folder.keys / KEY_FILE).read_bytes())
        assert signed_by(await house.published(), rotation.key) == [True]
    assert isinstance(await house.verdict(old), Sound)


async def test_keys_restored_from_before_the_rotation_sign_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    folder, keys = house.folder("one")
    _, restored = house.copy(folder, "backup")
    async with house.sequencing(keys):
        await house.grown(3)
        await house.rotate(keys, timedelta(0))
        last = await house.grown()
    async with house.sequencing(restored):
        await append(house.state, 1, "more")
        await until(lambda: "which this control plane has not got" in caplog.text)
        assert read_checkpoint(await house.tiles.read(CHECKPOINT) or b"").checkpoint == last.checkpoint


async def test_an_entry_that_the_old_key_did_not_sign_is_not_published(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """As somebody writes it who has the database and none of the keys."""
    folder, keys = house.folder("one")
    _, theirs = house.folder("theirs")
    old, evil = public_key_of(folder), await theirs.first()
    async with house.sequencing(keys):
        await house.grown(3)
        text = statement(old, evil.verifier, datetime(2027, 1, 1, tzinfo=UTC))
        line = (await evil.sign(text)).rstrip("\n")
        async with house.state.changing("operator") as work:
            work.record(
                LedgerKeyRotated(
                    key=str(evil.verifier),
                    older=str(old),
                    older_until=datetime(2027, 1, 1, tzinfo=UTC),
                    signatures=(line,),
                )
            )
        await until(lambda: "The ledger's key is not replaced as it should be" in caplog.text)
    assert read_checkpoint(await house.tiles.read(CHECKPOINT) or b"").checkpoint.size == 3
    assert isinstance(await house.verdict(old), Sound)
    assert isinstance(await house.verdict(evil.verifier), Broken)


@pytest.mark.parametrize("overlap", [DAY, timedelta(0)])
async def test_a_handover_that_was_taken_away_lets_no_other_take_its_place(
    house: House, caplog: pytest.LogCaptureFixture, overlap: timedelta
) -> None:
    folder, keys = house.folder("one")
    old = public_key_of(folder)
    async with house.sequencing(keys):
        await house.grown(3)
        await house.rotate(keys, overlap)
        await house.grown()
        await until(lambda: public_key_of(folder) != old)
    handover = Path(house.tiles.where) / handover_path(0)
    kept = handover.read_bytes()
    handover.unlink()
    assert isinstance(await house.verdict(old), Broken)
    async with house.sequencing(keys):
        await house.rotate(keys)
        await until(lambda: "Restore the objects handover" in caplog.text)
        assert await house.tiles.read(handover_path(0)) is None
        handover.write_bytes(kept)
        await house.published()
    found = await house.verdict(old)
    assert isinstance(found, Sound)
    assert len(found.chain.steps) == 2
    async with house.state.reading() as reading:
        assert await newest_named(reading) == found.key


async def test_a_key_that_signs_other_than_it_says_is_named_by_no_entry(house: House) -> None:
    """Such an entry could never be published, nor what comes after it."""

    class Misled(FileLogKeys):
        async def make(self, after: VerifierKey) -> LogKey:
            made = await super().make(after)
            return LogKey(made.verifier, new_signer_of(after.name))

    def new_signer_of(name: str) -> Callable[[str], Awaitable[str]]:
        other = new_signer(name)

        async def sign(text: str) -> str:
            return other.sign(text)

        return sign

    folder, keys = house.folder("one")
    await house.begin(keys)
    with pytest.raises(Failure, match="is not signed by the key that it names"):
        await house.rotate(Misled(folder))
    async with house.state.reading() as reading:
        assert await newest_named(reading) is None
    async with house.sequencing(keys):
        assert (await house.grown()).checkpoint.size == 6


async def test_each_key_keeps_its_own_overlap_and_its_file_removed_ends_it(house: House) -> None:
    folder, keys = house.folder("one")
    first = public_key_of(folder)
    async with house.sequencing(keys):
        await house.grown(3)
        second = await house.rotate(keys)
        assert second.others == ()
        await until(lambda: public_key_of(folder) == second.key)
        third = await house.rotate(keys, timedelta(0))
        assert third.others == ((first, second.older_until),)
        assert signed_by(await house.grown(), first, second.key, third.key) == [True, False, True]
        await until(lambda: public_key_of(folder) == third.key)
        for path in folder.keys.glob("ledger.until-*.key"):
            path.unlink()
        assert signed_by(await house.grown(), first, second.key, third.key) == [False, False, True]
        assert (await house.rotate(keys)).others == ()
    assert isinstance(await house.verdict(first), Sound)


async def test_a_public_half_that_is_none_of_the_keys_is_written_anew(house: House) -> None:
    folder, _ = house.folder("one")
    known = public_key_of(folder)
    (folder.keys / "ledger.vkey").write_text(str(new_signer(known.name).verifier))
    FileLogKeys.open(folder)
    assert public_key_of(folder) == known


def test_a_key_file_that_others_may_read_is_said_and_not_skipped(house: House) -> None:
    folder, _ = house.folder("one")
    (folder.keys / NEXT_FILE).write_text(new_signer("log.example/open").secret_text())
    (folder.keys / NEXT_FILE).chmod(0o644)
    with pytest.raises(Failure, match="can be read or changed by others"):
        FileLogKeys.open(folder)


def test_a_key_that_is_known_and_gone_is_missed_and_no_other_made(house: House) -> None:
    """As when its file was lost, or openbao.ledger was left out of the configuration."""
    folder, _ = house.folder("one")
    known = public_key_of(folder)
    (folder.keys / KEY_FILE).unlink()
    with pytest.raises(Failure, match="names the ledger's key, and"):
        FileLogKeys.open(folder)
    assert public_key_of(folder) == known
    assert not (folder.keys / KEY_FILE).exists()


async def test_a_key_that_only_lies_here_is_not_replaced(house: House) -> None:
    """On another control plane that made a key of its own, because keys/ was not copied to it before its first start:
    an entry that replaced that key could be published by nobody, nor could anything after it."""
    folder, keys = house.folder("one")
    stranger, theirs = house.folder("stranger")
    with pytest.raises(Refusal, match="There is no checkpoint"):
        await house.rotate(keys)
    await house.begin(keys)
    with pytest.raises(Refusal, match="so that key cannot be replaced"):
        await house.rotate(theirs)
    assert not (stranger.keys / NEXT_FILE).exists()
    async with house.sequencing(keys):
        rotation = await house.rotate(keys)
        assert signed_by(await house.published(), public_key_of(folder), rotation.key)[1]


async def test_doctor_says_where_the_key_that_an_entry_names_is_missing(
    house: House, state_database: StateAddress
) -> None:
    folder, keys = house.folder("one")
    stale, _ = house.copy(folder, "two")
    place = Place(house.tiles.where)
    with locked(folder), locked(stale):
        for one in (folder, stale):
            keep_state_address(one, state_database)

        async def said(one: DataFolder) -> tuple[Verdict, str]:
            finding = await check_ledger(one, Places(place, place), Witnesses())
            return finding.verdict, finding.sentence

        async with house.sequencing(keys):
            await house.grown(3)
        assert {(await said(one))[0] for one in (folder, stale)} == {Verdict.GOOD}
        rotation = await house.rotate(keys)
        missing = f"goes on with the key {rotation.key.number.hex()}, which is not in {stale.keys}"
        # before it is published, when only the folder where it was rotated can do that, and after
        for published in (False, True):
            if published:
                async with house.sequencing(keys):
                    await house.published()
                    await until(lambda: public_key_of(folder) == rotation.key)
            verdict, sentence = await said(stale)
            assert verdict is not Verdict.GOOD
            assert missing in sentence
            assert (await said(folder))[0] is Verdict.GOOD
        assert f"which followed {rotation.older.number.hex()} with entry 4" in (await said(folder))[1]
        for path in folder.keys.glob("ledger*.key"):
            write_private(stale.keys / path.name, path.read_bytes())
        assert (await said(stale))[0] is Verdict.GOOD
