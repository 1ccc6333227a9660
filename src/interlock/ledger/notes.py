"""Signed notes and checkpoints, as C2SP writes them: signed-note, tlog-checkpoint, tlog-cosignature.

A note is a text that ends with a newline, an empty line, and signature lines: an em dash, the signer's name, and base64
of a key number (4 bytes) and the signature. A checkpoint is a note whose text is origin, size and root, one a line.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from interlock.ledger.merkle import HASH_BYTES

ED25519 = 0x01
COSIGNATURE = 0x04
"""signed-note: a signature over the text; tlog-cosignature: one over a time and the text."""

LONGEST_NOTE_BYTES = 1024 * 1024
_KEY_BYTES = 32


class NotANote(ValueError):
    """Bytes that are no signed note, checkpoint or key, or whose signature does not hold; the text says why."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Who signs: a name, the kind of signature, and an Ed25519 public key (32 bytes)."""

    name: str
    algorithm: int
    public: bytes

    @property
    def number(self) -> bytes:
        """The key's number in signature lines (4 bytes)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.number.hex()}+{_b64(bytes([self.algorithm]) + self.public)}"


@dataclass(frozen=True, slots=True, repr=False)
class SignerKey:
    """A verifier's private half."""

    verifier: VerifierKey
    private: Ed25519PrivateKey

    def sign(self, text: str, *, seconds: int | None = None) -> str:
        """The signature line for ``text``, with its newline. ``seconds`` (since 1970) for a cosignature alone."""
        if (seconds is not None) != (self.verifier.algorithm == COSIGNATURE):
            raise ValueError("a cosignature has a time, and a signature has none")
        stamp = b"" if seconds is None else seconds.to_bytes(8, "big")
        signature = self.private.sign(_signed(text, seconds))
        return f"— {self.verifier.name} {_b64(self.verifier.number + stamp + signature)}\n"

    def secret_text(self) -> str:
        """As the key file holds it."""
        raw = bytes([self.verifier.algorithm]) + self.private.private_bytes_raw()
        return f"PRIVATE+KEY+{self.verifier.name}+{self.verifier.number.hex()}+{_b64(raw)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    text: str
    signatures: tuple[str, ...]
    """The signature lines as they stand, each with its newline."""

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(self.signatures)}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says it is: under a name, so many leaves, this root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def written(self) -> str:
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    checkpoint: Checkpoint
    note: Note


def new_signer(name: str, algorithm: int = ED25519) -> SignerKey:
    return _signer(name, algorithm, Ed25519PrivateKey.generate())


def _signer(name: str, algorithm: int, private: Ed25519PrivateKey) -> SignerKey:
    _check_name(name)
    return SignerKey(VerifierKey(name, algorithm, private.public_key().public_bytes_raw()), private)


def read_signer(text: str) -> SignerKey:
    """The key that :meth:`SignerKey.secret_text` wrote. Raises NotANote."""
    parts = text.strip().split("+", 4)
    if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
        raise NotANote("it is not a signing key of the form PRIVATE+KEY+name+number+key")
    algorithm, raw = _read_key(parts[4])
    signer = _signer(parts[2], algorithm, Ed25519PrivateKey.from_private_bytes(raw))
    if signer.verifier.number.hex() != parts[3]:
        raise NotANote("the signing key's number does not fit its name and key")
    return signer


