"""Which keys sign the ledger's next checkpoint, and the handover from one to the next.

Holds to:

* which key signs follows from what is published and the entries after it, never from what a file is called
* a checkpoint that covers the entry which names a key is signed by that key; until the overlap's end, by the one before
  it as well, where that is still here
* the first of these ends with that very entry, is signed by both, and is kept as the handover before it is published
* who has not got the newest key signs nothing: another control plane has it, and is elected in its turn
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from interlock.errors import Failure
from interlock.ledger.notes import SignedCheckpoint, VerifierKey, check_signed, read_checkpoint, signers_of
from interlock.ledger.proofs import write_proof
from interlock.ledger.succession import (
    Chain,
    NoSuccession,
    Succession,
    handover_path,
    read_handover,
    read_handovers,
    read_succession,
)
from interlock.ports.log_keys import LogKey, LogKeys
from interlock.store.tiles import ObjectTiles

Part = tuple[list[bytes], Succession | None]
"""Entries that one checkpoint is published after; the last of them may name a key."""


class Signing:
    """The keys of one ledger as a sequencer goes on with them. ``take_up`` first."""

    def __init__(self, keys: LogKeys, tiles: ObjectTiles, now: Callable[[], datetime]) -> None:
        self._keys = keys
        self._tiles = tiles
        self._now = now
        self._chain = Chain()
        self._newest: VerifierKey | None = None

    @property
    def name(self) -> str:
        return self._signing_key.name

    @property
    def handed_over(self) -> int:
        """How often, as it is published."""
        return len(self._chain.steps)

    @property
    def _signing_key(self) -> VerifierKey:
        if self._newest is None:
            raise RuntimeError("a ledger was signed before it was taken up")
        return self._newest

    async def take_up(self, content: bytes | None) -> SignedCheckpoint | None:
        """The published checkpoint, which has to be signed by the newest key that is published. Raises NotANote and
        Failure."""
        first = (await self._keys.first()).verifier
        self._chain, self._newest = Chain(), first
        if content is None:
            return None
        signed = read_checkpoint(content)
        try:
            steps = [handover.step for handover in await read_handovers(self._tiles, first.name)]
        except NoSuccession as error:
            raise Failure(
                f"The published ledger's keys do not follow each other: {error}.",
                "Verify a copy of the published ledger: interlock ledger verify SOURCE",
            ) from error
        self._chain = Chain(tuple(steps)).upto(signed.checkpoint.size)
        self._newest = self._chain.newest or first
        check_signed(signed, self._newest)
        self._check_no_other_key(signed)
        return signed

    def _check_no_other_key(self, signed: SignedCheckpoint) -> None:
        """Raises Failure for a signature of this ledger by a key that nothing hands over from or to: who removed that
        is not to have the ledger go on as though no other key had followed."""
        numbers = {key.number for key in (*self._chain.keys, self._signing_key)}
        for name, number in signers_of(signed.note):
            if name == signed.checkpoint.origin and number not in numbers:
                raise Failure(
                    f"The published checkpoint is signed with the key {number.hex()} as well, which no handover names.",
                    "Restore the objects handover/… of the published ledger from your backup.",
                )

    async def check_ours(self) -> None:
        """Raises Failure when the newest key is not here."""
        await self._need(self._signing_key)
        await self.settle()

    def parts(self, bodies: Sequence[bytes], after: int) -> Iterator[Part]:
        """The entries up to each that names a key, and what is left; the first of them is entry ``after`` + 1. Raises
        Failure for one that names none rightly."""
        part: list[bytes] = []
        for position, body in enumerate(bodies, after + 1):
            part.append(body)
            try:
                step = self._step_at(position, body)
            except NoSuccession as error:
                raise Failure(
                    f"The ledger's key is not replaced as it should be: {error}.", "Find out who wrote that entry."
                ) from error
            if step is not None:
                yield part, step
                part = []
        if part or not bodies:
            yield part, None

    def _step_at(self, position: int, body: bytes) -> Succession | None:
        step = read_succession(body)
        if step is not None:
            self._chain.then(step, self._signing_key)
            if step.position != position:
                raise NoSuccession(f"entry {position} says that its place is {step.position}")
        return step

    async def signers(self, step: Succession | None) -> list[LogKey]:
        """Those that sign now, the newest first. Raises Failure when one that has to is not here."""
        if step is not None:
            both = [await self._need(step.key), await self._need(step.older)]
            return [*both, *[key for key in await self._overlapping() if key.verifier != step.older]]
        return [await self._need(self._signing_key), *await self._overlapping()]

    async def _overlapping(self) -> list[LogKey]:
        now = self._now()
        found = [await self._keys.find(step.older) for step in reversed(self._chain.steps) if now < step.until]
        return [key for key in found if key is not None]

    async def _need(self, verifier: VerifierKey) -> LogKey:
        key = await self._keys.find(verifier)
        if key is None:
            raise Failure(
                f"The ledger is signed with the key {verifier.number.hex()}, which this control plane has not got.",
                "Bring keys/ledger*.key from the one where it was rotated: interlock keys rotate ledger",
            )
        return key

    async def hand_over(self, signed: SignedCheckpoint, step: Succession, body: bytes) -> None:
        """Keep, for good, what both keys signed: the same bytes whoever does it, so that it can be done twice. Raises
        Failure for what would not hold: nobody could verify the ledger by its older key any more."""
        both = replace(signed, note=replace(signed.note, signatures=signed.note.signatures[:2]))
        proof = await write_proof(self._tiles, both, step.position, body)
        try:
            read_handover(proof.encode())
        except NoSuccession as error:
            raise Failure(
                f"The ledger's key cannot be handed over at entry {step.position}: {error}.",
                "Compare the keys that sign (interlock doctor; in OpenBao: bao read transit/keys/NAME).",
            ) from error
        await self._tiles.write(handover_path(len(self._chain.steps)), proof.encode())

    async def taken_over(self, step: Succession) -> None:
        """The checkpoint that covers ``step`` is published."""
        self._chain = self._chain.then(step, self._signing_key)
        self._newest = step.key
        await self.settle()

    async def settle(self) -> None:
        await self._keys.settle(self._chain)
