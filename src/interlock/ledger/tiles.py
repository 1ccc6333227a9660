"""The layout of C2SP tlog-tiles: where the tree's tiles and the bundles of entries lie, and how to read them.

A tile holds up to 256 hashes of one level (8 levels of the tree apart), a bundle the same leaves' entries, each after
its length in two bytes. An entry longer than 65,535 bytes is not in its bundle: a note of its size and SHA-256 stands
for it, and its body is an object of its own (``body/SHA-256``).
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from interlock.ledger.canonical import canonical
from interlock.ledger.merkle import HASH_BYTES, Frontier, leaf_hash, perfect_root
from interlock.ledger.notes import Checkpoint

WIDTH = 256
_HEIGHT = 8
CHECKPOINT = "checkpoint"
_LONGEST_ENTRY_BYTES = 65_535
_PATH = re.compile(
    r"checkpoint|handover/\d{1,6}|body/[0-9a-f]{64}|tile/(entries|\d{1,2})/(x\d{3}/){0,6}\d{3}(\.p/\d{1,3})?", re.ASCII
)
STAND_IN = b'{"body_sha256":"'


class Source(Protocol):
    """Where a log's objects are read from: a folder, an object store, a server."""

    async def read(self, path: str) -> bytes | None:
        """The object at ``path``, None when there is none. Raises Failure when it cannot be known."""


class DamagedError(ValueError):
    """An object of the log that is missing or not what its place asks for. ``path`` names it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}")
        self.path = path


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    return f"tile/{level}/{_number_path(number, width)}"


def bundle_path(number: int, width: int = WIDTH) -> str:
    return f"tile/entries/{_number_path(number, width)}"


def _number_path(number: int, width: int) -> str:
    parts = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        parts.append(f"x{number % 1000:03d}")
    return "/".join(reversed(parts)) + ("" if width == WIDTH else f".p/{width}")


def is_path(path: str) -> bool:
    """Whether ``path`` is one that this layout has: nothing else is ever read on somebody's word."""
    return _PATH.fullmatch(path) is not None


def body_path(digest: str) -> str:
    return f"body/{digest}"


def entry_of(body: bytes) -> bytes:
    """The log's entry for a body: the body itself, or what stands for a long one."""
    if len(body) <= _LONGEST_ENTRY_BYTES:
        return body
    return canonical({"body_sha256": hashlib.sha256(body).hexdigest(), "size": len(body)})


def stands_for(entry: bytes) -> str | None:
    """The SHA-256 (hex) of the body that ``entry`` stands for, None when it is the body."""
    return entry[len(STAND_IN) : len(STAND_IN) + 64].decode() if entry.startswith(STAND_IN) else None


def write_bundle(entries: Sequence[bytes]) -> bytes:
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def read_bundle(content: bytes, path: str, count: int) -> list[bytes]:
    """The first ``count`` entries of a bundle. Raises DamagedError."""
    entries: list[bytes] = []
    at, size = 0, len(content)
    for number in range(1, count + 1):
        start = at + 2
        if start > size:
            raise DamagedError(path, f"ends within its entry {number}")
        at = start + (content[at] << 8 | content[at + 1])
        if at > size:
            raise DamagedError(path, f"ends within its entry {number}")
        entries.append(content[start:at])
    return entries


async def fetch(source: Source, path_of: Callable[[int], str], width: int) -> tuple[bytes, str]:
    """A tile or bundle of at least ``width``: the partial one, or the full one that took its place."""
    path = path_of(width)
    content = await source.read(path)
    if content is None and width != WIDTH:
        content = await source.read(path_of(WIDTH))
    if content is None:
        raise DamagedError(path, "is missing")
    return content, path


