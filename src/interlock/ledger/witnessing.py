"""The witness: cosigns a log's checkpoint when it continues the last one it cosigned (C2SP tlog-witness).

A witness run by another team is what a rewritten history cannot get past: it has seen the old one, and says no. It
keeps one checkpoint a log, and believes nothing but signatures and proofs.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from interlock.ledger.merkle import NotProved, check_consistency
from interlock.ledger.notes import (
    NotANote,
    SignedCheckpoint,
    SignerKey,
    VerifierKey,
    holds,
    read_checkpoint,
)

_MOST_PROOF_LINES = 63
PLAIN = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    text: str
    content_type: str = PLAIN


def ask_for_cosignature(old: int, proof: Sequence[bytes], signed: SignedCheckpoint) -> bytes:
    """The body of ``add-checkpoint``."""
    lines = [f"old {old}", *(base64.b64encode(part).decode() for part in proof)]
    return ("\n".join(lines) + f"\n\n{signed.note}").encode()


class Witness:
    """``logs`` are the keys of the logs that are watched; a log may have several, each after the one it replaced.
    ``recall`` gives what was cosigned last, ``keep`` makes it durable: it is called before a cosignature is given away.
    One call at a time.

    INVARIANT: once a newer key of a log has signed what was cosigned, an older one alone counts no more.
    """

    def __init__(
        self,
        signer: SignerKey,
        logs: Sequence[VerifierKey],
        recall: Callable[[str], SignedCheckpoint | None],
        keep: Callable[[SignedCheckpoint], None],
    ) -> None:
        self._signer = signer
        self._logs = by_name(logs)
        self._recall = recall
        self._keep = keep

    def add_checkpoint(self, body: bytes, seconds: int) -> Answer:
        """What tlog-witness, "add-checkpoint", asks for, in its order. ``seconds`` is the time since 1970."""
        try:
            old, proof, signed = _read(body)
        except NotANote as error:
            return Answer(400, f"This is no checkpoint to cosign: {error}.\n")
        checkpoint = signed.checkpoint
        # 1. The log is known, and signed this.
        keys = self._logs.get(checkpoint.origin)
        if keys is None:
            return Answer(404, f"The log {checkpoint.origin} is not one that is watched here.\n")
        kept = self._recall(checkpoint.origin)
        try:
            signers = _signers(signed, keys)
            if not signers:
                return Answer(
                    403,
                    "The checkpoint carries no signature of its log by a key that this witness was given. If that key "
                    "was replaced, give it the newer one as well: with another --log, the newest last.\n",
                )
            if kept is not None and max(signers) < max(_signers(kept, keys), default=0):
                return Answer(
                    403,
                    "The checkpoint is signed with a key of its log that was replaced, and no newer one. If it is the "
                    "newest one, this witness was not told so: its --log comes last.\n",
                )
        except NotANote as error:
            return Answer(403, f"The checkpoint does not hold: {error}.\n")
        # 2. It is asked about what was cosigned last.
        if old > checkpoint.size:
            return Answer(400, "The old size is larger than the new one.\n")
        last = None if kept is None else kept.checkpoint
        size = 0 if last is None else last.size
        if old != size:
            return Answer(409, f"{size}\n", SIZE)
        # 3. It continues it.
        if last is not None and checkpoint.size == size and checkpoint.root != last.root:
            return Answer(409, f"{size}\n", SIZE)
        if size:
            try:
                check_consistency(size, checkpoint.size, proof, last.root if last else b"", checkpoint.root)
            except NotProved as error:
                return Answer(422, f"This is another history than the one that was cosigned: {error}.\n")
        elif proof:
            return Answer(422, "There is nothing to prove from the empty log.\n")
        # 4. INVARIANT: what is cosigned is durable before anybody has the cosignature.
        self._keep(signed)
        return Answer(200, self._signer.sign(signed.note.text, seconds=seconds))


def by_name(logs: Sequence[VerifierKey]) -> Mapping[str, tuple[VerifierKey, ...]]:
    """The keys of each log, in their order."""
    return {log.name: tuple(one for one in logs if one.name == log.name) for log in logs}


def _signers(signed: SignedCheckpoint, keys: Sequence[VerifierKey]) -> list[int]:
    """Which of the log's keys signed, by their places. Raises NotANote for a forged signature."""
    return [at for at, key in enumerate(keys) if holds(signed.note, key) is not None]


def _read(body: bytes) -> tuple[int, list[bytes], SignedCheckpoint]:
    head, gap, note = body.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise NotANote("its first lines are not ASCII") from error
    size = first.removeprefix("old ")
    if not gap or size == first or not size.isdecimal() or len(size) > 20 or str(int(size)) != size:
        raise NotANote("it does not begin with the old size")
    if len(lines) > _MOST_PROOF_LINES:
        raise NotANote("its proof is too long")
    try:
        proof = [base64.b64decode(line, validate=True) for line in lines]
    except ValueError as error:
        raise NotANote("its proof is not base64") from error
    return int(size), proof, read_checkpoint(note)
