"""Asks the configured witnesses to cosign each checkpoint, all at once and for a short while."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx2

from interlock.errors import Failure, InterlockError
from interlock.ledger.merkle import prove_consistency
from interlock.ledger.notes import COSIGNATURE, NotANote, Note, SignedCheckpoint, VerifierKey, holds, read_verifier
from interlock.ledger.tiles import DamagedError, Source, TiledTree
from interlock.ledger.witnessing import SIZE, ask_for_cosignature
from interlock.policy.configuration import Witnesses
from interlock.services.desk import Desk

_WAIT_S = 0.6
"""Within a second an event is under a checkpoint, also when a witness does not answer; it is asked again later."""

_log = logging.getLogger("interlock.ledger")


@dataclass(frozen=True, slots=True)
class WitnessAddress:
    url: str
    key: VerifierKey


def addresses_of(witnesses: Witnesses) -> tuple[WitnessAddress, ...]:
    """Raises Failure for a key that is none."""
    found = []
    for one in witnesses.of:
        try:
            key = read_verifier(one.key)
        except NotANote as error:
            raise Failure(f"The key of the witness at {one.url} is none: {error}.", "Ask its operator.") from error
        if key.algorithm != COSIGNATURE:
            raise Failure(f"The key of the witness at {one.url} is not a witness's.", "Ask its operator.")
        found.append(WitnessAddress(one.url.rstrip("/"), key))
    return tuple(found)


class ActiveWitnesses:
    """Those of the active policy, whichever it is by now. Raises Failure at the start for a key that is none; in a
    later policy such a key leaves those that there were, and is said."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._named = desk.configuration.witnesses
        self._addresses = addresses_of(self._named)

    def __call__(self) -> Sequence[WitnessAddress]:
        named = self._desk.configuration.witnesses
        if named != self._named:
            self._named = named
            try:
                self._addresses = addresses_of(named)
            except Failure as error:
                _log.error("The witnesses stay those that they were: %s", error)
        return self._addresses


class Cosigning:
    """``witnesses`` says whom to ask. Implements :data:`interlock.store.sequencer.Cosign`. Close it when done."""

    def __init__(self, witnesses: Callable[[], Sequence[WitnessAddress]], tiles: Source) -> None:
        self._witnesses = witnesses
        self._tiles = tiles
        self._client = httpx2.AsyncClient(timeout=_WAIT_S, trust_env=False)
        self._sizes: dict[str, int] = {}
        self._said: dict[str, str] = {}

    async def close(self) -> None:
        await self._client.aclose()

    async def __call__(self, signed: SignedCheckpoint) -> SignedCheckpoint:
        witnesses = self._witnesses()
        if not witnesses:
            return signed
        lines = await asyncio.gather(*(self._line(one, signed) for one in witnesses))
        # The log's own stay, of each of its keys; cosignatures of before are replaced.
        own = [line for line in signed.note.signatures if line.startswith(f"— {signed.checkpoint.origin} ")]
        return SignedCheckpoint(signed.checkpoint, Note(signed.note.text, (*own, *(line for line in lines if line))))

    async def _line(self, witness: WitnessAddress, signed: SignedCheckpoint) -> str:
        try:
            async with asyncio.timeout(_WAIT_S):
                line = await self._ask(witness, signed)
        except (httpx2.HTTPError, TimeoutError, OSError, InterlockError, DamagedError, NotANote) as error:
            why = str(error) or "it did not answer in time"
            if self._said.get(witness.url) != why:
                _log.warning("The witness %s did not cosign: %s", witness.key.name, why)
            self._said[witness.url] = why
            return ""
        self._said.pop(witness.url, None)
        return line

    async def _ask(self, witness: WitnessAddress, signed: SignedCheckpoint) -> str:
        size = signed.checkpoint.size
        tree = TiledTree(self._tiles, size)
        for _ in range(2):
            old = self._sizes.get(witness.url, 0)
            if old > size:
                raise Failure(f"It has seen {old} entries, and there are {size}: the ledger went backwards.")
            body = ask_for_cosignature(old, await prove_consistency(tree.hash_of, old, size), signed)
            answer = await self._client.post(f"{witness.url}/add-checkpoint", content=body)
            told = answer.text.strip()
            if answer.status_code == 409 and answer.headers.get("content-type", "").startswith(SIZE):
                if told == str(old) or not told.isdecimal():
                    raise Failure("It has seen another history of the same length.")
                self._sizes[witness.url] = int(told)
                continue
            if answer.status_code != 200:
                raise Failure(f"{answer.status_code} {told[:200]}")
            return self._accept(witness, signed, answer.text)
        raise Failure("It says each time that it is asked about another size.")

    def _accept(self, witness: WitnessAddress, signed: SignedCheckpoint, text: str) -> str:
        for line in text.splitlines(keepends=True):
            ours = line.startswith(f"— {witness.key.name} ") and len(line.rstrip("\n").split(" ")) == 3
            if ours and holds(Note(signed.note.text, (line,)), witness.key) is not None:
                self._sizes[witness.url] = signed.checkpoint.size
                return line
        raise Failure("It answered with no cosignature of its key.")
