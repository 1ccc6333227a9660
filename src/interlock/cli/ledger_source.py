"""Where the commands about the ledger read it: the server's entries and objects, a folder, an object store."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from interlock.cli.client import Client
from interlock.domain.codec import from_plain
from interlock.errors import Failure, NotFound, Refusal
from interlock.ledger.notes import (
    COSIGNATURE,
    Checkpoint,
    NotANote,
    VerifierKey,
    check_signed_by_any,
    read_checkpoint,
    read_verifier,
)
from interlock.ports.state import LedgerEntry

PAGE = 1000


class ServerSource:
    """The server's published ledger. Implements :class:`interlock.ledger.tiles.Source`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, path: str) -> bytes | None:
        try:
            return from_plain(bytes, self._client.get("/v1/ledger/published", q=path)["content"])
        except NotFound:
            return None


def entries_of(client: Client) -> Iterator[LedgerEntry]:
    """The server's entries as its database has them, in their order."""
    after = 0
    while page := client.get("/v1/ledger", after=str(after), limit=str(PAGE)):
        for plain in page:
            yield from_plain(LedgerEntry, plain)
        after = int(page[-1]["position"])


def read_file(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"{what} {path} cannot be read: {error.strerror}.", "Check its name.") from error


_ASK_THE_WITNESS = "Take the one that `interlock witness` printed, from those who run it."


def read_key(path: Path) -> VerifierKey:
    try:
        return read_verifier(read_file(path, "The key file").decode())
    except (NotANote, UnicodeDecodeError) as error:
        raise Failure(f"{path} does not hold a ledger's key: {error}.", "Ask for it: interlock ledger key") from error


def read_witnesses(paths: Sequence[Path], log: VerifierKey) -> tuple[VerifierKey, ...]:
    """The keys of witnesses. Raises Failure for one that is none, Refusal for one that would count for nothing."""
    keys: dict[bytes, Path] = {}
    found = []
    for path in paths:
        try:
            key = read_verifier(read_file(path, "The key file").decode())
        except (NotANote, UnicodeDecodeError) as error:
            raise Failure(f"{path} does not hold a witness's key: {error}.", _ASK_THE_WITNESS) from error
        if key.algorithm != COSIGNATURE or key.public == log.public:
            raise Refusal(
                "no-witness", f"{path} holds a ledger's key, and no ledger is its own witness.", _ASK_THE_WITNESS
            )
        if key.public in keys:
            raise Refusal(
                "one-witness", f"{keys[key.public]} and {path} hold the same key: it is one witness.", "Leave one out."
            )
        keys[key.public] = path
        found.append(key)
    return tuple(found)


def read_older(path: Path, keys: Sequence[VerifierKey]) -> Checkpoint:
    """A checkpoint that was kept. It must be one of this log, by one of its keys: another's would say nothing about
    it."""
    try:
        signed = read_checkpoint(read_file(path, "The older checkpoint"))
        check_signed_by_any(signed, keys)
    except NotANote as error:
        raise Failure(f"{path} is no checkpoint of this ledger: {error}.", "Name one that you kept.") from error
    return signed.checkpoint
