"""The master key of recordings in a file."""

from pathlib import Path

import pytest

from interlock.errors import Failure
from interlock.identity.master_key import FileMasterKey

KEY = bytes(range(32))


async def test_what_another_program_rotates_is_wrapped_with_from_then_on(tmp_path: Path) -> None:
    ours, theirs = FileMasterKey(tmp_path / "recordings.key"), FileMasterKey(tmp_path / "recordings.key")
    before = await ours.wrap(KEY, "s-1")
    assert await ours.current() == await theirs.current() == before.master
    fresh = await theirs.rotate()
    assert (await ours.wrap(KEY, "s-1")).master == fresh != before.master
    assert await ours.unwrap(before, "s-1") == await theirs.unwrap(before, "s-1") == KEY


async def test_a_version_that_is_forgotten_opens_nothing_any_more(tmp_path: Path) -> None:
    ours, theirs = FileMasterKey(tmp_path / "recordings.key"), FileMasterKey(tmp_path / "recordings.key")
    before = await ours.wrap(KEY, "s-1")
    for _ in range(2):
        await theirs.rotate()
    await theirs.forget(frozenset())
    with pytest.raises(Failure, match=before.master):
        await ours.unwrap(before, "s-1")


async def test_a_file_that_was_damaged_is_not_gone_on_without(tmp_path: Path) -> None:
    master = FileMasterKey(tmp_path / "recordings.key")
    wrapped = await master.wrap(KEY, "s-1")
    (tmp_path / "recordings.key").write_text("nothing of the kind\n")
    with pytest.raises(Failure, match="does not hold master keys"):
        await master.unwrap(wrapped, "s-1")
