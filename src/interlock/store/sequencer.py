"""The sequencer: publishes the ledger as a signed Merkle tree. Of all that run, one at a time is elected.

The order of the entries is the database's; the tiles follow from it, so that two sequencers that both think they are
elected write the same bytes. What must not happen is a checkpoint that goes back or aside: one is signed only over a
tree that begins with the last one published, and only while the advisory lock is held.

Holds to:

* every object that a checkpoint speaks of is durable before the checkpoint is
* a ledger that is shorter than what was published, or other than it, is published no further; a sentence says where
* in an object store a checkpoint takes the place of the very one that was read, and no object is written over with
  other bytes: who was not told yet that another is elected changes nothing there
* tiles that are torn are made anew from the database, once its entries were found to make the published root
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime

import asyncpg

from interlock.domain.identity_events import LedgerKeyRotated
from interlock.errors import Failure, InterlockError
from interlock.ledger.links import GENESIS, link
from interlock.ledger.merkle import Frontier, leaf_hash
from interlock.ledger.notes import Checkpoint, NotANote, SignedCheckpoint, read_checkpoint
from interlock.ledger.succession import Succession
from interlock.ledger.tiles import (
    CHECKPOINT,
    WIDTH,
    DamagedError,
    Growth,
    body_path,
    entry_of,
    fetch_bundle,
    stands_for,
)
from interlock.ports.log_keys import LogKeys
from interlock.store.election import Elected, check_elected, elected
from interlock.store.failures import as_failures
from interlock.store.locks import SEQUENCER_LOCK
from interlock.store.signing import Signing
from interlock.store.tiles import ObjectTiles
from interlock.wire.objects import Version

_LOOK_S = 0.2
_PAUSE_S = 1.0
_TELL_AGAIN_S = 60.0
_AT_ONCE = 4096
_GUARD_EVERY = 25
_REFRESH_EVERY = 125
_SELECT = "SELECT position, body, link FROM interlock.ledger WHERE position > $1 ORDER BY position LIMIT $2"
_COUNT_NAMED = "SELECT count(*) FROM interlock.ledger WHERE kind = $1 AND position < $2"
_log = logging.getLogger("interlock.ledger")

Cosign = Callable[[SignedCheckpoint], Awaitable[SignedCheckpoint]]
"""Asks the witnesses, for a short while; gives the checkpoint with what they answered."""


async def no_witnesses(signed: SignedCheckpoint) -> SignedCheckpoint:
    return signed


class WentBackwards(Failure):
    """The database does not have, or has otherwise, what was published."""


class Sequencer:
    """``url`` is the state's database. ``run`` until cancelled; start as many as there are control planes."""

    def __init__(
        self,
        url: str,
        tiles: ObjectTiles,
        keys: LogKeys,
        cosign: Cosign = no_witnesses,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = url
        self._tiles = tiles
        self._signing = Signing(keys, tiles, now)
        self._cosign = cosign
        self._version: Version | None = None

    async def run(self) -> None:
        said, said_at = "", 0.0
        while True:
            try:
                async with elected(self._url, SEQUENCER_LOCK) as connection:
                    await self._publish_all(connection)
            except (InterlockError, DamagedError, NotANote) as error:
                # tried again each second, said once a minute: a full disk is not to be filled with this
                if str(error) != said or time.monotonic() - said_at > _TELL_AGAIN_S:
                    said, said_at = str(error), time.monotonic()
                    _log.error("The ledger is not published: %s", said)
            except Exception:  # noqa: BLE001 -- a fault of ours must not end publishing for good
                _log.exception("The ledger is not published, by a fault of ours.")
            await asyncio.sleep(_PAUSE_S)

    async def _publish_all(self, connection: Elected) -> None:
        await self._tiles.check()
        published = await self._published()
        await self._signing.check_ours()
        growth, head = await self._take_up(connection, published)
        current = published
        rounds = 0
        while True:
            rows = await self._rows(connection, growth.size)
            if rows:
                head = self._check_links(rows, growth.size, head)
                current = await self._publish(connection, growth, [bytes(row["body"]) for row in rows])
            elif current is None:
                current = await self._publish(connection, growth, [])
            else:
                await self._check_not_shorter(connection, growth.size)
                rounds += 1
                if rounds % _GUARD_EVERY == 0:
                    await self._guard(connection, current)
                if rounds % _REFRESH_EVERY == 0:
                    current = await self._refresh(connection, current)
                    await self._signing.settle()
                await asyncio.sleep(_LOOK_S)

    async def _published(self) -> SignedCheckpoint | None:
        found = await self._tiles.read_version(CHECKPOINT)
        self._version = None if found is None else found[1]
        return await self._signing.take_up(None if found is None else found[0])

    async def _rows(self, connection: Elected, after: int, limit: int = _AT_ONCE) -> Sequence[asyncpg.Record]:
        with as_failures():
            rows: Sequence[asyncpg.Record] = await connection.fetch(_SELECT, after, limit)
        return rows

    async def _check_not_shorter(self, connection: Elected, size: int) -> None:
        with as_failures():
            last = await connection.fetchval("SELECT coalesce(max(position), 0) FROM interlock.ledger")
        if last < size:
            raise WentBackwards(
                f"The ledger went backwards: it ends with entry {last}, and {size} entries were published.",
                "A backup older than the ledger was restored, or entries were removed: restore the newest backup.",
            )

    def _check_links(self, rows: Sequence[asyncpg.Record], size: int, head: bytes) -> bytes:
        for number, row in enumerate(rows, size + 1):
            if row["position"] != number:
                raise WentBackwards(f"Entry {number} is missing from the ledger.", "Find out who removed it.")
            head = link(head, bytes(row["body"]))
            if head != bytes(row["link"]):
                raise WentBackwards(
                    f"Entry {number} does not follow from those before it.", "Find out who changed the ledger."
                )
        return head

    async def _take_up(self, connection: Elected, published: SignedCheckpoint | None) -> tuple[Growth, bytes]:
        """The right edge of what was published, and the link of its last entry, compared with the database."""
        if published is None:
            return Growth(), GENESIS
        checkpoint = published.checkpoint
        await self._check_not_shorter(connection, checkpoint.size)
        try:
            growth = await Growth.resume(self._tiles, checkpoint)
        except DamagedError as damage:
            _log.warning("A part of the published ledger is damaged (%s) and is made anew.", damage)
            growth = await self._make_anew(connection, checkpoint)
        await self._compare_end(connection, checkpoint.size)
        with as_failures():
            head = await connection.fetchval("SELECT link FROM interlock.ledger WHERE position = $1", checkpoint.size)
        return growth, bytes(head) if head is not None else GENESIS

    async def _compare_end(self, connection: Elected, size: int) -> None:
        """The last published entries are the database's: after a restored backup they are not, whatever came since."""
        number = (size - 1) // WIDTH
        width = size - number * WIDTH
        entries = await fetch_bundle(self._tiles, number, width) if size else []
        rows = await self._rows(connection, number * WIDTH, width)
        for at, entry in enumerate(entries):
            if at >= len(rows) or entry_of(bytes(rows[at]["body"])) != entry:
                raise WentBackwards(
                    f"Entry {number * WIDTH + at + 1} of the ledger is another than the one that was published.",
                    "A backup older than the ledger was restored, or it was rewritten: restore the newest backup.",
                )

    async def _make_anew(self, connection: Elected, checkpoint: Checkpoint) -> Growth:
        frontier = Frontier()
        async for bodies in self._bodies(connection, checkpoint.size):
            for body in bodies:
                frontier.add(leaf_hash(entry_of(body)))
        if frontier.root() != checkpoint.root:
            raise WentBackwards(
                f"The ledger's first {checkpoint.size} entries are not those that were published, and its tiles are "
                "damaged.",
                "Verify a copy of the published ledger: interlock ledger verify SOURCE",
            )
        growth = Growth()
        async for bodies in self._bodies(connection, checkpoint.size):
            await self._write(growth, bodies, anew=True)
        return growth

    async def _bodies(self, connection: Elected, size: int) -> AsyncIterator[list[bytes]]:
        done = 0
        while done < size:
            rows = await self._rows(connection, done, min(_AT_ONCE, size - done))
            if not rows:
                return
            yield [bytes(row["body"]) for row in rows]
            done += len(rows)

    async def _write(self, growth: Growth, bodies: Sequence[bytes], *, anew: bool = False) -> None:
        entries = []
        for body in bodies:
            entry = entry_of(body)
            digest = stands_for(entry)
            if digest is not None and entry is not body:
                await self._tiles.write(body_path(digest), body, anew=anew)
            entries.append(entry)
        for path, content in growth.add(entries):
            await self._tiles.write(path, content, anew=anew)

    async def _publish(self, connection: Elected, growth: Growth, bodies: Sequence[bytes]) -> SignedCheckpoint:
        signed = None
        for part, step in self._signing.parts(bodies, growth.size):
            # Before anything of it is written: who has not got a key that has to sign publishes nothing.
            if step is not None:
                await self._check_all_handed_over(connection, step)
            signers = await self._signing.signers(step)
            await self._write(growth, part)
            text = Checkpoint(self._signing.name, growth.size, growth.frontier.root()).written()
            lines = "".join([await signer.sign(text) for signer in signers])
            own = read_checkpoint(f"{text}\n{lines}".encode())
            if step is not None:
                await self._signing.hand_over(own, step, part[-1])
            signed = await self._cosign(own)
            await self._put(connection, signed)
            if step is not None:
                await self._signing.taken_over(step)
        if signed is None:
            raise RuntimeError("nothing was to be published")
        return signed

    async def _check_all_handed_over(self, connection: Elected, step: Succession) -> None:
        """Handovers are counted; one that was removed from the store is not to be taken for one that never was."""
        with as_failures():
            before = await connection.fetchval(_COUNT_NAMED, LedgerKeyRotated.kind, step.position)
        if before != self._signing.handed_over:
            raise Failure(
                f"{before} entries before entry {step.position} name a key of the ledger, and the published ledger "
                f"hands over to {self._signing.handed_over}.",
                "Restore the objects handover/… of the published ledger from your backup.",
            )

    async def _refresh(self, connection: Elected, current: SignedCheckpoint) -> SignedCheckpoint:
        """Cosignatures say when they were given: those who look want to see that the witnesses still agree."""
        signed = await self._cosign(current)
        if signed == current:
            return current
        if len(signed.note.signatures) >= len(current.note.signatures):
            await self._put(connection, signed)
            return signed
        return current

    async def _put(self, connection: Elected, signed: SignedCheckpoint) -> None:
        # Who has lost the connection has lost the lock: this is the last moment to notice.
        await check_elected(connection)
        self._version = await self._tiles.replace(CHECKPOINT, str(signed.note).encode(), self._version)

    async def _guard(self, connection: Elected, current: SignedCheckpoint) -> None:
        """A sequencer that lost its election in the middle of a write may have put an older checkpoint over ours."""
        found = await self._tiles.read_version(CHECKPOINT)
        self._version = None if found is None else found[1]
        there = None if found is None else read_checkpoint(found[0]).checkpoint
        if there is not None and there.size > current.checkpoint.size:
            raise Failure("Another sequencer published further than this one.", "It takes the election again.")
        if there != current.checkpoint:
            await self._put(connection, current)
