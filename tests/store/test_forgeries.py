"""What a superuser of the database can do to the ledger: each is named where it begins, and nothing else is blamed.

``left``: the rows are changed and their links left as they were. ``fitted``: places and links are made anew, so that
the database alone is flawless; what was published shows it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from interlock.cli.ledger_verify import Beside
from interlock.domain.rights_events import VendorAdded
from interlock.ledger.audit import Sound, Trust, audit, no_more_checks
from interlock.ledger.entries import Recorded, body_of, read_body
from interlock.ledger.links import GENESIS, link
from interlock.ledger.verify import Broken, Verified
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles
from tests.store.test_sequencer import SIGNER, append, sequencing, superuser, tiles, until_size

__all__ = ["tiles"]

COUNT, AT = 300, 270
Forge = Callable[[list[Recorded]], list[Recorded]]


def _changed(entries: list[Recorded]) -> list[Recorded]:
    forged = replace(entries[AT - 1], event=VendorAdded(vendor="another"))
    return [*entries[: AT - 1], forged, *entries[AT:]]


def _removed(entries: list[Recorded]) -> list[Recorded]:
    return [*entries[: AT - 1], *entries[AT:]]


def _inserted(entries: list[Recorded]) -> list[Recorded]:
    more = replace(entries[AT - 1], event=VendorAdded(vendor="more"), at=entries[AT - 1].at + timedelta(seconds=1))
    return [*entries[: AT - 1], more, *entries[AT - 1 :]]


def _reordered(entries: list[Recorded]) -> list[Recorded]:
    return [*entries[: AT - 1], entries[AT], entries[AT - 1], *entries[AT + 1 :]]


async def compared(state: PostgresState, tiles: ObjectTiles) -> tuple[Verified | Broken, Sound | Broken]:
    """As `interlock ledger verify` compares a server's database with what was published."""
    async with state.reading() as reading:
        entries = await reading.ledger(limit=10_000)
    beside = Beside(iter(entries), lambda _line: None, no_more_checks, "")
    sound = await audit(tiles, Trust(SIGNER.verifier), check=beside.compare)
    return beside.finish(), sound


async def _write(connection: asyncpg.Connection, entries: Sequence[Recorded], *, fitted: bool) -> None:
    """Put the entries in the place of those that there are."""
    old = {
        row["position"]: bytes(row["link"])
        for row in await connection.fetch("SELECT position, link FROM interlock.ledger")
    }
    await connection.execute("DELETE FROM interlock.changes")
    await connection.execute("DELETE FROM interlock.ledger")
    head, rows = GENESIS, []
    for place, entry in enumerate(entries, 1):
        body = body_of(replace(entry, position=place))
        head = link(head, body)
        kept = head if fitted else old.get(entry.position, head)
        rows.append((place, entry.at, entry.actor, entry.event.kind, body, kept))
    await connection.executemany(
        "INSERT INTO interlock.ledger (position, at, actor, kind, body, link, transaction) "
        "VALUES ($1, $2, $3, $4, $5, $6, 0)",
        rows,
    )


@pytest.mark.parametrize("fitted", [False, True], ids=["left", "fitted"])
@pytest.mark.parametrize("forge", [_changed, _removed, _inserted, _reordered])
async def test_it_is_named_where_it_begins(
    state: PostgresState,
    state_database: StateAddress,
    tiles: ObjectTiles,
    postgres_server: EmbeddedPostgres,
    forge: Forge,
    fitted: bool,
) -> None:
    async with sequencing(state_database.url, tiles):
        await append(state, COUNT)
        await until_size(tiles, COUNT)
    chain, sound = await compared(state, tiles)
    assert isinstance(chain, Verified)
    assert isinstance(sound, Sound)
    async with state.reading() as reading:
        entries = [read_body(entry.body) for entry in await reading.ledger(limit=10_000)]
    connection = await superuser(postgres_server, state_database)
    await _write(connection, forge(entries), fitted=fitted)
    chain, sound = await compared(state, tiles)
    assert isinstance(sound, Broken)
    assert sound.position == AT
    assert sound.reason == f"Entry {AT} in the database is not the one that was published."
    if fitted:
        assert isinstance(chain, Verified), "the database alone shows nothing"
    else:
        assert isinstance(chain, Broken)
        assert chain.position == AT
    # what was published is not to blame, and the old rows put back hold again
    assert isinstance(await audit(tiles, Trust(SIGNER.verifier)), Sound)
    await _write(connection, entries, fitted=True)
    await connection.close()
    chain, sound = await compared(state, tiles)
    assert isinstance(chain, Verified)
    assert isinstance(sound, Sound)
