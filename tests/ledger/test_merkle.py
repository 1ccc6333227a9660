"""The tree of RFC 6962, by the vectors that the transparency projects share, by definition, and by forged proofs."""

import hashlib
from collections.abc import Sequence

import pytest

from interlock.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    NotProved,
    check_consistency,
    check_inclusion,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    perfect_root,
    prove_consistency,
    prove_inclusion,
)

LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The roots of the first 1 to 8 of those leaves, as Certificate Transparency's reference tests state them."""


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + by_definition(leaves[:k]) + by_definition(leaves[k:])).digest()


class Tree:
    """All leaves of a tree in memory, to make proofs from."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves

    async def hash_of(self, level: int, number: int) -> bytes:
        return by_definition(self.leaves[number << level : (number + 1) << level])


def leaves(count: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(count)]


def test_the_shared_vectors() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    frontier = Frontier()
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        frontier.add(leaf_hash(leaf))
        assert frontier.root().hex() == root
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert node_hash(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"


def test_the_shared_inclusion_vectors() -> None:
    proof = [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    parts = [bytes.fromhex(part) for part in proof]
    check_inclusion(leaf_hash(LEAVES[0]), 0, 8, parts, bytes.fromhex(ROOTS[7]))
    check_inclusion(leaf_hash(LEAVES[0]), 0, 1, [], bytes.fromhex(ROOTS[0]))
    last = [bytes.fromhex("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"), parts[2]]
    with pytest.raises(NotProved):
        check_inclusion(leaf_hash(LEAVES[0]), 0, 8, last, bytes.fromhex(ROOTS[7]))


async def test_every_inclusion_proof_holds_for_its_leaf_and_for_nothing_else() -> None:
    for size in (1, 2, 3, 5, 7, 8, 9, 16, 31, 33):
        tree, root = Tree(leaves(size)), by_definition(leaves(size))
        for index in range(size):
            proof = await prove_inclusion(tree.hash_of, index, size)
            leaf = leaf_hash(tree.leaves[index])
            check_inclusion(leaf, index, size, proof, root)
            forged: list[tuple[bytes, int, int, list[bytes], bytes]] = [
                (leaf, (index + 1) % size, size, proof, root) if size > 1 else (leaf, 1, size, proof, root),
                (leaf, -1, size, proof, root),
                (leaf, index, index, proof, root),
                (leaf_hash(b"another"), index, size, proof, root),
                (leaf, index, size, [*proof, root], root),
                (leaf, index, size, [root, *proof], root),
                (leaf, index, size, proof, leaf_hash(b"")),
                *((leaf, index, size, proof[:n] + proof[n + 1 :], root) for n in range(len(proof))),
                *((leaf, index, size, [*proof[:n], bytes(32), *proof[n + 1 :]], root) for n in range(len(proof))),
                *((leaf, index, size, [*proof[:n], b"", *proof[n + 1 :]], root) for n in range(len(proof))),
            ]
            for attempt in forged:
                with pytest.raises(NotProved):
                    check_inclusion(*attempt)


async def test_every_consistency_proof_holds_for_its_trees_and_for_nothing_else() -> None:
    for new in (1, 2, 3, 5, 7, 8, 9, 16, 21, 33):
        tree, new_root = Tree(leaves(new)), by_definition(leaves(new))
        for old in range(new + 1):
            old_root = by_definition(leaves(old))
            proof = await prove_consistency(tree.hash_of, old, new)
            check_consistency(old, new, proof, old_root, new_root)
            forged: list[tuple[int, int, list[bytes], bytes, bytes]] = [
                (old, new, [*proof, new_root], old_root, new_root),
                (old, new, proof, leaf_hash(b"other"), new_root),
                (new + 1, new, proof, old_root, new_root),
                (-1, new, proof, old_root, new_root),
                *((old, new, proof[:n] + proof[n + 1 :], old_root, new_root) for n in range(len(proof))),
                *((old, new, [*proof[:n], bytes(32), *proof[n + 1 :]], old_root, new_root) for n in range(len(proof))),
            ]
            if old:
                forged.append((old, new, proof, old_root, leaf_hash(b"other")))
            for attempt in forged:
                with pytest.raises(NotProved):
                    check_consistency(*attempt)


def test_what_the_shared_vectors_refuse_beside_forged_proofs() -> None:
    """The edges, as transparency-dev's vectors have them; ``tests.fuzz.merkle_vectors`` runs all 196."""
    root, no_root = bytes.fromhex(ROOTS[0]), b"don't care"
    check_inclusion(root, 0, 1, [], root)
    for leaf, claimed in ((b"", root), (root, b""), (b"", b""), (root, EMPTY_ROOT), (EMPTY_ROOT, root)):
        with pytest.raises(NotProved):
            check_inclusion(leaf, 0, 1, [], claimed)
    check_consistency(1, 1, [], root, root)
    check_consistency(0, 1, [], EMPTY_ROOT, root)
    for old, new, proof, old_root, new_root in (
        (0, 0, [], no_root, no_root),
        (0, 0, [], EMPTY_ROOT, root),
        (0, 1, [], no_root, no_root),
        (0, 1, [], EMPTY_ROOT, no_root),
        (0, 1, [EMPTY_ROOT], EMPTY_ROOT, EMPTY_ROOT),
        (0, 0, [EMPTY_ROOT], EMPTY_ROOT, EMPTY_ROOT),
        (1, 1, [], root, EMPTY_ROOT),
        (1, 1, [root], root, root),
        (1, 0, [], root, root),
        (2, 1, [], root, root),
        (1, 2, [], root, root),
        # swapped roots
        (1, 2, [leaf_hash(LEAVES[1])], bytes.fromhex(ROOTS[1]), root),
    ):
        with pytest.raises(NotProved):
            check_consistency(old, new, proof, old_root, new_root)
    check_consistency(1, 2, [leaf_hash(LEAVES[1])], root, bytes.fromhex(ROOTS[1]))


def test_a_frontier_grows_by_leaves_and_by_subtrees_to_the_same_root() -> None:
    by_leaves = Frontier()
    for leaf in leaves(300):
        by_leaves.add(leaf_hash(leaf))
    by_parts = Frontier()
    by_parts.add(perfect_root([leaf_hash(leaf) for leaf in leaves(256)]), level=8)
    for leaf in leaves(300)[256:]:
        by_parts.add(leaf_hash(leaf))
    assert by_leaves.root() == by_parts.root() == by_definition(leaves(300))
    with pytest.raises(ValueError, match="where one of its level begins"):
        by_parts.add(bytes(32), level=8)
    with pytest.raises(ValueError, match="perfect subtrees"):
        Frontier(3, [bytes(32)])


def test_what_no_tree_has_is_refused() -> None:
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(ValueError, match="no leaf"):
            inclusion_ranges(index, size)
    with pytest.raises(ValueError, match="cannot come after"):
        consistency_ranges(4, 3)
    for count in (0, 3):
        with pytest.raises(ValueError, match="power of two"):
            perfect_root([bytes(32)] * count)
