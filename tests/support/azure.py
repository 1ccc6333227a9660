"""Azurite, Microsoft's own emulator of Azure's blob store, for as long as a block runs, behind a valve.

From npm, as the other peers are. The account is one of ours, and what it has is in its memory.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import httpx2

from tests.support.objects import Shelf, Valve, running_server, valve_to
from tests.support.peers import FOLDER, install

ACCOUNT, CONTAINER = "interlock", "ledger-box"
KEY = base64.b64encode(b"not-a-secret-4711-of-an-account").decode()
_VERSION = "2021-12-02"


def shared_access(permissions: str = "rwdlac", *, lasts: timedelta = timedelta(hours=1)) -> str:
    """A signature for the whole account, as Azure's "Create an account SAS" has it from 2020-12-06 on."""
    expires = (datetime.now(UTC) + lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
    signed = "\n".join([ACCOUNT, permissions, "b", "sco", "", expires, "", "https,http", _VERSION, "", ""])
    mark = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    said = {"sv": _VERSION, "ss": "b", "srt": "sco", "sp": permissions, "se": expires, "spr": "https,http"}
    return urlencode(said | {"sig": base64.b64encode(mark).decode()})


def endpoint_of(valve: Valve) -> str:
    return f"{valve.address}/{ACCOUNT}"


@contextmanager
def running_azurite() -> Iterator[Valve]:
    """With a container."""
    install()
    program = str(FOLDER / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js")
    words = ["node", program, "--inMemoryPersistence", "--disableTelemetry", "--silent"]
    listening = ["--blobHost", "127.0.0.1", "--blobPort", "{port}"]
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}
    with running_server([*words, *listening], environment) as port:
        made = f"http://127.0.0.1:{port}/{ACCOUNT}/{CONTAINER}?restype=container&{shared_access()}"
        httpx2.put(made, trust_env=False).raise_for_status()
        with valve_to(port) as valve:
            yield valve


@contextmanager
def azure_shelf() -> Iterator[Shelf]:
    """Who writes has the account's key, who reads a signature that lets nobody do more than that."""
    with running_azurite() as valve:
        endpoint = endpoint_of(valve)
        account = {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT}
        reader = {**account, "AZURE_STORAGE_SAS_TOKEN": shared_access("rl"), "AZURE_STORAGE_ENDPOINT": endpoint}
        yield Shelf(f"az://{CONTAINER}", valve, endpoint, {**account, "AZURE_STORAGE_ACCOUNT_KEY": KEY}, reader, KEY)
