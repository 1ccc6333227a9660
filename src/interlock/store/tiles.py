"""The published log's objects in an object store: a local folder, S3, GCS or Azure, all by obstore."""

import asyncio
import os
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from interlock.errors import Failure
from interlock.ledger.tiles import is_path
from interlock.wire.objects import (
    Place,
    Version,
    check_conditions,
    first_line,
    get_with_version,
    open_objects,
    put_new,
    put_over,
)


class ObjectTiles:
    """The log at a folder's path or a URL. Implements :class:`interlock.ledger.tiles.Source`; writes as well."""

    def __init__(self, where: str | Place, *, create: bool = False) -> None:
        place = where if isinstance(where, Place) else Place(where)
        self.where = place.where
        self._folder = place.folder
        if self._folder is not None and not create and not self._folder.is_dir():
            raise Failure(f"There is no folder {self.where}.", "Give the folder or the URL of a published ledger.")
        self._store = open_objects(place, "The ledger's store", create=create)

    async def check(self) -> None:
        """Raises Failure when this is no place in which a ledger can grow without being forked. A folder always is:
        it belongs to one installation, whose data folder is locked."""
        if self._folder is None:
            await asyncio.to_thread(check_conditions, self._store, f"The ledger's store {self.where}")

    async def read(self, path: str) -> bytes | None:
        if not is_path(path):
            return None
        try:
            return await asyncio.to_thread(self._get, path)
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise Failure(
                f"{path} cannot be read from the ledger's store: {first_line(error)}.",
                "Mend the store, and try again.",
            ) from error

    async def read_version(self, path: str) -> tuple[bytes, Version] | None:
        """The object, and which of those that were ever there it is. For :meth:`replace`."""
        try:
            return await asyncio.to_thread(get_with_version, self._store, path)
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise Failure(
                f"{path} cannot be read from the ledger's store: {first_line(error)}.",
                "Mend the store, and try again.",
            ) from error

    async def write(self, path: str, content: bytes, *, anew: bool = False) -> None:
        """Put the object, durably: when this returns, a power failure does not undo it.

        In an object store what is there is never written over by something else, but ``anew``: every object but the
        checkpoint has one content for ever. Raises Failure.
        """
        try:
            await asyncio.to_thread(self._put, path, content, anew)
        except (BaseError, OSError) as error:
            raise _unwritable(path, error) from error

    async def replace(self, path: str, content: bytes, over: Version | None) -> Version | None:
        """Put the object in the place of the version that was read (None: of none), durably, and of no other.

        Raises Failure when another is there by now. In a folder, which has one owner, it is simply put there.
        """
        try:
            return await asyncio.to_thread(self._swap, path, content, over)
        except (BaseError, OSError) as error:
            raise _unwritable(path, error) from error

    # In threads of ours: a program that ends while obstore's own still hand over a result can crash at its very end.

    def _get(self, path: str) -> bytes:
        return bytes(obstore.get(self._store, path).bytes())

    def _put(self, path: str, content: bytes, anew: bool) -> None:
        if self._folder is not None or anew:
            obstore.put(self._store, path, content, use_multipart=False)
            if self._folder is not None:
                _sync(self._folder / path)
            return
        try:
            put_new(self._store, path, content)
        except AlreadyExistsError as error:
            if self._get(path) != content:
                raise Failure(
                    f"{path} is in the ledger's store already, with another content: somebody else writes there, or "
                    "entries were replaced.",
                    "Verify what is there (interlock ledger verify URL) before anything is taken away.",
                ) from error

    def _swap(self, path: str, content: bytes, over: Version | None) -> Version | None:
        if self._folder is not None:
            self._put(path, content, True)
            return None
        try:
            if over is None:
                return put_new(self._store, path, content)
            return put_over(self._store, path, content, over)
        except (AlreadyExistsError, PreconditionError) as error:
            # A store that stored it, and whose answer was lost, has it in our place now.
            found, version = get_with_version(self._store, path)
            if found == content:
                return version
            raise Failure(
                f"Another sequencer has written {path} meanwhile.", "The one that is elected goes on from there."
            ) from error


def _unwritable(path: str, error: Exception) -> Failure:
    return Failure(
        f"{path} cannot be written to the ledger's store: {first_line(error)}.", "Make room, or mend the store."
    )


def _sync(path: Path) -> None:
    for name in (path, path.parent):
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
