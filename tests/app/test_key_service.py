"""Checkpoints signed and keys wrapped by a real OpenBao, whose keys never leave it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from interlock.app.data_folder import DataFolder, open_data_folder
from interlock.app.key_service import open_log_key, open_master_key
from interlock.app.publishing import open_signer
from interlock.errors import Failure
from interlock.identity.master_key import MASTER_FILE, FileMasterKey
from interlock.identity.openbao import Transit, TransitMasterKey
from interlock.ledger.notes import Checkpoint, open_checkpoint
from interlock.policy.configuration import OpenBao
from interlock.ports.master_key import Wrapped
from interlock.services.recording_keys import open_recording_key, rotate_recording_keys
from interlock.store.state import PostgresState
from tests.services.world import World
from tests.support.openbao import MOUNT, Bao, running_bao


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
    key = await open_log_key(folder, section(bao, ledger="ledger"), transit)
    checkpoint = Checkpoint(key.verifier.name, 3, bytes(32))
    text = checkpoint.written()
    signed = f"{text}\n{await key.sign(text)}".encode()
    assert open_checkpoint(signed, key.verifier).checkpoint == checkpoint
    # it is known under the same name and key after the next start, and after the key rotated in OpenBao
    bao.call("POST", f"{MOUNT}/keys/ledger/rotate", {})
    again = await open_log_key(folder, section(bao, ledger="ledger"), transit)
    assert again.verifier == key.verifier
    assert open_checkpoint(f"{text}\n{await again.sign(text)}".encode(), key.verifier).checkpoint == checkpoint
    assert not (folder.keys / "ledger.key").exists()


async def test_a_ledger_keeps_its_key(bao: Bao, transit: Transit, folder: DataFolder, tmp_path: Path) -> None:
    bao.call("POST", f"{MOUNT}/keys/another", {"type": "ed25519"})
    await open_log_key(folder, section(bao, ledger="ledger"), transit)
    with pytest.raises(Failure, match="another key than another"):
        await open_log_key(folder, section(bao, ledger="another"), transit)
    in_file = open_data_folder(tmp_path / "other")
    open_signer(in_file)
    with pytest.raises(Failure, match="A ledger keeps its key"):
        await open_log_key(in_file, section(bao, ledger="ledger"), transit)
    with pytest.raises(Failure, match="no Ed25519 key"):
        await open_log_key(open_data_folder(tmp_path / "third"), section(bao, ledger="recordings"), transit)


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