async def fetch_tile(source: Source, level: int, number: int, width: int) -> list[bytes]:
    """The first ``width`` hashes of a tile. Raises DamagedError."""
    content, path = await fetch(source, lambda of: tile_path(level, number, of), width)
    if len(content) < width * HASH_BYTES or len(content) % HASH_BYTES:
        raise DamagedError(path, f"holds {len(content)} bytes, not {width * HASH_BYTES}")
    return [content[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]


async def fetch_bundle(source: Source, number: int, width: int) -> list[bytes]:
    content, path = await fetch(source, lambda of: bundle_path(number, of), width)
    return read_bundle(content, path, width)


class TiledTree:
    """The hashes of a tree of ``size`` leaves, read from its tiles."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._size = size

    async def hash_of(self, level: int, number: int) -> bytes:
        """The hash of a perfect subtree. Raises DamagedError."""
        tile_level, within = divmod(level, _HEIGHT)
        start = number << within
        tile = start // WIDTH
        full = self._size >> (tile_level * _HEIGHT)
        hashes = await fetch_tile(self._source, tile_level, tile, min(WIDTH, full - tile * WIDTH))
        offset = start % WIDTH
        return perfect_root(hashes[offset : offset + (1 << within)])

    async def frontier(self) -> Frontier:
        roots: list[bytes] = []
        start = 0
        for level in reversed(range(self._size.bit_length())):
            if self._size >> level & 1:
                roots.append(await self.hash_of(level, start >> level))
                start += 1 << level
        return Frontier(self._size, roots)


class Growth:
    """What lies at the right edge of the tiles: enough to write the next ones, and no more.

    ``edges[level]`` are the hashes of that level's unfinished tile; ``entries`` those of the unfinished bundle.
    """

    def __init__(self) -> None:
        self.frontier = Frontier()
        self.edges: list[list[bytes]] = [[]]
        self.entries: list[bytes] = []

    @property
    def size(self) -> int:
        return self.frontier.size

    @classmethod
    async def resume(cls, source: Source, checkpoint: Checkpoint) -> "Growth":
        """The right edge of the tree that ``checkpoint`` speaks of. Raises DamagedError."""
        growth, size = cls(), checkpoint.size
        growth.frontier = await TiledTree(source, size).frontier()
        growth.edges = []
        level, count = 0, size
        while count or not level:
            width = count % WIDTH
            growth.edges.append(await fetch_tile(source, level, count // WIDTH, width) if width else [])
            level, count = level + 1, count // WIDTH
        width = size % WIDTH
        growth.entries = await fetch_bundle(source, size // WIDTH, width) if width else []
        if [leaf_hash(entry) for entry in growth.entries] != growth.edges[0]:
            raise DamagedError(bundle_path(size // WIDTH, width), "holds other entries than its tile says")
        if growth.frontier.root() != checkpoint.root:
            raise DamagedError(CHECKPOINT, "has another root than its tiles make")
        return growth

    def add(self, entries: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Append; gives the objects to write, as (path, content). They all lie right before a checkpoint may name them.

        Of unfinished tiles only the last state is given.
        """
        changed: set[int] = set()
        for entry in entries:
            hashed = leaf_hash(entry)
            self.frontier.add(hashed)
            self.entries.append(entry)
            yield from self._place(0, hashed, changed)
        for level in sorted(changed):
            edge = self.edges[level]
            if edge:
                number = (self.size >> (level * _HEIGHT)) // WIDTH
                yield tile_path(level, number, len(edge)), b"".join(edge)
        if self.entries and entries:
            yield bundle_path(self.size // WIDTH, len(self.entries)), write_bundle(self.entries)

    def _place(self, level: int, hashed: bytes, changed: set[int]) -> Iterator[tuple[str, bytes]]:
        if level == len(self.edges):
            self.edges.append([])
        edge = self.edges[level]
        edge.append(hashed)
        changed.add(level)
        if len(edge) < WIDTH:
            return
        number = (self.size >> (level * _HEIGHT)) // WIDTH - 1
        yield tile_path(level, number), b"".join(edge)
        if level == 0:
            yield bundle_path(number), write_bundle(self.entries)
            self.entries = []
        root = perfect_root(edge)
        self.edges[level] = []
        yield from self._place(level + 1, root, changed)
