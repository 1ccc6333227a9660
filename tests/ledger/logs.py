"""A published log in memory, and what somebody could do to it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from interlock.domain.rights_events import VendorAdded
from interlock.ledger.entries import Recorded, body_of
from interlock.ledger.notes import Checkpoint, SignedCheckpoint, SignerKey, new_signer, sign_checkpoint
from interlock.ledger.tiles import CHECKPOINT, Growth, body_path, entry_of, stands_for

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def body(position: int, name: str = "") -> bytes:
    event = VendorAdded(vendor=name or f"vendor {position}")
    return body_of(Recorded(position, NOW + timedelta(seconds=position), "system", event))


def bodies(count: int) -> list[bytes]:
    return [body(position) for position in range(1, count + 1)]


class MemoryLog:
    """Objects by path. ``publish`` is what a sequencer does."""

    def __init__(self, signer: SignerKey | None = None) -> None:
        self.signer = signer or new_signer("log.example/test")
        self.objects: dict[str, bytes] = {}
        self.growth = Growth()

    async def read(self, path: str) -> bytes | None:
        return self.objects.get(path)

    def publish(self, more: Sequence[bytes]) -> SignedCheckpoint:
        entries = [entry_of(one) for one in more]
        for one, entry in zip(more, entries, strict=True):
            digest = stands_for(entry)
            if digest is not None:
                self.objects[body_path(digest)] = one
        self.objects.update(self.growth.add(entries))
        signed = sign_checkpoint(
            Checkpoint(self.signer.verifier.name, self.growth.size, self.growth.frontier.root()), self.signer
        )
        self.objects[CHECKPOINT] = str(signed.note).encode()
        return signed


def log_of(count: int, signer: SignerKey | None = None) -> MemoryLog:
    log = MemoryLog(signer)
    log.publish(bodies(count))
    return log