def read_verifier(text: str) -> VerifierKey:
    """The key in a text such as ``name+1a2b3c4d+base64``. Raises NotANote."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3:
        raise NotANote("it is not a verifier key of the form name+number+key")
    _check_name(parts[0])
    algorithm, raw = _read_key(parts[2])
    key = VerifierKey(parts[0], algorithm, raw)
    if key.number.hex() != parts[1]:
        raise NotANote("the verifier key's number does not fit its name and key")
    return key


def read_note(content: bytes) -> Note:
    """Raises NotANote. Says nothing yet about whether a signature holds."""
    if len(content) > LONGEST_NOTE_BYTES:
        raise NotANote("it is too long for a signed note")
    try:
        whole = content.decode()
    except UnicodeDecodeError as error:
        raise NotANote("it is not UTF-8") from error
    if any(ord(letter) < 0x20 and letter != "\n" for letter in whole):
        raise NotANote("it holds control characters")
    text, gap, rest = whole.rpartition("\n\n")
    if not gap or not text or not rest.endswith("\n"):
        raise NotANote("it has no signatures below its text")
    lines = rest[:-1].split("\n")
    if not all(line.startswith("— ") and len(line.split(" ")) == 3 for line in lines):
        raise NotANote("a line among its signatures is none")
    return Note(text + "\n", tuple(line + "\n" for line in lines))


def holds(note: Note, key: VerifierKey) -> int | None:
    """Whether ``key`` signed: 0, or for a cosignature its time (seconds since 1970). None: there is no such line.

    Raises NotANote when a line claims to be of this key and does not hold (signed-note: such a note is rejected).
    """
    found: int | None = None
    for name, raw in _lines(note):
        if name == key.name and raw[:4] == key.number:
            found = _check(note.text, key, raw[4:])
    return found


def signers_of(note: Note) -> list[tuple[str, bytes]]:
    """Who is said to have signed: names, and the numbers of their keys (4 bytes). Raises NotANote."""
    return [(name, raw[:4]) for name, raw in _lines(note)]


def _lines(note: Note) -> Iterator[tuple[str, bytes]]:
    for line in note.signatures:
        _, name, encoded = line.rstrip("\n").split(" ")
        try:
            yield name, base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise NotANote(f"the signature of {name} is not base64") from error


def _check(text: str, key: VerifierKey, raw: bytes) -> int:
    timed = key.algorithm == COSIGNATURE
    seconds = int.from_bytes(raw[:8], "big") if timed else None
    signature = raw[8:] if timed else raw
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, _signed(text, seconds))
    except (InvalidSignature, ValueError) as error:
        raise NotANote(f"the signature of {key.name} does not hold") from error
    return seconds or 0


def read_checkpoint(content: bytes) -> SignedCheckpoint:
    """A checkpoint, whose signatures are still to be looked at. Raises NotANote."""
    note = read_note(content)
    lines = note.text.split("\n")
    if len(lines) < 4 or not lines[0]:
        raise NotANote("it is a signed note, but not a checkpoint")
    origin, size, root = lines[:3]
    if not (size.isascii() and size.isdecimal()) or str(int(size[:20])) != size:
        raise NotANote("its size is not a number as checkpoints write one")
    try:
        raw = base64.b64decode(root, validate=True)
    except ValueError as error:
        raise NotANote("its root is not base64") from error
    if len(raw) != HASH_BYTES or _b64(raw) != root:
        raise NotANote("its root is not 32 bytes")
    return SignedCheckpoint(Checkpoint(origin, int(size), raw), note)


def open_checkpoint(content: bytes, key: VerifierKey) -> SignedCheckpoint:
    """A checkpoint of the log that ``key`` stands for, signed by it. Raises NotANote."""
    signed = read_checkpoint(content)
    check_signed(signed, key)
    return signed


def check_signed(signed: SignedCheckpoint, key: VerifierKey) -> None:
    """Raises NotANote unless it is a checkpoint of the log that ``key`` stands for, signed by it."""
    if signed.checkpoint.origin != key.name:
        raise NotANote(f"it is a checkpoint of {signed.checkpoint.origin}, not of {key.name}")
    if holds(signed.note, key) is None:
        raise NotANote(f"it carries no signature by {key.name} with the key {key.number.hex()}")


def check_signed_by_any(signed: SignedCheckpoint, keys: Sequence[VerifierKey]) -> None:
    """Raises NotANote unless it is a checkpoint of the one log whose ``keys`` these are, and one of them signed it;
    also for a forged signature beside a good one."""
    if signed.checkpoint.origin != keys[0].name:
        raise NotANote(f"it is a checkpoint of {signed.checkpoint.origin}, not of {keys[0].name}")
    signers = [key for key in keys if holds(signed.note, key) is not None]
    if not signers:
        raise NotANote(f"no key of {keys[0].name} that is known signed it")


def signature_line(verifier: VerifierKey, signature: bytes) -> str:
    """The line for a signature that was made elsewhere, with its newline."""
    return f"— {verifier.name} {_b64(verifier.number + signature)}\n"


def sign_checkpoint(checkpoint: Checkpoint, signer: SignerKey) -> SignedCheckpoint:
    text = checkpoint.written()
    return SignedCheckpoint(checkpoint, Note(text, (signer.sign(text),)))


def cosigners(signed: SignedCheckpoint, witnesses: Sequence[VerifierKey]) -> dict[str, int]:
    """The witnesses whose cosignature holds, and when (seconds since 1970). Raises NotANote for a forged one.

    INVARIANT: who counts is a key, and only as a witness's: a log's own signature is no cosignature, and one key that
    goes by two names is one witness.
    """
    keys = {witness.public: witness for witness in witnesses if witness.algorithm == COSIGNATURE}
    times = ((witness.name, holds(signed.note, witness)) for witness in keys.values())
    return {name: seconds for name, seconds in times if seconds is not None}


def _signed(text: str, seconds: int | None) -> bytes:
    return text.encode() if seconds is None else f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _check_name(name: str) -> None:
    if not name or "+" in name or any(letter.isspace() or ord(letter) < 0x20 for letter in name):
        raise NotANote("the name of a key is text without spaces and plus signs")


def _read_key(encoded: str) -> tuple[int, bytes]:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise NotANote("the key is not base64") from error
    if len(raw) != 1 + _KEY_BYTES or raw[0] not in (ED25519, COSIGNATURE):
        raise NotANote("the key is not one of Ed25519")
    return raw[0], raw[1:]


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
