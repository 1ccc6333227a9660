"""Whoever looks after the ledger sees on its page when the witnesses have fallen silent."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from interlock.ledger.notes import COSIGNATURE, Note, SignedCheckpoint, SignerKey, new_signer
from interlock.ledger.tiles import CHECKPOINT
from interlock.ledger.witnessing import Witness, ask_for_cosignature
from interlock.ports.log_keys import LogKey
from interlock.store.home import StateAddress
from interlock.store.sequencer import Sequencer
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles
from tests.web.console.client import enter, http_of
from tests.web.console.premises import SECOND, company, open_premises
from tests.web.house import LEDGER_KEY

ONE, TWO = new_signer("w.example/1", COSIGNATURE), new_signer("w.example/2", COSIGNATURE)


def _text() -> str:
    asked = ", ".join(
        f"{{url: 'https://{one.verifier.name[-1]}.example', key: '{one.verifier}'}}" for one in (ONE, TWO)
    )
    return f"{company()}\nwitnesses: {{need: 2, of: [{asked}]}}\n"


async def until_published(tiles: ObjectTiles) -> None:
    async with asyncio.timeout(30):
        while await tiles.read(CHECKPOINT) is None:  # noqa: ASYNC110 -- a store tells nobody
            await asyncio.sleep(0.02)


@asynccontextmanager
async def _published(url: str, tiles: ObjectTiles, ago_s: int, *signers: SignerKey) -> AsyncIterator[None]:
    """The ledger is published, and these cosign each checkpoint as if it were so many seconds ago."""

    async def sign(text: str) -> str:
        return LEDGER_KEY.sign(text)

    async def cosign(signed: SignedCheckpoint) -> SignedCheckpoint:
        note = signed.note
        for signer in signers:
            witness = Witness(signer, [LEDGER_KEY.verifier], lambda _: None, lambda _: None)
            answer = witness.add_checkpoint(ask_for_cosignature(0, [], signed), int(time.time()) - ago_s)
            note = Note(note.text, (*note.signatures, answer.text))
        return SignedCheckpoint(signed.checkpoint, note)

    task = asyncio.create_task(Sequencer(url, tiles, LogKey(LEDGER_KEY.verifier, sign), cosign).run())
    try:
        await until_published(tiles)
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _page(
    state: PostgresState, address: StateAddress, folder: Path, text: str, ago_s: int, *signers: SignerKey
) -> str:
    async with open_premises(state, address, folder, text=text) as premises, http_of(premises) as http:
        second = await enter(premises, http, SECOND)
        tiles = ObjectTiles(str(folder / "ledger"), create=True)
        async with _published(address.url, tiles, ago_s, *signers):
            proof = await second.get("/ledger/1/proof")
            assert proof.text.startswith("c2sp.org/tlog-proof@v1\n")
            assert "Its proof" in (await second.get("/ledger/1")).text
            return (await second.get("/ledger")).text


async def test_a_witness_that_is_silent_is_told(
    state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    page = await _page(state, state_database, tmp_path, _text(), 0, ONE)
    assert "cosigned by 1 of 2 witnesses in the last five minutes, and 2 are needed" in page


async def test_old_cosignatures_are_told(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> None:
    page = await _page(state, state_database, tmp_path, _text(), 7500, ONE, TWO)
    assert "by 0 of 2 witnesses" in page
    assert re.search("the last cosignature is 12[4-9]m old", page)


async def test_enough_fresh_ones_need_no_word(
    state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    page = await _page(state, state_database, tmp_path, _text(), 0, ONE, TWO)
    assert "w.example/1" in page
    assert "w.example/2" in page
    assert "are needed" not in page
