"""The master key of recordings in a file: ``keys/recordings.key``, one version a line, the newest last.

A line is the version's name and its 32 bytes in base64. AES-256-GCM wraps, under a random nonce of 96 bits (NIST SP
800-38D section 8.2.2: good for 2^32 wraps a version), with the context as associated data.
"""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from interlock.errors import Failure
from interlock.identity.keys import load_or_create_secret, write_private
from interlock.identity.overlap import rotating
from interlock.ports.master_key import Wrapped

MASTER_FILE = "recordings.key"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class FileMasterKey:
    """Implements :class:`interlock.ports.master_key.MasterKey`. The file is looked at each time, and read when it is
    another one: another program of ours may have rotated it, and puts a fresh file in its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[tuple[int, ...], Mapping[str, bytes]] | None = None

    async def wrap(self, key: bytes, context: str) -> Wrapped:
        versions = await self._versions()
        name = list(versions)[-1]
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(versions[name]).encrypt(nonce, key, context.encode())
        return Wrapped(base64.b64encode(nonce + sealed).decode(), name)

    async def unwrap(self, wrapped: Wrapped, context: str) -> bytes:
        versions = await self._versions()
        if wrapped.master not in versions:
            raise Failure(
                f"The master key {wrapped.master}, which a recording needs, is not in {self._path}.",
                "Restore the file from your backup.",
            )
        try:
            sealed = base64.b64decode(wrapped.text, validate=True)
            key = AESGCM(versions[wrapped.master])
            return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise Failure(
                f"The key of {context} was not wrapped by the master key in {self._path}, or was changed.",
                "Restore the file, or the state, from your backup.",
            ) from error

    async def current(self) -> str:
        return list(await self._versions())[-1]

    async def rotated(self) -> str | None:
        names = list(await self._versions())
        return names[-1] if len(names) > 1 else None

    async def rotate(self) -> str:
        return await asyncio.to_thread(self._rotate)

    def _rotate(self) -> str:
        name = _new_name()
        with rotating(self._path.parent):
            self._write({**self._read(), name: secrets.token_bytes(_KEY_BYTES)})
        return name

    async def forget(self, keep: frozenset[str]) -> None:
        await asyncio.to_thread(self._forget, keep)

    def _forget(self, keep: frozenset[str]) -> None:
        with rotating(self._path.parent):
            versions = self._read()
            # The last but one may still be at work in a control plane that read the file a moment ago.
            staying = keep | set(list(versions)[-2:])
            self._write({name: key for name, key in versions.items() if name in staying})

    async def _versions(self) -> Mapping[str, bytes]:
        written = _written(self._path)
        if self._known is not None and self._known[0] == written:
            return self._known[1]
        versions = await asyncio.to_thread(self._read)
        # As it was before it was read: a file that was put there meanwhile is read the next time.
        self._known = None if written is None else (written, versions)
        return versions

    def _read(self) -> Mapping[str, bytes]:
        content = load_or_create_secret(self._path, lambda: _line(_new_name(), secrets.token_bytes(_KEY_BYTES)))
        versions: dict[str, bytes] = {}
        try:
            for line in content.decode().splitlines():
                name, text = line.split()
                versions[name] = base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error) as error:
            raise self._unreadable() from error
        if not versions or any(len(key) != _KEY_BYTES for key in versions.values()):
            raise self._unreadable()
        return versions

    def _write(self, versions: Mapping[str, bytes]) -> None:
        write_private(self._path, b"".join(_line(name, key) for name, key in versions.items()))

    def _unreadable(self) -> Failure:
        return Failure(f"{self._path} does not hold master keys.", "Restore it from your backup.")


def _written(path: Path) -> tuple[int, ...] | None:
    """What tells the file there from another one; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _new_name() -> str:
    return f"m-{secrets.token_hex(4)}"


def _line(name: str, key: bytes) -> bytes:
    return f"{name} {base64.b64encode(key).decode()}\n".encode()
