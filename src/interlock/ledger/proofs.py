"""One entry proved to an outsider: C2SP tlog-proof, with the body as its extra data, so that one file is enough."""

import base64
from dataclasses import dataclass

from interlock.ledger.canonical import NotCanonical, read_canonical
from interlock.ledger.merkle import NotProved, check_inclusion, leaf_hash, prove_inclusion
from interlock.ledger.notes import NotANote, SignedCheckpoint, VerifierKey, check_signed, read_checkpoint
from interlock.ledger.tiles import Source, TiledTree, entry_of

FIRST_LINE = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Proved:
    """An entry that is in the log whose checkpoint this is."""

    position: int
    body: bytes
    signed: SignedCheckpoint


async def write_proof(source: Source, signed: SignedCheckpoint, position: int, body: bytes) -> str:
    """The text of the proof that ``body`` is entry ``position`` (from 1). Raises DamagedError."""
    size = signed.checkpoint.size
    parts = await prove_inclusion(TiledTree(source, size).hash_of, position - 1, size)
    lines = [FIRST_LINE, f"extra {_b64(body)}", f"index {position - 1}", *map(_b64, parts)]
    return "\n".join(lines) + f"\n\n{signed.note}"


def read_proof(content: bytes, key: VerifierKey) -> Proved:
    """Check a proof. Raises NotProved."""
    proved = open_proof(content)
    try:
        check_signed(proved.signed, key)
    except NotANote as error:
        raise NotProved(f"the checkpoint does not hold: {error}") from error
    return proved


def open_proof(content: bytes) -> Proved:
    """What a proof says, and says rightly if its checkpoint is signed: that is still to be looked at. Raises
    NotProved."""
    try:
        head, gap, note = content.decode().partition("\n\n")
    except UnicodeDecodeError as error:
        raise NotProved("the proof is not UTF-8") from error
    lines = head.split("\n")
    if not gap or len(lines) < 3 or lines[0] != FIRST_LINE:
        raise NotProved(f"it is not a proof: it does not begin with {FIRST_LINE}")
    body = _decode(_after("extra ", lines[1]))
    index = _after("index ", lines[2])
    if not (index.isascii() and index.isdecimal()) or str(int(index[:20])) != index:
        raise NotProved("the proof's index is not a number")
    try:
        signed = read_checkpoint(note.encode())
    except NotANote as error:
        raise NotProved(f"the checkpoint does not hold: {error}") from error
    parts = [_decode(line) for line in lines[3:]]
    checkpoint = signed.checkpoint
    check_inclusion(leaf_hash(entry_of(body)), int(index), checkpoint.size, parts, checkpoint.root)
    try:
        value = read_canonical(body)
    except NotCanonical as error:
        raise NotProved(f"the entry is damaged: {error}") from error
    if not isinstance(value, dict) or value.get("position") != int(index) + 1:
        raise NotProved("the entry says that its place is another one")
    return Proved(int(index) + 1, body, signed)


def _after(start: str, line: str) -> str:
    if not line.startswith(start):
        raise NotProved(f"a line that begins with {start.strip()!r} is missing")
    return line.removeprefix(start)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise NotProved("a line of the proof is not base64") from error


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
