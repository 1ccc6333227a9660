"""A database restored from a backup that is older than the published ledger: said, and nothing is signed any more."""

import shutil
from pathlib import Path

import pytest

from interlock.ledger.audit import Sound
from interlock.ledger.verify import Broken, Verified
from interlock.store.home import embedded_address, embedded_state
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles
from tests.store.test_forgeries import compared
from tests.store.test_sequencer import append, published, sequencing, until, until_size, verdict
from tests.support.databases import migrate_now, server_folder


async def test_an_older_backup_is_noticed_also_when_it_was_written_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiles = ObjectTiles(str(tmp_path / "log"), create=True)
    with server_folder() as folder:
        server = embedded_state(folder / "postgres")
        server.start()
        address = embedded_address(server)
        migrate_now(address.owner_url)
        state = PostgresState(address.url)
        async with sequencing(address.url, tiles):
            await append(state, 200)
            await until_size(tiles, 200)
        await state.close()
        # as docs/state.md says: stopped, and the folder copied
        server.stop()
        shutil.copytree(folder / "postgres", folder / "backup", symlinks=True, ignore=_sockets)
        _own(folder / "postgres", folder / "backup")
        server.start()
        state = PostgresState(address.url)
        async with sequencing(address.url, tiles):
            await append(state, 50, "after")
            newest = await until_size(tiles, 250)
        await state.close()
        server.stop()

        shutil.rmtree(folder / "postgres")
        (folder / "backup").rename(folder / "postgres")
        server = embedded_state(folder / "postgres")
        server.start()
        try:
            state = PostgresState(address.url)
            async with sequencing(address.url, tiles):
                await until(lambda: "The ledger went backwards: it ends with entry 200" in caplog.text)
                chain, sound = await compared(state, tiles)
                assert isinstance(chain, Verified)
                assert isinstance(sound, Broken)
                assert sound.position == 201
                assert "is missing from the database: the ledger went backwards" in sound.reason
                await append(state, 100, "instead")
                await until(lambda: "Entry 201 of the ledger is another than the one that was published" in caplog.text)
            _, sound = await compared(state, tiles)
            assert isinstance(sound, Broken)
            assert sound.position == 201
            await state.close()
        finally:
            server.stop()
    assert await published(tiles) == newest
    assert isinstance(await verdict(tiles, newest), Sound)


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_socket()]


def _own(source: Path, copy: Path) -> None:
    """Copies keep no owner; the server looks at it."""
    for path in (source, *source.rglob("*")):
        theirs = copy / path.relative_to(source)
        if theirs.exists() and not theirs.is_symlink():
            shutil.chown(theirs, path.stat().st_uid, path.stat().st_gid)
