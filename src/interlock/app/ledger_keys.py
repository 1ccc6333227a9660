"""The ledger's keys in the data folder. Which of them signs is said by the ledger's entries, and by no file's name.

``ledger.key`` is the newest one that was handed over to (at first: the one that was made at the first start),
``ledger.next.key`` one that an entry names, or is about to, and ``ledger.until-TIME.key`` one before it, which signs as
well until then. A crash between any two writes leaves every key where it is found, and none that no entry names signs.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from interlock.app.data_folder import DataFolder
from interlock.app.publishing import KEY_FILE, PUBLIC_FILE, new_log_name
from interlock.errors import Failure, Refusal
from interlock.identity.keys import create_once, read_private, write_private
from interlock.identity.overlap import older, place_until, rotating
from interlock.ledger.notes import NotANote, SignerKey, VerifierKey, new_signer, read_signer, read_verifier
from interlock.ledger.succession import Chain
from interlock.ports.log_keys import LogKey

NEXT_FILE = "ledger.next.key"
_KIND, _SUFFIX = "ledger", "key"


class FileLogKeys:
    """Implements :class:`interlock.ports.log_keys.LogKeys`. The files are read each time: another program of ours may
    have rotated."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder.keys

    @classmethod
    def open(cls, folder: DataFolder) -> "FileLogKeys":
        """The first key is made when there is none, and none was known. Raises Failure."""
        keys = cls(folder)
        path, public = folder.keys / KEY_FILE, folder.keys / PUBLIC_FILE
        if public.exists() and not path.exists():
            raise Failure(
                f"{public} names the ledger's key, and {path} is not there.",
                "Restore keys/ from your backup; or, if the key is in OpenBao, name it in openbao.ledger.",
            )
        create_once(path, lambda: new_signer(new_log_name()).secret_text().encode())
        if not keys._public_is_known():
            with keys.alone():
                # Who takes over just now has written one of the two and not yet the other.
                if not keys._public_is_known():
                    write_private(folder.keys / PUBLIC_FILE, f"{keys._first().verifier}\n".encode())
        return keys

    def _public_is_known(self) -> bool:
        known = _public(self._folder / PUBLIC_FILE)
        return known in {one.verifier for one in self._all()}

    async def first(self) -> LogKey:
        return _log_key(await asyncio.to_thread(self._first))

    async def find(self, verifier: VerifierKey) -> LogKey | None:
        for signer in await asyncio.to_thread(lambda: list(self._all())):
            if signer.verifier == verifier:
                return _log_key(signer)
        return None

    def alone(self) -> AbstractContextManager[None]:
        return rotating(self._folder)

    async def make(self, after: VerifierKey) -> LogKey:
        return _log_key(await asyncio.to_thread(self._make, after))

    def _make(self, after: VerifierKey) -> SignerKey:
        path = self._folder / NEXT_FILE
        # INVARIANT: this is the only place where a key is that an entry named and that is not handed over to yet. One
        # that no entry came to name, as a crash leaves it, is written over.
        if path.exists() and _read(path).verifier == after:
            raise Refusal(
                "unfinished",
                "The last rotation of the ledger's key is not published yet, so that key cannot be replaced.",
                "Try again in some seconds. If it stays so: interlock doctor; of several control planes rotate on the "
                "one that publishes.",
            )
        fresh = new_signer(after.name)
        write_private(path, fresh.secret_text().encode())
        return fresh

    async def settle(self, chain: Chain) -> None:
        if chain.newest is not None:
            await asyncio.to_thread(self._settle, chain, chain.newest, datetime.now(UTC))

    def _settle(self, chain: Chain, newest: VerifierKey, now: datetime) -> None:
        with rotating(self._folder):
            path = self._folder / NEXT_FILE
            if path.exists() and (signer := _read(path)).verifier == newest and self._keep_last(chain):
                write_private(self._folder / KEY_FILE, signer.secret_text().encode())
                path.unlink()
            if _public(self._folder / PUBLIC_FILE) != newest:
                write_private(self._folder / PUBLIC_FILE, f"{newest}\n".encode())
            ends = {step.older: step.until for step in chain.steps}
            for kept, _ in older(self._folder, _KIND, _SUFFIX):
                end = ends.get(_read(kept).verifier)
                if end is not None and end <= now:
                    kept.unlink(missing_ok=True)

    def _keep_last(self, chain: Chain) -> bool:
        """The key that is replaced stays beside, unless a crash left it there already. False: it is none of ours."""
        last = self._first()
        if last.verifier == chain.newest:
            return True
        step = next((step for step in chain.steps if step.older == last.verifier), None)
        kept = {_read(path).verifier for path, _ in older(self._folder, _KIND, _SUFFIX)}
        if step is not None and last.verifier not in kept:
            place, _ = place_until(self._folder, _KIND, _SUFFIX, step.until)
            write_private(place, last.secret_text().encode())
        return step is not None

    def _first(self) -> SignerKey:
        return _read(self._folder / KEY_FILE)

    def _all(self) -> Iterator[SignerKey]:
        """In this order none is missed while another program takes over: keys go from each place to one that is looked
        at later."""
        fresh = _read_if_there(self._folder / NEXT_FILE)
        if fresh is not None:
            yield fresh
        yield self._first()
        for path, _ in older(self._folder, _KIND, _SUFFIX):
            kept = _read_if_there(path)
            if kept is not None:
                yield kept


def _read(path: Path) -> SignerKey:
    try:
        return read_signer(read_private(path).decode())
    except (NotANote, UnicodeDecodeError) as error:
        raise Failure(f"{path} does not hold the ledger's key: {error}.", "Restore it from your backup.") from error


def _read_if_there(path: Path) -> SignerKey | None:
    try:
        return _read(path)
    except Failure:
        if path.exists():
            raise
        return None


def _public(path: Path) -> VerifierKey | None:
    try:
        return read_verifier(path.read_text())
    except (OSError, NotANote, UnicodeDecodeError):
        return None


def _log_key(signer: SignerKey) -> LogKey:
    async def sign(text: str) -> str:
        return signer.sign(text)

    return LogKey(signer.verifier, sign)
