"""The Merkle tree of RFC 6962 section 2.1: hashes, roots, inclusion and consistency, with SHA-256.

Sizes and indexes count leaves from 0. Hashes are 32 bytes. The two verifications follow RFC 9162 sections 2.1.3.2 and
2.1.4.2, which state for the same tree the algorithms that RFC 6962 leaves to the reader.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves."""

_sha256 = hashlib.sha256

Subtree = tuple[int, int]
"""A perfect subtree: its level (2**level leaves) and its number among those of its level."""


class NotProved(ValueError):
    """A proof that does not show what it should; the text says what it fails to show."""


def leaf_hash(entry: bytes) -> bytes:
    return _sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    return [_sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    return _sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes of one level."""
    row = list(hashes)
    if not row or len(row) & (len(row) - 1):
        raise ValueError("a perfect subtree has a power of two of leaves")
    while len(row) > 1:
        row = [_sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


class Frontier:
    """All that is needed of a tree to let it grow: the roots of its perfect subtrees, the largest first."""

    def __init__(self, size: int = 0, roots: Iterable[bytes] = ()) -> None:
        self.size = size
        self.roots = list(roots)
        if len(self.roots) != size.bit_count() or any(len(root) != HASH_BYTES for root in self.roots):
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} perfect subtrees")

    def copy(self) -> "Frontier":
        return Frontier(self.size, self.roots)

    def add(self, subtree: bytes, level: int = 0) -> None:
        """Append a perfect subtree of 2**level leaves. The size must be a multiple of that."""
        if self.size & ((1 << level) - 1):
            raise ValueError("a subtree is appended where one of its level begins")
        rest = self.size >> level
        while rest & 1:
            subtree = node_hash(self.roots.pop(), subtree)
            rest >>= 1
        self.roots.append(subtree)
        self.size += 1 << level

    def root(self) -> bytes:
        if not self.roots:
            return EMPTY_ROOT
        *others, root = self.roots
        for left in reversed(others):
            root = node_hash(left, root)
        return root


def subtrees(start: int, end: int) -> list[Subtree]:
    """The perfect subtrees that the tree over the leaves ``start`` to ``end`` (excluded) is made of, in order.

    ``start`` is a multiple of the smallest power of two that holds ``end - start`` leaves, as it is for every node.
    """
    found: list[Subtree] = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The ranges of leaves whose roots prove leaf ``index`` in a tree of ``size`` (RFC 6962 section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    found: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """The ranges of leaves whose roots prove that ``new`` leaves begin with ``old`` (RFC 6962 section 2.1.2)."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves cannot come after one of {old}")
    if old in (0, new):
        return []
    found: list[tuple[int, int]] = []
    start, end, whole = 0, new, True
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start, whole = middle, False
    if not whole:
        found.append((start, end))
    return found[::-1]


SubtreeHash = Callable[[int, int], Awaitable[bytes]]
"""Gives the hash of a perfect subtree by level and number."""


async def range_hash(hash_of: SubtreeHash, start: int, end: int) -> bytes:
    """The root over a range of leaves that is a node of the tree."""
    *others, root = [await hash_of(level, number) for level, number in subtrees(start, end)]
    for left in reversed(others):
        root = node_hash(left, root)
    return root


async def prove_inclusion(hash_of: SubtreeHash, index: int, size: int) -> list[bytes]:
    return [await range_hash(hash_of, start, end) for start, end in inclusion_ranges(index, size)]


async def prove_consistency(hash_of: SubtreeHash, old: int, new: int) -> list[bytes]:
    return [await range_hash(hash_of, start, end) for start, end in consistency_ranges(old, new)]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raises NotProved unless ``leaf`` (a leaf hash) is leaf ``index`` of the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        raise NotProved(f"a tree of {size} leaves has no leaf {index}")
    if len(leaf) != HASH_BYTES:
        raise NotProved("what is to be proved is no hash")
    at, last, result = index, size - 1, leaf
    for part in proof:
        if last == 0 or len(part) != HASH_BYTES:
            raise NotProved("the inclusion proof has another shape than the tree")
        if at & 1 or at == last:
            result = node_hash(part, result)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            result = node_hash(result, part)
        at, last = at >> 1, last >> 1
    if last:
        raise NotProved("the inclusion proof is too short")
    if result != root:
        raise NotProved("the inclusion proof leads to another root")


def check_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Raises NotProved unless the tree of ``new`` leaves begins with that of ``old`` (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old <= new:
        raise NotProved(f"a tree of {new} leaves cannot come after one of {old}")
    if old != new and {len(old_root), len(new_root)} != {HASH_BYTES}:
        raise NotProved("a root is no hash")
    if old == 0 and old_root != EMPTY_ROOT:
        raise NotProved("the empty tree has another root")
    if old in (0, new):
        if proof:
            raise NotProved("nothing is to be proved between these sizes, yet there is a proof")
        if old == new and old_root != new_root:
            raise NotProved("one size has two roots")
        return
    parts = [old_root, *proof] if not old & (old - 1) else list(proof)
    if not parts or any(len(part) != HASH_BYTES for part in parts):
        raise NotProved("the consistency proof has another shape than the tree")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_found = new_found = parts[0]
    for part in parts[1:]:
        if last == 0:
            raise NotProved("the consistency proof is too long")
        if at & 1 or at == last:
            old_found, new_found = node_hash(part, old_found), node_hash(part, new_found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            new_found = node_hash(new_found, part)
        at, last = at >> 1, last >> 1
    if last:
        raise NotProved("the consistency proof is too short")
    if old_found != old_root or new_found != new_root:
        raise NotProved("the consistency proof leads to other roots")


def _split(count: int) -> int:
    """The largest power of two below ``count`` (at least 2)."""
    return 1 << ((count - 1).bit_length() - 1)
