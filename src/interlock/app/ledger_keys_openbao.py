"""The ledger's keys in OpenBao's transit engine: the versions of one key, each found by its public half.

``keys/ledger.vkey`` says which one is the newest that was handed over to; a version that nobody's entry names, such as
one that was made by hand, signs nothing.
"""

import asyncio
import logging
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from interlock.app.data_folder import DataFolder
from interlock.app.publishing import PUBLIC_FILE, new_log_name, public_key_of
from interlock.errors import Failure
from interlock.identity.keys import write_private
from interlock.identity.openbao import SigningKeys, Transit, read_signing_keys
from interlock.identity.overlap import rotating
from interlock.ledger.notes import ED25519, VerifierKey, signature_line
from interlock.ledger.succession import Chain
from interlock.ports.log_keys import LogKey

_log = logging.getLogger("interlock.ledger")


class TransitLogKeys:
    """Implements :class:`interlock.ports.log_keys.LogKeys`."""

    def __init__(self, transit: Transit, name: str, folder: DataFolder) -> None:
        self._transit = transit
        self._name = name
        self._folder = folder
        self._found = SigningKeys({})
        self._retired = 0

    @classmethod
    async def open(cls, transit: Transit, name: str, folder: DataFolder) -> "TransitLogKeys":
        """Raises Failure, also when the ledger is signed with another key: who verifies it knows that one."""
        keys = cls(transit, name, folder)
        path = keys._path
        found = await keys._look()
        if not path.exists():
            first = next(public for version, public in found.public.items() if version >= found.least)
            write_private(path, f"{VerifierKey(new_log_name(), ED25519, first)}\n".encode())
        if keys._known().public not in found.public.values():
            raise Failure(
                f"The ledger was signed with another key than {name} in OpenBao: {path} says which.",
                "Name the key that it was signed with in openbao.ledger.",
            )
        return keys

    @property
    def _path(self) -> Path:
        return self._folder.keys / PUBLIC_FILE

    def _known(self) -> VerifierKey:
        return public_key_of(self._folder)

    async def _look(self) -> SigningKeys:
        self._found = await read_signing_keys(self._transit, self._name)
        return self._found

    async def first(self) -> LogKey:
        """Of another control plane's rotation this one may not know, and then an older version is its first: one that
        may not sign any more, maybe. Looks anew at what OpenBao lets sign."""
        known = self._known()
        for version, public in (await self._look()).public.items():
            if public == known.public:
                return self._key(known, version)
        raise Failure(
            f"OpenBao has no version of {self._name} that is the ledger's key {known.number.hex()} any more.",
            "Restore it there from your backup.",
        )

    async def find(self, verifier: VerifierKey) -> LogKey | None:
        """None for a version, too, that OpenBao lets sign no more."""
        if verifier.public not in self._found.public.values():
            await self._look()
        for version, public in self._found.public.items():
            if public == verifier.public and verifier.name == self._known().name and version >= self._found.least:
                return self._key(verifier, version)
        return None

    def _key(self, verifier: VerifierKey, version: int) -> LogKey:
        async def sign(text: str) -> str:
            return signature_line(verifier, await self._transit.sign(self._name, text.encode(), version))

        return LogKey(verifier, sign)

    def alone(self) -> AbstractContextManager[None]:
        return rotating(self._folder.keys)

    async def make(self, after: VerifierKey) -> LogKey:
        await self._transit.rotate(self._name)
        version, public = list((await self._look()).public.items())[-1]
        return self._key(VerifierKey(after.name, ED25519, public), version)

    async def settle(self, chain: Chain) -> None:
        if chain.newest is None:
            return
        await asyncio.to_thread(self._write_down, chain.newest)
        now = datetime.now(UTC)
        signing = {chain.newest.public, *(step.older.public for step in chain.steps if now < step.until)}
        oldest = min((version for version, public in self._found.public.items() if public in signing), default=0)
        if oldest > max(1, self._retired, self._found.least):
            self._retired = oldest
            try:
                await self._transit.forbid_signing_before(self._name, oldest)
            except Failure as failure:
                # Nobody takes what they sign anyhow; publishing does not wait for it.
                _log.warning("The ledger's replaced keys may still sign in OpenBao: %s", failure)

    def _write_down(self, newest: VerifierKey) -> None:
        """Waits for a rotation, which may wait for this program: so in a thread of its own."""
        if self._known() != newest:
            with rotating(self._folder.keys):
                write_private(self._path, f"{newest}\n".encode())
