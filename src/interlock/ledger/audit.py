"""Whether a published log holds, by its objects alone: every entry, every tile, the checkpoint, and an older one.

Reads the log once, in order, in memory that does not grow with it. What does not hold is named as exactly as what is
left allows: the entry when its tile still holds, the tile when its entries still do, the checkpoint when both agree
with each other and not with it.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from interlock.ledger.forms import Forms, is_canonical
from interlock.ledger.merkle import EMPTY_ROOT, HASH_BYTES, Frontier, leaf_hashes, perfect_root
from interlock.ledger.notes import (
    Checkpoint,
    NotANote,
    SignedCheckpoint,
    VerifierKey,
    check_signed,
    cosigners,
    read_checkpoint,
)
from interlock.ledger.succession import (
    MARK,
    Chain,
    Handover,
    NoSuccession,
    names_a_key,
    prove_handovers,
    read_handovers,
)
from interlock.ledger.tiles import (
    CHECKPOINT,
    STAND_IN,
    WIDTH,
    DamagedError,
    Source,
    body_path,
    bundle_path,
    fetch,
    fetch_tile,
    read_bundle,
    stands_for,
    tile_path,
)
from interlock.ledger.verify import Broken

BodyCheck = Callable[[int, bytes], Awaitable[str]]
"""What else is to be checked of an entry (position, body): a sentence when it does not hold, else nothing."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom the verifier believes: the log's key, and what follows it; ``need`` of the ``witnesses``' keys."""

    log: VerifierKey
    witnesses: tuple[VerifierKey, ...] = ()
    need: int = 0


@dataclass(frozen=True, slots=True)
class Sound:
    """All of the log holds. ``witnessed`` says which witnesses cosigned, and when (seconds since 1970); ``key`` is the
    log's newest, which signed, and ``chain`` how it came to be that."""

    checkpoint: Checkpoint
    witnessed: Mapping[str, int]
    key: VerifierKey
    chain: Chain


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification came, so that it can go on from there: entries checked, and their subtrees' roots."""

    size: int = 0
    roots: tuple[bytes, ...] = ()

    def frontier(self) -> Frontier:
        return Frontier(self.size, self.roots)


async def no_more_checks(_position: int, _body: bytes) -> str:
    """For a verification of the log alone."""
    return ""


@dataclass(frozen=True, slots=True)
class Current:
    """A log's checkpoint, signed by its newest ``key``; the key that is believed is that one, or came before it."""

    signed: SignedCheckpoint
    key: VerifierKey
    handovers: tuple[Handover, ...]

    @property
    def chain(self) -> Chain:
        return Chain(tuple(handover.step for handover in self.handovers))


async def current_checkpoint(source: Source, trust: Trust) -> SignedCheckpoint | Broken:
    """The log's checkpoint, with its signatures checked, and every handover between keys."""
    found = await find_current(source, trust)
    return found.signed if isinstance(found, Current) else found


async def find_current(source: Source, trust: Trust) -> Current | Broken:
    """As :func:`current_checkpoint`, and with what says whose it is."""
    current = await find_signed(source, trust)
    if isinstance(current, Broken):
        return current
    return await _check_handovers(source, current) or current


async def find_signed(source: Source, trust: Trust) -> Current | Broken:
    """As :func:`find_current`, where the handovers hold by themselves, and that this log has their trees is still to be
    proved: for who goes on to :func:`audit`."""
    content = await source.read(CHECKPOINT)
    if content is None:
        return Broken(0, "There is no checkpoint: this is not a log, or its checkpoint was removed.")
    try:
        signed = read_checkpoint(content)
        found = await read_handovers(source, trust.log.name) if signed.checkpoint.origin == trust.log.name else ()
        # One that was written just now is ahead of its checkpoint.
        handovers = tuple(one for one in found if one.step.position <= signed.checkpoint.size)
        chain = Chain(tuple(one.step for one in handovers))
        key = _newest(chain, trust.log)
        check_signed(signed, key)
        seen = cosigners(signed, trust.witnesses)
    except NotANote as error:
        return Broken(0, f"The checkpoint does not hold: {error}.")
    except NoSuccession as error:
        return Broken(0, f"The ledger's keys do not follow each other: {error}.")
    if len(seen) < trust.need:
        return Broken(0, f"The checkpoint is cosigned by {len(seen)} of the witnesses; {trust.need} are needed.")
    return Current(signed, key, handovers)


