"""Object stores: the one place where a folder or a bucket is opened, and where a store is asked what it can do.

A place is a folder's path, ``file:///FOLDER``, or the URL of a bucket (``s3://``, ``gs://``, ``az://``), with a prefix
or without. Its credentials come from the environment, under the names that the clouds' own tools have
(``AWS_ACCESS_KEY_ID``, ``AZURE_STORAGE_ACCOUNT_KEY``, ``GOOGLE_APPLICATION_CREDENTIALS`` …), or from a file of such
lines.
"""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError
from obstore.store import LocalStore, ObjectStore, from_url

from interlock.errors import Failure

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_TIMEOUT = "20s"
_STRONGEST = "AWS_ENDPOINT_URL_S3"
_ENDPOINTS = {
    "s3": (_STRONGEST, "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""Of stores that are elsewhere than at Amazon's and Microsoft's own addresses."""
_NAMES = {
    "endpoint": {
        *("endpoint", "endpoint_url", "aws_endpoint", "aws_endpoint_url", "aws_endpoint_url_s3"),
        *("azure_endpoint", "azure_storage_endpoint"),
    },
    "region": {"region", "aws_region"},
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where objects are kept. ``endpoint`` is that of a store which is not at Amazon's or Microsoft's own address (for
    ``az://`` with the account in it where the store wants that); ``region`` is of S3; ``credentials`` names a file of
    ``NAME=VALUE`` lines, and is empty where the environment has them. No secret is in it."""

    where: str
    endpoint: str = ""
    region: str = ""
    credentials: str = ""

    @property
    def folder(self) -> Path | None:
        if "://" not in self.where:
            return Path(self.where)
        parts = urlsplit(self.where)
        return Path(unquote(parts.path)) if parts.scheme == "file" else None


@dataclass(frozen=True, slots=True)
class Version:
    """Which of the objects that were ever at a path this is; given back to replace that one and no other."""

    e_tag: str | None = None
    version: str | None = None


class NoConditionsError(Failure):
    """The store writes over an object that was to be new, or over another than the one to be replaced."""


def open_objects(place: Place, what: str, *, create: bool = False) -> ObjectStore:
    """``what`` is how sentences call it. Nobody is asked yet. Raises Failure."""
    try:
        folder = place.folder
        if folder is not None:
            return LocalStore(folder, mkdir=create)
        options = _read_credentials(place.credentials)
        scheme = urlsplit(place.where).scheme
        endpoint = ""
        if scheme in _ENDPOINTS:
            endpoint = place.endpoint or next(filter(None, map(os.environ.get, _ENDPOINTS[scheme])), "")
            if scheme == "s3":
                _refuse_other_endpoint(endpoint)
            for name, value in (("endpoint", endpoint), ("region", place.region if scheme == "s3" else "")):
                if value:
                    # what the configuration says goes before the file's, under whichever of its names
                    options = {key: kept for key, kept in options.items() if key not in _NAMES[name]} | {name: value}
        clear = _in_clear_text(endpoint or place.where, place.where)
        client: ClientConfig = {"timeout": _TIMEOUT, "connect_timeout": "5s", "allow_http": clear}
        # Which names there are depends on the URL, and those of another cloud are refused.
        return from_url(place.where, config=cast("S3Config", options), client_options=client, retry_config=_RETRIES)
    except (BaseError, ValueError, OSError, TypeError) as error:
        raise Failure(f"{what} {place.where} cannot be opened: {first_line(error)}.", "Mend its address.") from error


def _refuse_other_endpoint(endpoint: str) -> None:
    """Raises Failure where the environment would send us elsewhere: the library goes where this name says, whatever it
    is told besides, and panics where it says nothing."""
    said = os.environ.get(_STRONGEST)
    if said is not None and (not said or said.rstrip("/") != endpoint.rstrip("/")):
        raise Failure(
            f"{_STRONGEST} is in the environment and says {'another address' if said else 'no address'}.",
            f"Unset it: unset {_STRONGEST}",
        )


def _in_clear_text(address: str, where: str) -> bool:
    parts = urlsplit(address)
    if parts.scheme != "http":
        return False
    if parts.hostname not in _LOOPBACK:
        raise Failure(f"{where} would be read and written in clear text, at {address}.", "Write https://.")
    return True


def _read_credentials(path: str) -> dict[str, str]:
    if not path:
        return {}
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(
            f"The credentials of the object store, {path}, cannot be read.",
            "Give this account the right to read it, or mend objects.credentials in interlock.yaml.",
        ) from error
    pairs = [line.partition("=") for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not all(equals and name.strip() for name, equals, _ in pairs):
        raise Failure(f"{path} has a line that is not NAME=VALUE.", "Write lines such as AWS_ACCESS_KEY_ID=…")
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0].rstrip(".")[:300]


def put_new(store: ObjectStore, path: str, content: bytes) -> Version:
    """Make an object that is not there (``If-None-Match: *``). Raises AlreadyExistsError, and what obstore raises."""
    made = obstore.put(store, path, content, mode="create", use_multipart=False)
    return Version(made["e_tag"], made["version"])


def put_over(store: ObjectStore, path: str, content: bytes, over: Version) -> Version:
    """Replace this version of an object and no other (``If-Match``). Raises PreconditionError, as obstore does."""
    mode: obstore.UpdateVersion = {}
    if over.e_tag is not None:
        mode["e_tag"] = over.e_tag
    if over.version is not None:
        mode["version"] = over.version
    made = obstore.put(store, path, content, mode=mode, use_multipart=False)
    return Version(made["e_tag"], made["version"])


def get_with_version(store: ObjectStore, path: str) -> tuple[bytes, Version]:
    found = obstore.get(store, path)
    meta = found.meta
    return bytes(found.bytes()), Version(meta["e_tag"], meta["version"])


def check_conditions(store: ObjectStore, what: str) -> None:
    """Whether the store keeps two writers apart: it makes no object twice, and replaces none but the one that is named.

    Raises NoConditionsError where it does not, Failure where it does not answer. Blocks.
    """
    path = f"interlock-probe/{secrets.token_hex(16)}"
    try:
        first = put_new(store, path, b"1")
        with suppress(AlreadyExistsError):
            put_new(store, path, b"2")
            raise _no_conditions(what, "It writes over an object that was to be new (If-None-Match)")
        put_over(store, path, b"3", first)
        with suppress(PreconditionError):
            put_over(store, path, b"4", first)
            raise _no_conditions(what, "It replaces an object that is another by now (If-Match)")
    except (NotSupportedError, NotImplementedError) as error:
        raise _no_conditions(what, "It knows no conditions") from error
    except (BaseError, OSError) as error:
        raise Failure(
            f"{what} does not answer, or refuses: {first_line(error)}.",
            "Look whether it runs, whether the address, the bucket and the credentials are right, and whether they may "
            "read, write and delete there.",
        ) from error
    finally:
        with suppress(BaseError, OSError):
            obstore.delete(store, path)


def _no_conditions(what: str, how: str) -> NoConditionsError:
    return NoConditionsError(
        f"{what} cannot keep two writers apart. {how}, so the ledger could be forked.",
        "Keep it in a store that honours conditional writes (S3, GCS, Azure and MinIO do), or in a folder.",
    )


def told_of(place: Place) -> str:
    """Where its credentials come from, for a person who looks for what is missing. No value is shown."""
    if place.credentials:
        return f"from {place.credentials}"
    named = sorted(name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_")))
    return f"from the environment ({', '.join(named) or 'where none is set'})"
