"""Whoever looks after the ledger sees on its page which key signs it, which one that followed, and until when."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from interlock.app.data_folder import open_data_folder
from interlock.app.ledger_keys import FileLogKeys
from interlock.app.publishing import KEY_FILE, public_key_of
from interlock.identity.keys import write_private
from interlock.services.rotate_ledger_key import LedgerRotation, rotate_ledger_key
from interlock.store.home import StateAddress
from interlock.store.sequencer import Sequencer
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles
from tests.store.test_sequencer import until
from tests.web.console.client import enter, http_of
from tests.web.console.premises import SECOND, company, open_premises
from tests.web.console.test_cosignatures import until_published
from tests.web.house import LEDGER_KEY


async def test_the_page_shows_the_newest_key_and_those_that_it_followed(
    state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    folder = open_data_folder(tmp_path / "keys-of-the-ledger")
    write_private(folder.keys / KEY_FILE, LEDGER_KEY.secret_text().encode())
    keys = FileLogKeys.open(folder)

    async def rotate(tiles: ObjectTiles, overlap: timedelta) -> LedgerRotation:
        done = await rotate_ledger_key(state, keys, tiles, now=datetime.now(UTC), overlap=overlap, by="operator")
        await until(lambda: public_key_of(folder) == done.key)
        return done

    async with open_premises(state, state_database, tmp_path, text=company()) as premises, http_of(premises) as http:
        second = await enter(premises, http, SECOND)
        tiles = ObjectTiles(str(tmp_path / "ledger"), create=True)
        task = asyncio.create_task(Sequencer(state_database.url, tiles, keys).run())
        try:
            await until_published(tiles)
            before = (await second.get("/ledger")).text
            assert str(LEDGER_KEY.verifier) in before
            assert "It follows the key" not in before
            first = await rotate(tiles, timedelta(days=3))
            last = await rotate(tiles, timedelta(0))
            page = (await second.get("/ledger")).text
            entry = (await second.get("/ledger/1")).text
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    assert f'<pre class="text">{last.key}</pre>' in page.replace("&#43;", "+")
    told = page[page.index("It follows the key") :]
    assert told.index(first.key.number.hex()) < told.index("signs no more"), "the last one before it comes first"
    assert (
        told.index("signs no more") < told.index(LEDGER_KEY.verifier.number.hex()) < told.index("signs as well until")
    )
    assert "Its proof" in entry