def _newest(chain: Chain, believed: VerifierKey) -> VerifierKey:
    if chain.newest is None:
        return believed
    if believed not in chain.keys:
        raise NoSuccession(f"the key {believed.number.hex()}, which is believed, is none of those of this history")
    return chain.newest


async def _check_handovers(source: Source, current: Current) -> Broken | None:
    try:
        await prove_handovers(source, current.handovers, current.signed.checkpoint)
    except (NoSuccession, DamagedError) as error:
        return Broken(0, f"The ledger's keys do not follow each other: {error}.")
    return None


async def audit(
    source: Source,
    trust: Trust,
    *,
    since: Checkpoint | None = None,
    after: Progress | None = None,
    check: BodyCheck = no_more_checks,
    advance: Callable[[Progress, int], None] = lambda _progress, _size: None,
) -> Sound | Broken:
    """Check everything. ``since`` is an older checkpoint that the log must still begin with.

    ``after`` is where an earlier call got to; ``advance`` is told how far this one is (and of how many), each time
    everything up to there holds by itself.
    """
    # 1. The checkpoint: its form, its signature by the newest key, its witnesses.
    current = await find_signed(source, trust)
    if isinstance(current, Broken):
        return current
    checkpoint = current.signed.checkpoint
    if since is not None and since.size > checkpoint.size:
        return Broken(
            checkpoint.size + 1,
            f"The ledger went backwards: it has {checkpoint.size} entries, and had {since.size} when the older "
            f"checkpoint was signed. Entry {checkpoint.size + 1} is the first that is missing.",
        )
    walk = _Walk(source, checkpoint, since, after or Progress(), check, current.chain)
    # 2. The entries, their tiles, the older checkpoint.
    async for progress in walk.run():
        advance(progress, checkpoint.size)
    # 3. What all of that says about the checkpoint's root.
    broken = await walk.verdict()
    # 4. What each older key handed over is what this tree begins with.
    broken = broken or await _check_handovers(source, current)
    return broken or Sound(checkpoint, cosigners(current.signed, trust.witnesses), current.key, current.chain)


