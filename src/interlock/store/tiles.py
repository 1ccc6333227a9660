"""The published log's objects in an object store: a local folder, S3, GCS or Azure, all by obstore."""

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from interlock.errors import Failure
from interlock.ledger.tiles import is_path


class ObjectTiles:
    """The log at a folder's path or a URL. Implements :class:`interlock.ledger.tiles.Source`; writes as well."""

    def __init__(self, where: str, *, create: bool = False) -> None:
        self.where = where
        self._folder = None if "://" in where else Path(where)
        if self._folder is not None and not create and not self._folder.is_dir():
            raise Failure(f"There is no folder {where}.", "Give the folder or the URL of a published ledger.")
        try:
            self._store = _open_url(where) if self._folder is None else LocalStore(self._folder, mkdir=create)
        except (BaseError, ValueError, OSError) as error:
            raise Failure(
                f"The ledger's store {where} cannot be opened: {_first_line(error)}.", "Mend its address."
            ) from error

    async def read(self, path: str) -> bytes | None:
        if not is_path(path):
            return None
        try:
            return await asyncio.to_thread(self._get, path)
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise Failure(
                f"{path} cannot be read from the ledger's store: {_first_line(error)}.",
                "Mend the store, and try again.",
            ) from error

    async def write(self, path: str, content: bytes) -> None:
        """Put the object, durably: when this returns, a power failure does not undo it."""
        try:
            await asyncio.to_thread(self._put, path, content)
        except (BaseError, OSError) as error:
            raise Failure(
                f"{path} cannot be written to the ledger's store: {_first_line(error)}.",
                "Make room, or mend the store.",
            ) from error

    # In threads of ours: a program that ends while obstore's own still hand over a result can crash at its very end.

    def _get(self, path: str) -> bytes:
        return bytes(obstore.get(self._store, path).bytes())

    def _put(self, path: str, content: bytes) -> None:
        obstore.put(self._store, path, content, use_multipart=False)
        if self._folder is not None:
            _sync(self._folder / path)


def _open_url(where: str) -> ObjectStore:
    parts = urlsplit(where)
    if parts.scheme != "http":
        return from_url(where)
    if parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise Failure(f"{where} would be read and written in clear text.", "Write https://.")
    return from_url(where, client_options={"allow_http": True})


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0].rstrip(".")


def _sync(path: Path) -> None:
    for name in (path, path.parent):
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
