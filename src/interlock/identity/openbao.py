"""OpenBao's transit engine: it signs checkpoints and wraps the keys of recordings; its keys never leave it.

Its API: ``POST /v1/MOUNT/sign/NAME``, ``encrypt/NAME``, ``decrypt/NAME``, ``keys/NAME/rotate``, ``keys/NAME/config``
and ``GET keys/NAME`` (OpenBao's documentation of the transit secrets engine). The token is fetched for each call, so
that a fresh one takes effect at once.
"""

import base64
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from interlock.errors import Failure
from interlock.ports.master_key import MasterKey, Wrapped

_TIMEOUT_S = 5.0
_CIPHERTEXT = re.compile(r"vault:v([0-9]+):[A-Za-z0-9+/=]+", re.ASCII)
_SIGNATURE = re.compile(r"vault:v([0-9]+):([A-Za-z0-9+/=]+)", re.ASCII)


class Transit:
    """One transit engine. ``fetch_token`` gives the token; ``ca`` names a file with its certificate's authorities."""

    def __init__(self, address: str, fetch_token: Callable[[], Awaitable[str]], *, mount: str, ca: str = "") -> None:
        self.address = address.rstrip("/")
        self._mount = mount
        self._token = fetch_token
        try:
            verify = ssl.create_default_context(cafile=ca) if ca else True
        except (OSError, ssl.SSLError) as error:
            raise Failure(f"The authorities of OpenBao in {ca} cannot be read: {error}.", "Mend openbao.ca.") from error
        self._http = httpx2.AsyncClient(verify=verify, trust_env=False, follow_redirects=False, timeout=_TIMEOUT_S)

    async def close(self) -> None:
        await self._http.aclose()

    async def read_key(self, name: str) -> Mapping[str, Any]:
        """What the engine says of a key. Raises Failure."""
        return await self._call("GET", f"keys/{name}", None)

    async def sign(self, name: str, message: bytes, version: int) -> bytes:
        """The Ed25519 signature by this version of the key and no other. Raises Failure."""
        said = await self._call("POST", f"sign/{name}", {"input": _b64(message), "key_version": version})
        found = _SIGNATURE.fullmatch(str(said.get("signature")))
        if found is None or int(found[1]) != version:
            raise self._odd(f"sign/{name}")
        return base64.b64decode(found[2])

    async def encrypt(self, name: str, content: bytes, context: bytes) -> str:
        body = {"plaintext": _b64(content), "associated_data": _b64(context)}
        said = str((await self._call("POST", f"encrypt/{name}", body)).get("ciphertext"))
        if _CIPHERTEXT.fullmatch(said) is None:
            raise self._odd(f"encrypt/{name}")
        return said

    async def decrypt(self, name: str, ciphertext: str, context: bytes) -> bytes:
        body = {"ciphertext": ciphertext, "associated_data": _b64(context)}
        said = await self._call("POST", f"decrypt/{name}", body)
        try:
            return base64.b64decode(str(said["plaintext"]), validate=True)
        except (KeyError, ValueError) as error:
            raise self._odd(f"decrypt/{name}") from error

    async def rotate(self, name: str) -> None:
        await self._call("POST", f"keys/{name}/rotate", {})

    async def forbid_before(self, name: str, version: int) -> None:
        """No version before this one decrypts any more."""
        await self._call("POST", f"keys/{name}/config", {"min_decryption_version": version})

    async def forbid_signing_before(self, name: str, version: int) -> None:
        """No version before this one signs any more; what it signed verifies as before."""
        await self._call("POST", f"keys/{name}/config", {"min_encryption_version": version})

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        token = await self._token()
        try:
            response = await self._http.request(
                method, f"{self.address}/v1/{self._mount}/{path}", json=body, headers={"X-Vault-Token": token}
            )
            said = response.json() if response.content else {}
        except (httpx2.HTTPError, OSError, ValueError) as error:
            raise Failure(
                f"OpenBao at {self.address} cannot be reached: {type(error).__name__}.",
                "Look whether it runs and is unsealed.",
            ) from error
        if response.status_code >= 300 or not isinstance(said, dict):
            errors = said.get("errors") if isinstance(said, dict) else None
            why = "; ".join(map(str, errors)) if errors else f"status {response.status_code}"
            raise Failure(
                f"OpenBao at {self.address} refuses {self._mount}/{path}: {why[:200]}.",
                "Look at its seal, the key's name, and what the policy of the token allows.",
            )
        found = said.get("data")
        return found if isinstance(found, dict) else {}

    def _odd(self, path: str) -> Failure:
        return Failure(f"OpenBao at {self.address} answers {self._mount}/{path} with something else.", "Mend openbao.")


class TransitMasterKey:
    """A key of a transit engine (AES-256-GCM) wraps those of recordings. Implements
    :class:`interlock.ports.master_key.MasterKey`. What ``before`` wrapped still opens with it, until a rotation."""

    def __init__(self, transit: Transit, name: str, before: MasterKey) -> None:
        self._transit = transit
        self._name = name
        self._before = before

    async def wrap(self, key: bytes, context: str) -> Wrapped:
        text = await self._transit.encrypt(self._name, key, context.encode())
        return Wrapped(text, self._version(int(text.split(":")[1].removeprefix("v"))))

    async def unwrap(self, wrapped: Wrapped, context: str) -> bytes:
        if _CIPHERTEXT.fullmatch(wrapped.text) is None:
            return await self._before.unwrap(wrapped, context)
        return await self._transit.decrypt(self._name, wrapped.text, context.encode())

    async def current(self) -> str:
        return self._version(await self._latest())

    async def rotated(self) -> str | None:
        latest = await self._latest()
        return self._version(latest) if latest > 1 else None

    async def rotate(self) -> str:
        await self._transit.rotate(self._name)
        return await self.current()

    async def forget(self, keep: frozenset[str]) -> None:
        # The last but one may still be at work in a control plane that wraps at this moment.
        latest = await self._latest()
        oldest = next((one for one in range(1, latest) if self._version(one) in keep), latest - 1)
        if oldest > 1:
            await self._transit.forbid_before(self._name, oldest)

    async def _latest(self) -> int:
        latest = (await self._transit.read_key(self._name)).get("latest_version")
        if not isinstance(latest, int):
            raise Failure(f"OpenBao does not say which version of {self._name} is the latest.", "Look at the key.")
        return latest

    def _version(self, number: int) -> str:
        return f"openbao {self._name} {number}"


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The public halves of an Ed25519 key (32 bytes), by its versions in their order; those before ``least`` may not
    sign any more."""

    public: Mapping[int, bytes]
    least: int = 0


async def read_signing_keys(transit: Transit, name: str) -> SigningKeys:
    """The key that signs checkpoints. Raises Failure."""
    found = await transit.read_key(name)
    try:
        public = {
            int(version): base64.b64decode(str(said["public_key"]), validate=True)
            for version, said in found["keys"].items()
        }
        least = int(found.get("min_encryption_version") or 0)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _no_signing_key(name) from error
    if found.get("type") != "ed25519" or not public or any(len(raw) != 32 for raw in public.values()):
        raise _no_signing_key(name)
    return SigningKeys(dict(sorted(public.items())), least)


def _no_signing_key(name: str) -> Failure:
    return Failure(
        f"The key {name} in OpenBao cannot sign checkpoints: it is no Ed25519 key.",
        f"Make one: bao write transit/keys/{name} type=ed25519",
    )


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
