"""Every rotation that took effect has its entry, wherever whoever rotated was killed."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from interlock.app import rotations
from interlock.app.rotations import finish_where_nobody_does, tell_rotations, tell_where_nobody_does
from interlock.errors import InterlockError
from interlock.identity import authority_rotation
from interlock.identity.authority import Authority, pem_of, self_signed
from interlock.identity.authority_rotation import NOTICE, announce, take_over, write_trusted
from interlock.identity.key_ring import read_ring
from interlock.identity.key_ring import rotate as rotate_tokens
from interlock.identity.keys import load_or_create_key, write_private
from interlock.identity.master_key import FileMasterKey
from interlock.identity.nonce_secrets import read_nonce_secrets, rotate_nonce_secret
from interlock.identity.overlap import rotation_told
from interlock.identity.ssh_authority import SshAuthority
from interlock.identity.ssh_authority import rotate as rotate_ssh
from interlock.ports.master_key import Wrapped
from interlock.services import recording_keys
from interlock.services.recording_keys import open_recording_key, rotate_recording_keys
from interlock.store.state import PostgresState
from tests.services.world import World


@pytest.fixture
async def world(state: PostgresState) -> World:
    world = World(state)
    await world.apply()
    return world


_STEPS = frozenset({"os.rename", "os.remove"})


def _fresh(folder: Path) -> Path:
    """A folder of keys as a control plane makes it."""
    now = datetime.now(UTC)
    Authority.open(folder, now)
    SshAuthority.open(folder, now)
    read_ring(folder, now)
    read_nonce_secrets(folder)
    return folder


def _announced_yesterday(folder: Path) -> None:
    now = datetime.now(UTC)
    announce(folder, now)
    key = load_or_create_key(folder / "authority.next.key")
    write_private(folder / "authority.next.pem", pem_of(self_signed(key, now - NOTICE)))
    write_trusted(folder, now)


_ROTATIONS: Mapping[str, tuple[str, Callable[[Path, datetime], object]]] = {
    "tokens": ("key.rotated", rotate_tokens),
    "ssh": ("ssh_authority.rotated", rotate_ssh),
    "announce": ("authority.announced", announce),
    "take over": ("authority.replaced", take_over),
    "nonces": ("nonce_secret.rotated", rotate_nonce_secret),
}


def _killed(rotate: Callable[[Path, datetime], object], folder: Path, step: int, at: datetime) -> bool:
    """A process rotates and is killed (SIGKILL) before it puts its file number ``step`` in place or removes it. False:
    it came to its end first, and is killed before it can say so to anybody."""
    child = os.fork()
    if child == 0:
        left = step

        def watch(event: str, _: object) -> None:
            nonlocal left
            if event in _STEPS:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        with suppress(BaseException):
            sys.addaudithook(watch)
            rotate(folder, at)
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status != 0


def _in_use(folder: Path) -> tuple[object, ...]:
    """What certifies, signs and comes next."""
    now = datetime.now(UTC)
    return (
        Authority.open(folder, now).fingerprint,
        authority_rotation.announced(folder),
        (folder / "token.key").read_bytes(),
        (folder / "ssh_authority.key").read_bytes(),
        tuple(at for at, _ in read_nonce_secrets(folder).later),
    )


@pytest.mark.parametrize("name", _ROTATIONS)
async def test_killed_between_any_two_steps_it_has_its_entry_if_it_took_effect(
    world: World, tmp_path: Path, name: str
) -> None:
    kind, rotate = _ROTATIONS[name]
    step, told, killed = 0, 0, True
    while killed:
        step += 1
        folder = _fresh(tmp_path / str(step))
        if name == "take over":
            _announced_yesterday(folder)
        await tell_rotations(world.state, folder)
        assert len(await world.events(kind)) == told
        before = _in_use(folder)
        # Each in an hour of its own, so that no two begin in the same minute.
        at = datetime.now(UTC) + timedelta(hours=step)
        killed = _killed(rotate, folder, step, at)
        took_effect = _in_use(folder) != before
        found = await tell_where_nobody_does(world.state, folder)
        assert [event.kind for event in found] == [kind] * took_effect, step
        told += took_effect
        # Once, and again when all that is remembered here was lost.
        (folder / "rotations.told").unlink(missing_ok=True)
        assert not await tell_rotations(world.state, folder)
        # The next one goes through, and is told as one more.
        with suppress(InterlockError):
            rotate(folder, at + timedelta(minutes=30))
        again = await tell_rotations(world.state, folder)
        told += len([event for event in again if event.kind == kind])
        assert _in_use(folder) != before
        Authority.open(folder, datetime.now(UTC))
    assert step > 1
    assert len(await world.events(kind)) == told >= step - 1


async def test_while_a_command_rotates_nobody_tells_it_twice(world: World, tmp_path: Path) -> None:
    folder = _fresh(tmp_path)
    with rotation_told(folder):
        rotate_tokens(folder, datetime.now(UTC))
        assert not await tell_where_nobody_does(world.state, folder)
        assert not await finish_where_nobody_does(world.state, world.master, folder)
        assert len(await tell_rotations(world.state, folder)) == 1
    assert not await tell_where_nobody_does(world.state, folder)


async def test_keys_that_are_another_machines_older_ones_are_no_rotation(world: World, tmp_path: Path) -> None:
    """A control plane whose folder was not brought the fresh key yet shows the rotation before, which is told."""
    folder = _fresh(tmp_path / "one")
    rotate_tokens(folder, datetime.now(UTC))
    await tell_rotations(world.state, folder)
    behind = _fresh(tmp_path / "two")
    for path in folder.glob("token*"):
        write_private(behind / path.name, path.read_bytes())
    rotate_tokens(folder, datetime.now(UTC))
    await tell_rotations(world.state, folder)
    assert not await tell_rotations(world.state, behind)
    assert len(await world.events("key.rotated")) == 2


@pytest.mark.parametrize("wraps", range(5))
async def test_recordings_whose_rotation_was_killed_are_wrapped_anew_and_told(
    world: World, monkeypatch: pytest.MonkeyPatch, wraps: int
) -> None:
    """Killed after the file and ``wraps`` keys; two go in one unit of work, so that some of them are committed."""
    monkeypatch.setattr(recording_keys, "_AT_ONCE", 2)
    sessions = [(await world.session_with())[0] for _ in range(4)]
    keys = [await open_recording_key(world.desk, world.master, session) for session in sessions]

    class Killed(FileMasterKey):
        left = wraps

        async def wrap(self, key: bytes, context: str) -> Wrapped:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            return await super().wrap(key, context)

        async def forget(self, keep: frozenset[str]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rotate_recording_keys(world.state, Killed(world.master.file), by=rotations.OPERATOR)
    assert await finish_where_nobody_does(world.state, world.master, world.master.file.parent)
    current = await world.master.current()
    events = await world.events("recording_keys.rotated")
    assert {event["key"] for event in events} == {current}
    assert sum(event["count"] for event in events) == 4
    async with world.state.reading() as reading:
        assert not await reading.recording_keys(wrapped_by_other_than=current)
    assert [await open_recording_key(world.desk, world.master, session) for session in sessions] == keys
    # And that was all of it.
    await finish_where_nobody_does(world.state, world.master, world.master.file.parent)
    assert await world.events("recording_keys.rotated") == events
