"""Checkpoints signed and keys wrapped by a real OpenBao, whose keys never leave it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from interlock.app.background import beside
from interlock.app.data_folder import DataFolder, open_data_folder
from interlock.app.key_service import open_log_keys, open_master_key
from interlock.app.ledger_keys import FileLogKeys
from interlock.app.ledger_keys_openbao import TransitLogKeys
from interlock.app.publishing import public_key_of
from interlock.errors import Failure, Refusal
from interlock.identity.master_key import MASTER_FILE, FileMasterKey
from interlock.identity.openbao import Transit, TransitMasterKey
from interlock.ledger.audit import Sound, Trust, audit
from interlock.ledger.notes import Checkpoint, SignedCheckpoint, VerifierKey, holds, open_checkpoint, read_checkpoint
from interlock.ledger.tiles import CHECKPOINT
from interlock.policy.configuration import OpenBao
from interlock.ports.log_keys import LogKeys
from interlock.ports.master_key import Wrapped
from interlock.services.recording_keys import open_recording_key, rotate_recording_keys
from interlock.services.rotate_ledger_key import LedgerRotation, newest_named, rotate_ledger_key
from interlock.store.home import StateAddress
from interlock.store.sequencer import Sequencer
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles
from tests.services.world import World
from tests.store.test_sequencer import append, until, until_size_of
from tests.support.openbao import MOUNT, Bao, running_bao

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def bao() -> Iterator[Bao]:
    with running_bao() as bao:
        yield bao


@pytest.fixture
async def transit(bao: Bao) -> AsyncIterator[Transit]:
    async def token() -> str:
        return bao.token

    transit = Transit(bao.address, token, mount=MOUNT)
    yield transit
    await transit.close()


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return open_data_folder(tmp_path / "data")


@pytest.fixture
async def world(state: PostgresState) -> World:
    world = World(state)
    await world.apply()
    return world


def section(bao: Bao, **names: str) -> OpenBao:
    return OpenBao(bao.address, "env:BAO", MOUNT, **names)


async def test_a_checkpoint_that_openbao_signed_holds_as_any(bao: Bao, transit: Transit, folder: DataFolder) -> None:
    keys = await open_log_keys(folder, section(bao, ledger="ledger"), transit)
    key = await keys.first()
    checkpoint = Checkpoint(key.verifier.name, 3, bytes(32))
    text = checkpoint.written()
    signed = f"{text}\n{await key.sign(text)}".encode()
    assert open_checkpoint(signed, key.verifier).checkpoint == checkpoint
    # a version that somebody made in OpenBao by hand signs nothing, now and after the next start
    bao.call("POST", f"{MOUNT}/keys/ledger/rotate", {})
    for found in (keys, await open_log_keys(folder, section(bao, ledger="ledger"), transit)):
        again = await found.first()
        assert again.verifier == key.verifier
        assert open_checkpoint(f"{text}\n{await again.sign(text)}".encode(), key.verifier).checkpoint == checkpoint
    assert not (folder.keys / "ledger.key").exists()


async def _until_known(folder: DataFolder, key: VerifierKey) -> None:
    await until(lambda: public_key_of(folder) == key)


async def test_the_ledgers_key_rotates_in_openbao(
    bao: Bao, transit: Transit, folder: DataFolder, state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    bao.call("POST", f"{MOUNT}/keys/rotating", {"type": "ed25519"})
    tiles = ObjectTiles(str(tmp_path / "log"), create=True)
    await open_log_keys(folder, section(bao, ledger="rotating"), transit)
    old = public_key_of(folder)
    for overlap in (timedelta(days=1), timedelta(0)):
        keys = await open_log_keys(folder, section(bao, ledger="rotating"), transit)
        async with beside(Sequencer(state_database.url, tiles, keys).run()):
            await append(state, 3, f"v{overlap}-")
            await _all_published(state, tiles)
            done = await rotate_ledger_key(state, keys, tiles, now=datetime.now(UTC), overlap=overlap, by="operator")
            await append(state, 3, f"w{overlap}-")
            await _all_published(state, tiles)
            await _until_known(folder, done.key)
        for believed in (old, done.older, done.key):
            found = await audit(tiles, Trust(believed))
            assert isinstance(found, Sound), found
            assert found.key == done.key
    # the first one's overlap still lasts; without one the second is not asked to sign any more
    said = read_checkpoint(await tiles.read(CHECKPOINT) or b"")
    assert [holds(said.note, key) is not None for key in (old, done.older, done.key)] == [True, False, True]


async def test_a_version_that_is_over_signs_no_more_in_openbao(
    bao: Bao, transit: Transit, folder: DataFolder, state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    bao.call("POST", f"{MOUNT}/keys/over", {"type": "ed25519"})
    tiles = ObjectTiles(str(tmp_path / "log"), create=True)
    keys = await open_log_keys(folder, section(bao, ledger="over"), transit)
    async with beside(Sequencer(state_database.url, tiles, keys).run()):
        await append(state, 3, "v")
        await _all_published(state, tiles)
        done = await rotate_ledger_key(state, keys, tiles, now=datetime.now(UTC), overlap=timedelta(0), by="operator")
        await _all_published(state, tiles)
        await _until_known(folder, done.key)
        for _ in range(200):
            if (await transit.read_key("over")).get("min_encryption_version") == 2:
                break
            await asyncio.sleep(0.05)
    with pytest.raises(Failure, match="refuses transit/sign/over"):
        await transit.sign("over", b"another history", 1)


async def test_a_rotation_that_openbao_does_not_answer_changes_nothing(
    bao: Bao, transit: Transit, folder: DataFolder, state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    bao.call("POST", f"{MOUNT}/keys/halfway", {"type": "ed25519"})
    reached = await open_log_keys(folder, section(bao, ledger="halfway"), transit)
    old = public_key_of(folder)
    tiles = ObjectTiles(str(tmp_path / "log"), create=True)
    await append(state, 3, "before")
    await _published(state, state_database, tiles, reached)

    async def rotated(keys: LogKeys) -> LedgerRotation:
        return await rotate_ledger_key(state, keys, tiles, now=datetime.now(UTC), overlap=DAY, by="operator")

    closed = Transit(bao.address, partial(_token, "none"), mount=MOUNT)
    with pytest.raises(Failure, match="refuses"):
        await rotated(TransitLogKeys(closed, "halfway", folder))
    await closed.close()
    # killed between OpenBao's new version and the entry
    stray = await reached.make(old)
    async with state.reading() as reading:
        assert await newest_named(reading) is None
    done = await rotated(reached)
    assert (done.older, done.others) == (old, ())
    with pytest.raises(Refusal, match="so that key cannot be replaced"):
        await rotated(reached)
    said = await _published(state, state_database, tiles, reached)
    assert [holds(said.note, key) is not None for key in (old, done.key, stray.verifier)] == [True, True, False]
    for believed in (old, done.key):
        assert isinstance(await audit(tiles, Trust(believed)), Sound)


async def test_a_version_that_the_operator_forbids_signs_no_more_and_the_others_go_on(
    bao: Bao, transit: Transit, folder: DataFolder, state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    bao.call("POST", f"{MOUNT}/keys/forbidden", {"type": "ed25519"})
    tiles = ObjectTiles(str(tmp_path / "log"), create=True)
    keys = await open_log_keys(folder, section(bao, ledger="forbidden"), transit)
    old = public_key_of(folder)
    other = open_data_folder(tmp_path / "other")
    (other.keys / "ledger.vkey").write_text(f"{old}\n")
    await append(state, 3, "v")
    await _published(state, state_database, tiles, keys)
    done = await rotate_ledger_key(state, keys, tiles, now=datetime.now(UTC), overlap=DAY, by="operator")
    said = await _published(state, state_database, tiles, keys)
    assert [holds(said.note, key) is not None for key in (old, done.key)] == [True, True]
    # in the overlap, while a sequencer has it in use: as docs/operations.md says of one that leaked
    task = asyncio.create_task(Sequencer(state_database.url, tiles, keys).run())
    try:
        await _grown(state, tiles)
        bao.call("POST", f"{MOUNT}/keys/forbidden/config", {"min_encryption_version": 2})
        said = await _grown(state, tiles)
    finally:
        await _ended(task)
    assert [holds(said.note, key) is not None for key in (old, done.key)] == [False, True]
    # another control plane, which knows the first version alone, starts and goes on with the newest
    later = await open_log_keys(other, section(bao, ledger="forbidden"), transit)
    await append(state, 1, "w")
    said = await _published(state, state_database, tiles, later)
    assert [holds(said.note, key) is not None for key in (old, done.key)] == [False, True]
    assert public_key_of(other) == done.key


async def _all_published(state: PostgresState, tiles: ObjectTiles) -> None:
    async with state.reading() as reading:
        await until_size_of(tiles, await reading.ledger_head())


async def _token(token: str) -> str:
    return token


async def _grown(state: PostgresState, tiles: ObjectTiles) -> SignedCheckpoint:
    async with state.reading() as reading:
        before = await reading.ledger_head()
    await append(state, 1, f"n{before}-")
    await until_size_of(tiles, before + 1)
    return read_checkpoint(await tiles.read(CHECKPOINT) or b"")


async def _published(
    state: PostgresState, address: StateAddress, tiles: ObjectTiles, keys: LogKeys
) -> SignedCheckpoint:
    """All that there is, by a sequencer with ``keys``."""
    task = asyncio.create_task(Sequencer(address.url, tiles, keys).run())
    try:
        await _all_published(state, tiles)
    finally:
        await _ended(task)
    return read_checkpoint(await tiles.read(CHECKPOINT) or b"")


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_the_token_needs_no_more_than_the_documentation_says(
    bao: Bao, folder: DataFolder, state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    """docs/recordings.md, on keys in OpenBao."""
    bao.call("POST", f"{MOUNT}/keys/narrow", {"type": "ed25519"})
    allowed = {"sign/narrow": "update", "keys/narrow": "read", "keys/narrow/rotate": "update"}
    allowed["keys/narrow/config"] = "update"
    rules = "".join(f'path "{MOUNT}/{path}" {{ capabilities = ["{may}"] }}\n' for path, may in allowed.items())
    bao.call("POST", "sys/policies/acl/narrow", {"policy": rules})
    token = bao.call("POST", "auth/token/create", {"policies": ["narrow"], "no_default_policy": True})
    narrow = Transit(bao.address, partial(_token, token["auth"]["client_token"]), mount=MOUNT)
    tiles = ObjectTiles(str(tmp_path / "log"), create=True)
    keys = await open_log_keys(folder, section(bao, ledger="narrow"), narrow)
    task = asyncio.create_task(Sequencer(state_database.url, tiles, keys).run())
    try:
        await _grown(state, tiles)
        now = datetime.now(UTC)
        done = await rotate_ledger_key(state, keys, tiles, now=now, overlap=timedelta(0), by="operator")
        await _until_known(folder, done.key)
        said = await _grown(state, tiles)
    finally:
        await _ended(task)
    assert holds(said.note, done.key) is not None
    assert (await narrow.read_key("narrow"))["min_encryption_version"] == 2
    await narrow.close()


async def test_a_ledger_keeps_its_keys_where_they_are(
    bao: Bao, transit: Transit, folder: DataFolder, tmp_path: Path
) -> None:
    bao.call("POST", f"{MOUNT}/keys/another", {"type": "ed25519"})
    await open_log_keys(folder, section(bao, ledger="ledger"), transit)
    with pytest.raises(Failure, match="another key than another"):
        await open_log_keys(folder, section(bao, ledger="another"), transit)
    in_file = open_data_folder(tmp_path / "other")
    FileLogKeys.open(in_file)
    with pytest.raises(Failure, match="keys stay where they are"):
        await open_log_keys(in_file, section(bao, ledger="ledger"), transit)
    with pytest.raises(Failure, match="no Ed25519 key"):
        await open_log_keys(open_data_folder(tmp_path / "third"), section(bao, ledger="recordings"), transit)


async def test_a_key_comes_back_for_its_own_session_alone(bao: Bao, transit: Transit, folder: DataFolder) -> None:
    master = open_master_key(folder, section(bao, recordings="recordings"), transit)
    wrapped = await master.wrap(b"k" * 32, "s-1")
    assert b"k" * 32 not in wrapped.text.encode()
    assert await master.unwrap(wrapped, "s-1") == b"k" * 32
    with pytest.raises(Failure, match="refuses transit/decrypt/recordings"):
        await master.unwrap(wrapped, "s-2")
    with pytest.raises(Failure, match="refuses transit/decrypt/recordings"):
        await master.unwrap(Wrapped(wrapped.text[:-8] + "AAAAAAA=", wrapped.master), "s-1")
    assert not (folder.keys / MASTER_FILE).exists()


async def test_keys_move_from_the_file_into_openbao_and_on_with_a_rotation(
    bao: Bao, transit: Transit, world: World
) -> None:
    session, _, _ = await world.session_with()
    before = await open_recording_key(world.desk, world.master, session)
    master = TransitMasterKey(transit, "recordings", world.master)
    assert await open_recording_key(world.desk, master, session) == before
    first, count = await rotate_recording_keys(world.state, master, by="operator")
    assert count == 1
    world.master.file.unlink()
    assert await open_recording_key(world.desk, master, session) == before
    async with world.state.reading() as reading:
        old = await reading.recording_key(session)
    assert old is not None
    assert old.wrapped.startswith("vault:v")
    for _ in range(2):
        await rotate_recording_keys(world.state, master, by="operator")
    assert await open_recording_key(world.desk, master, session) == before
    assert old.master == first
    with pytest.raises(Failure, match="refuses transit/decrypt/recordings"):
        await master.unwrap(Wrapped(old.wrapped, old.master), session)


async def test_a_token_that_is_not_let_in_and_a_server_that_is_gone_are_said(bao: Bao, folder: DataFolder) -> None:
    async def wrong() -> str:
        return "wrong"

    refused = Transit(bao.address, wrong, mount=MOUNT)
    with pytest.raises(Failure, match="permission denied"):
        await refused.read_key("ledger")
    await refused.close()
    gone = Transit("http://127.0.0.1:1", wrong, mount=MOUNT)
    master = TransitMasterKey(gone, "recordings", FileMasterKey(folder.keys / MASTER_FILE))
    with pytest.raises(Failure, match="cannot be reached"):
        await master.wrap(b"k" * 32, "s-1")
    await gone.close()
