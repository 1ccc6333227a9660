"""Another secret behind the nonces: nobody is turned away, all control planes agree, and the last one is worthless."""

import shutil
from datetime import timedelta
from pathlib import Path

from interlock.identity.dpop import Nonces
from interlock.identity.nonce_secrets import NOTICE, NonceSecrets, read_nonce_secrets, rotate_nonce_secret
from tests.identity.settings import NOW, HandClock

MINUTE = timedelta(minutes=1)


def test_no_nonce_ends_before_its_time_and_copies_agree(tmp_path: Path) -> None:
    clock = HandClock()
    here, there = tmp_path / "here", tmp_path / "there"
    one, stale = Nonces(read_nonce_secrets(here), clock), read_nonce_secrets(here)
    starts_at = rotate_nonce_secret(here, NOW)
    assert NOW + NOTICE <= starts_at <= NOW + NOTICE + MINUTE
    shutil.copytree(here, there)
    one.use(read_nonce_secrets(here))
    other, unread = Nonces(read_nonce_secrets(there), clock), Nonces(stale, clock)
    # Until it is in force, who has read it and who has not make the same nonces.
    assert one.current() == other.current() == unread.current()
    clock.at = starts_at - timedelta(seconds=1)
    last = one.current()
    assert last == unread.current()
    clock.at = starts_at + timedelta(seconds=59)
    fresh = one.current()
    assert one.takes(last)
    assert other.takes(last)
    assert one.takes(fresh)
    assert other.takes(fresh)
    assert not unread.takes(fresh)
    clock.move(timedelta(seconds=2))
    assert one.takes(fresh)
    assert not one.takes(last)


def test_with_a_leaked_secret_no_nonce_of_the_time_after_it_can_be_made(tmp_path: Path) -> None:
    clock = HandClock()
    leaked = Nonces(read_nonce_secrets(tmp_path), clock)
    starts_at = rotate_nonce_secret(tmp_path, NOW)
    ours = Nonces(read_nonce_secrets(tmp_path), clock)
    clock.at = starts_at
    assert not ours.takes(leaked.current())
    clock.move(timedelta(days=1))
    assert not ours.takes(leaked.current())


def test_rotations_in_one_minute_and_the_next_one_leave_the_one_in_force(tmp_path: Path) -> None:
    read_nonce_secrets(tmp_path)
    first, second = rotate_nonce_secret(tmp_path, NOW), rotate_nonce_secret(tmp_path, NOW)
    assert second == first + MINUTE
    before = read_nonce_secrets(tmp_path)
    assert len({before.first, *(secret for _, secret in before.later)}) == 3
    later = second + timedelta(hours=1)
    third = rotate_nonce_secret(tmp_path, later)
    after = read_nonce_secrets(tmp_path)
    assert after.first == before.of(later) == before.later[-1][1]
    assert [at for at, _ in after.later] == [third]
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_half_way_through_forgetting_the_last_one_nothing_changes(tmp_path: Path) -> None:
    """As after a kill -9 when the one in force is the first already and its file is there still."""
    secrets = NonceSecrets(b"b" * 32, ((NOW, b"b" * 32),))
    assert secrets.of(NOW - MINUTE) == secrets.of(NOW) == b"b" * 32
