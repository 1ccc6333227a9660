"""How one key of the ledger comes after another: an entry names it, and the key before it hands over.

The entry (``ledger_key.rotated``) is signed by both keys, over :func:`statement`. The *handover* is a proof of that
entry (C2SP tlog-proof) in the tree that ends with it, whose checkpoint both keys signed; it lies beside the checkpoint
as ``handover/0``, ``handover/1`` … So who holds only an older key finds the newest one by signatures of keys that they
believe already, and who holds only the newest one learns which keys were before it.

INVARIANT: every checkpoint that covers such an entry is signed by the key that it names. No clock decides that: a key
that was replaced signs nothing from there on that anybody takes, whoever has it and whatever the time is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from interlock.domain.codec import to_plain
from interlock.domain.identity_events import LedgerKeyRotated
from interlock.ledger.canonical import NotCanonical, read_canonical
from interlock.ledger.entries import Unreadable, read_body
from interlock.ledger.merkle import NotProved, check_consistency, prove_consistency
from interlock.ledger.notes import ED25519, Checkpoint, NotANote, VerifierKey, holds, read_note, read_verifier
from interlock.ledger.proofs import open_proof
from interlock.ledger.tiles import Source, TiledTree

MARK = b'"kind":"%b"' % LedgerKeyRotated.kind.encode()
"""Stands in the body of every entry that names a key; almost no other has it, as quotes within text are escaped."""


class NoSuccession(ValueError):
    """A key that is said to follow another, and does not; the text says why."""


@dataclass(frozen=True, slots=True)
class Succession:
    """Entry ``position`` lets ``key`` follow ``older``, which signs as well until ``until``."""

    position: int
    older: VerifierKey
    key: VerifierKey
    until: datetime


@dataclass(frozen=True, slots=True)
class Chain:
    """The keys of a ledger, in their order. Empty: none has followed its first one."""

    steps: tuple[Succession, ...] = ()

    @property
    def newest(self) -> VerifierKey | None:
        return self.steps[-1].key if self.steps else None

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        return (self.steps[0].older, *(step.key for step in self.steps)) if self.steps else ()

    def upto(self, size: int) -> "Chain":
        """Those that the first ``size`` entries name."""
        return Chain(tuple(step for step in self.steps if step.position <= size))

    def then(self, step: Succession, first: VerifierKey | None = None) -> "Chain":
        """With one more key. ``first`` is the ledger's, as long as none has followed it. Raises NoSuccession."""
        newest = self.newest or first
        if newest is not None and step.older != newest:
            raise NoSuccession(f"entry {step.position} replaces a key that did not sign then")
        if self.steps and step.position <= self.steps[-1].position:
            raise NoSuccession(f"entry {step.position} stands before the one that named the key before it")
        if step.key in (*self.keys, step.older):
            raise NoSuccession(f"entry {step.position} goes back to a key that was replaced")
        return Chain((*self.steps, step))


def statement(older: VerifierKey, key: VerifierKey, until: datetime) -> str:
    """What both keys sign: no checkpoint, as its second line is no number."""
    return f"interlock.ledger/succession/v1\n{older}\n{key}\n{to_plain(until)}\n"


def names_a_key(body: bytes) -> bool:
    """Whether it is an entry that names a key, rightly or not."""
    if MARK not in body:
        return False
    try:
        plain = read_canonical(body)
    except NotCanonical:
        return True
    return not isinstance(plain, Mapping) or plain.get("kind") == LedgerKeyRotated.kind


def read_succession(body: bytes) -> Succession | None:
    """What an entry says of the ledger's key; None for every other kind. Raises NoSuccession."""
    if not names_a_key(body):
        return None
    try:
        recorded = read_body(body)
    except Unreadable as error:
        raise NoSuccession(str(error)) from error
    event = recorded.event
    if not isinstance(event, LedgerKeyRotated):
        return None
    where = f"entry {recorded.position}"
    try:
        older, key = read_verifier(event.older), read_verifier(event.key)
        check_statement(older, key, event.older_until, event.signatures)
    except NotANote as error:
        raise NoSuccession(f"{where} names no key of this ledger: {error}") from error
    except NoSuccession as error:
        raise NoSuccession(f"{where} {error}") from error
    return Succession(recorded.position, older, key, event.older_until)


def check_statement(older: VerifierKey, key: VerifierKey, until: datetime, signatures: Sequence[str]) -> None:
    """Raises NoSuccession unless both are keys of one ledger, and both signed; and NotANote."""
    if older.name != key.name or {older.algorithm, key.algorithm} != {ED25519}:
        raise NoSuccession("names a key that is not this ledger's")
    text = statement(older, key, until)
    lines = "".join(line + "\n" for line in signatures)
    note = read_note(f"{text}\n{lines}".encode())
    if note.text != text:
        raise NoSuccession("has signatures that are none")
    for signer, which in ((older, "the key before it"), (key, "the key that it names")):
        if holds(note, signer) is None:
            raise NoSuccession(f"is not signed by {which}")


def handover_path(number: int) -> str:
    return f"handover/{number}"


@dataclass(frozen=True, slots=True)
class Handover:
    """A step, and the tree that ends with its entry, as both keys signed it."""

    step: Succession
    tree: Checkpoint


async def read_handovers(source: Source, name: str) -> Sequence[Handover]:
    """All of the log ``name``, each found to hold by itself and to follow the one before. Raises NoSuccession.

    That their trees are those that the log has now is still to be proved: :func:`prove_handovers`.
    """
    found: list[Handover] = []
    chain = Chain()
    while (content := await source.read(handover_path(len(found)))) is not None:
        handover = read_handover(content)
        if handover.tree.origin != name:
            raise NoSuccession(f"{handover_path(len(found))} is of another ledger")
        chain = chain.then(handover.step)
        found.append(handover)
    return found


def read_handover(content: bytes) -> Handover:
    """Raises NoSuccession unless the entry is the last of the tree that both keys signed."""
    try:
        proved = open_proof(content)
        step = read_succession(proved.body)
        if step is None or step.position != proved.signed.checkpoint.size or step.position != proved.position:
            raise NoSuccession("a handover is no proof of the entry that names a key")
        for key in (step.older, step.key):
            if key.name != proved.signed.checkpoint.origin or holds(proved.signed.note, key) is None:
                raise NoSuccession(f"the handover at entry {step.position} is not signed by both keys")
    except (NotProved, NotANote) as error:
        raise NoSuccession(f"a handover does not hold: {error}") from error
    return Handover(step, proved.signed.checkpoint)


async def prove_handovers(source: Source, handovers: Sequence[Handover], checkpoint: Checkpoint) -> None:
    """Raises NoSuccession unless the log begins with every tree that was handed over, and DamagedError."""
    tree = TiledTree(_Once(source), checkpoint.size)
    for handover in handovers:
        old = handover.tree
        proof = await prove_consistency(tree.hash_of, old.size, checkpoint.size)
        try:
            check_consistency(old.size, checkpoint.size, proof, old.root, checkpoint.root)
        except NotProved as error:
            raise NoSuccession(
                f"the first {old.size} entries are not those that the key before it handed over: this is another "
                "history"
            ) from error


class _Once:
    """Each object of ``source`` is read once: the proofs of several handovers have most of their tiles in common."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._read: dict[str, bytes | None] = {}

    async def read(self, path: str) -> bytes | None:
        if path not in self._read:
            self._read[path] = await self._source.read(path)
        return self._read[path]