class _Walk:
    """One pass over the log. ``entries`` and ``tiles`` are the tree by what the bundles hold and by what tiles say."""

    def __init__(
        self,
        source: Source,
        checkpoint: Checkpoint,
        since: Checkpoint | None,
        after: Progress,
        check: BodyCheck,
        chain: Chain,
    ) -> None:
        self._source = source
        self._checkpoint = checkpoint
        self._since = since
        self._check = check
        self._forms = Forms()
        self._named = frozenset(step.position for step in chain.steps)
        # INVARIANT: work is taken up at the beginning of a tile, so that what is there is compared whole
        usable = after.size <= checkpoint.size and not after.size % WIDTH
        self._entries = after.frontier() if usable else Frontier()
        self._tiles = self._entries.copy()
        self._differs: Broken | None = None
        self._torn: Broken | None = None
        self._body: Broken | None = None
        self._old_root: bytes | None = EMPTY_ROOT if since is not None and since.size == 0 else None
        if since is not None and since.size == self._entries.size:
            self._old_root = self._entries.root()

    async def run(self) -> AsyncIterator[Progress]:
        while self._entries.size < self._checkpoint.size:
            number = self._entries.size // WIDTH
            width = min(WIDTH, self._checkpoint.size - number * WIDTH)
            hashes, bodies = await self._hashes_of_entries(number, width)
            tile = await self._hashes_of_tile(number, width)
            if hashes is not None and tile is not None and hashes != tile:
                first = next(at for at in range(width) if hashes[at] != tile[at])
                position = number * WIDTH + first + 1
                self._differs = self._differs or Broken(position, f"Entry {position} is not the one that was logged.")
            if self._check is not no_more_checks or not self._all_hold(number * WIDTH + 1, bodies):
                for at, body in enumerate(bodies):
                    await self._look_at(number * WIDTH + at + 1, body)
            by_entries = hashes or tile or [bytes(HASH_BYTES)] * width
            by_tile = tile or by_entries
            root = perfect_root(by_entries) if width == WIDTH else b""
            self._grow(self._entries, by_entries, root, watched=True)
            same = by_tile == by_entries or width != WIDTH
            self._grow(self._tiles, by_tile, root if same else perfect_root(by_tile))
            if width == WIDTH and not (self._differs or self._torn or self._body):
                yield Progress(self._entries.size, tuple(self._entries.roots))

    async def _hashes_of_entries(self, number: int, width: int) -> tuple[list[bytes] | None, list[bytes]]:
        try:
            content, path = await fetch(self._source, lambda of: bundle_path(number, of), width)
            entries = read_bundle(content, path, width)
        except DamagedError as error:
            position = number * WIDTH + 1
            self._torn = self._torn or Broken(position, f"The bundle with entry {position} does not hold: {error}.")
            return None, []
        if MARK in content:
            self._look_for_keys(number * WIDTH + 1, entries)
        return leaf_hashes(entries), entries

    def _look_for_keys(self, first: int, entries: Sequence[bytes]) -> None:
        """INVARIANT: no entry names a key that nothing was handed over to: a checkpoint that covers it would have to
        be signed by that one."""
        for position, entry in enumerate(entries, first):
            self._body = self._body or self._no_handover(position, entry)

    def _no_handover(self, position: int, body: bytes) -> Broken | None:
        if position in self._named or not names_a_key(body):
            return None
        reason = f"Entry {position} names another key for the ledger, and no key before it handed over to that."
        return Broken(position, reason)

    async def _hashes_of_tile(self, number: int, width: int) -> list[bytes] | None:
        try:
            return await fetch_tile(self._source, 0, number, width)
        except DamagedError as error:
            position = number * WIDTH + 1
            reason = f"The tile over entry {position} and those after it does not hold: {error}."
            self._torn = self._torn or Broken(position, reason)
            return None

    def _all_hold(self, first: int, entries: list[bytes]) -> bool:
        """Whether ``_look_at`` would find nothing in a bundle without long bodies. False: look at each, to name it."""
        for position, entry in enumerate(entries, first):
            if not entry.endswith(b',"position":%d}' % position) or entry.startswith(STAND_IN):
                return False
        return self._forms.all_hold(entries)

    async def _look_at(self, position: int, entry: bytes) -> None:
        if self._body is not None:
            return
        reason, body = "", entry
        digest = stands_for(entry)
        if digest is not None:
            found = await self._source.read(body_path(digest))
            if found is None or hashlib.sha256(found).hexdigest() != digest:
                self._body = Broken(position, f"The long body of entry {position} is missing or was changed.")
                return
            body = found
            self._body = self._no_handover(position, body)
            if self._body is not None:
                return
        if not body.endswith(b',"position":%d}' % position):
            reason = f"Entry {position} says that its place is another one."
        elif not is_canonical(body):
            reason = f"Entry {position} is not in its canonical form."
        reason = reason or await self._check(position, body)
        if reason:
            self._body = Broken(position, reason)

    def _grow(self, tree: Frontier, hashes: list[bytes], root: bytes, *, watched: bool = False) -> None:
        old = self._since.size if watched and self._since is not None else -1
        within = tree.size < old < tree.size + WIDTH
        if len(hashes) == WIDTH and not within:
            tree.add(root, level=8)
            if tree.size == old:
                self._old_root = tree.root()
            return
        for hashed in hashes:
            tree.add(hashed)
            if tree.size == old:
                self._old_root = tree.root()

    async def verdict(self) -> Broken | None:
        by_entries = self._entries.root() == self._checkpoint.root
        by_tiles = self._tiles.root() == self._checkpoint.root
        if by_entries:
            if self._differs or self._torn:
                return await self._tile_is_wrong()
            return self._body or self._older() or await self._upper_tiles()
        if by_tiles:
            return self._torn or self._differs
        return await self._neither()

    async def _tile_is_wrong(self) -> Broken:
        """The entries make the checkpoint's root, so they hold, and only something beside them does not."""
        if self._torn:
            return self._torn
        position = self._differs.position if self._differs else 1
        number = (position - 1) // WIDTH
        path = tile_path(0, number, min(WIDTH, self._checkpoint.size - number * WIDTH))
        return Broken(position, f"{path} is damaged: its hash for entry {position} is another. The entries hold.")

    def _older(self) -> Broken | None:
        since = self._since
        if since is None or self._old_root is None or self._old_root == since.root:
            return None
        return Broken(
            1, f"The first {since.size} entries are not those of the older checkpoint: this is another history."
        )

    async def _neither(self) -> Broken:
        """Entries and their tile were changed together: the tiles above say within which 256 entries it begins."""
        if self._torn and self._differs is None:
            return self._torn
        found = await self._first_rewritten()
        if found is not None:
            return found
        since = self._since
        if since is not None and self._old_root == since.root:
            position = since.size + 1
            return Broken(
                position, f"From entry {position} on the entries are not those that the checkpoint was signed over."
            )
        position = self._differs.position if self._differs else 1
        reason = "The entries and the tiles agree with each other, and not with the checkpoint's root"
        return Broken(position, f"{reason}: the checkpoint is another log's, or everything was rewritten.")

    async def _first_rewritten(self) -> Broken | None:
        full = self._checkpoint.size // WIDTH
        upper: list[bytes] = []
        try:
            for number in range((full + WIDTH - 1) // WIDTH):
                upper += await fetch_tile(self._source, 1, number, min(WIDTH, full - number * WIDTH))
            rest = self._checkpoint.size % WIDTH
            last = await fetch_tile(self._source, 0, full, rest) if rest else []
        except DamagedError:
            return None
        tree = Frontier()
        for root in upper:
            tree.add(root, level=8)
        for hashed in last:
            tree.add(hashed)
        if tree.root() != self._checkpoint.root:
            return None
        for number, root in enumerate(upper):
            if perfect_root(await fetch_tile(self._source, 0, number, WIDTH)) != root:
                first, end = number * WIDTH + 1, (number + 1) * WIDTH
                return Broken(
                    first, f"Among the entries {first} to {end} one was changed, and their tile was written to fit."
                )
        return None

    async def _upper_tiles(self) -> Broken | None:
        """Every tile above the first level is made of the tiles below it."""
        level, count = 1, self._checkpoint.size // WIDTH
        while count:
            for number in range((count + WIDTH - 1) // WIDTH):
                width = min(WIDTH, count - number * WIDTH)
                try:
                    await self._check_upper(level, number, width)
                except DamagedError as error:
                    position = (number * WIDTH << (8 * level)) + 1
                    return Broken(position, f"A tile does not hold: {error}. The entries hold.")
            level, count = level + 1, count // WIDTH
        return None

    async def _check_upper(self, level: int, number: int, width: int) -> None:
        for at, hashed in enumerate(await fetch_tile(self._source, level, number, width)):
            if perfect_root(await fetch_tile(self._source, level - 1, number * WIDTH + at, WIDTH)) != hashed:
                raise DamagedError(tile_path(level, number, width), f"is wrong in its hash {at + 1}")
