"""The API's client, for the command line and the gateways: it holds a key and proves it with every call.

TLS trusts the pinned authority and nothing else. Answers that are errors come out as the Refusal, NotFound or Failure
that the server raised.
"""

import hmac
import json
import re
import ssl
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from interlock.errors import Failure, InterlockError, Misuse, NotFound, Refusal
from interlock.identity.authority import fingerprint_of
from interlock.identity.dpop import ProofMaker
from interlock.identity.keys import PrivateKey
from interlock.ports.clock import Clock, SystemClock

KEPT_S = 5.0
"""How long a connection that rests is used again. Servers keep it longer (``web/first_words.py``)."""
_TIMEOUT = httpx2.Timeout(20, connect=5)
_LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEPT_S)
_UNREACHABLE = "Check the address, and that `interlock up` is running there."


class DpopAuth(httpx2.Auth):
    """Adds token and proof to a call, and makes it once more when the server asks for its nonce (RFC 9449 section 8).

    ``token`` may be None, and may be replaced at any time.
    """

    def __init__(self, key: PrivateKey, token: str | None = None, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._proofs = ProofMaker(key)
        self.jkt = self._proofs.jkt
        self.token = token
        self._nonce: str | None = None

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        response = yield self._prove(request)
        self._learn(response)
        if response.status_code in (400, 401) and "use_dpop_nonce" in response.headers.get("www-authenticate", ""):
            response = yield self._prove(request)
            self._learn(response)

    def _prove(self, request: httpx2.Request) -> httpx2.Request:
        if self.token is not None:
            request.headers["Authorization"] = f"DPoP {self.token}"
        request.headers["DPoP"] = self._proofs.make(
            method=request.method,
            url=str(request.url),
            at=self._clock.now(),
            token=self.token,
            nonce=self._nonce,
        )
        return request

    def _learn(self, response: httpx2.Response) -> None:
        self._nonce = response.headers.get("dpop-nonce", self._nonce)


class ApiClient:
    """Calls of the API, one after the other. Close it when done, or use it in a ``with``."""

    def __init__(
        self, server: str, *, key: PrivateKey, authority: str, token: str | None = None, clock: Clock | None = None
    ) -> None:
        """``server`` such as ``https://127.0.0.1:8443``; ``authority`` the pinned authority's certificate (PEM)."""
        self.server = server_address(server)
        self.auth = DpopAuth(key, token, clock)
        self._http = httpx2.Client(
            base_url=self.server,
            auth=self.auth,
            verify=_trust(authority),
            timeout=_TIMEOUT,
            limits=_LIMITS,
            trust_env=False,
        )

    def __enter__(self) -> "ApiClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, *, timeout_s: float | None = None, **query: str | Sequence[str]) -> Any:
        """The answer's JSON. ``timeout_s`` for calls that wait on purpose. Raises Refusal, NotFound or Failure.

        What is asked stands in ``query``, never in ``path``: Misuse, because it would be lost on the way.
        """
        _refuse_query(path)
        with _as_failures(self.server):
            return _read(self._http.get(path, params=query, timeout=_timeout(timeout_s)))

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float | None = None) -> Any:
        """``timeout_s`` for calls that take long, such as those that prove."""
        with _as_failures(self.server):
            return _read(self._http.post(path, json=dict(body or {}), timeout=_timeout(timeout_s)))

    def post_form(self, path: str, form: Mapping[str, str]) -> Any:
        """A call of the authorization server. A Refusal's code is RFC 6749's."""
        with _as_failures(self.server):
            return _read(self._http.post(path, data=dict(form)))

    def stream(self, path: str) -> Iterator[Mapping[str, Any]]:
        """The objects of an NDJSON answer, as they come, until its end."""
        with (
            _as_failures(self.server),
            self._http.stream("GET", path, timeout=httpx2.Timeout(None, connect=5)) as response,
        ):
            if response.is_error:
                response.read()
                raise _error(response)
            for line in response.iter_lines():
                if line:
                    yield _json_object(line)


def _refuse_query(path: str) -> None:
    if "?" in path:
        raise Misuse(f"the query of {path} belongs into the arguments")


class AsyncApiClient:
    """The same for asyncio. ``auth.token`` may be replaced while calls are under way."""

    def __init__(
        self, server: str, *, key: PrivateKey, authority: str, token: str | None = None, clock: Clock | None = None
    ) -> None:
        self.server = server_address(server)
        self.auth = DpopAuth(key, token, clock)
        self._context = _trust(authority)
        self._http = httpx2.AsyncClient(
            base_url=self.server,
            auth=self.auth,
            verify=self._context,
            timeout=_TIMEOUT,
            limits=_LIMITS,
            trust_env=False,
        )

    def trust_also(self, authority: str) -> None:
        """Trust these authorities (PEM) too, from the next connection on. Raises Failure."""
        try:
            self._context.load_verify_locations(cadata=authority)
        except (ssl.SSLError, ValueError) as error:
            raise Failure("The authority's file holds no certificate.", "Restore it from your backup.") from error

    async def __aenter__(self) -> "AsyncApiClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, *, timeout_s: float | None = None, **query: str | Sequence[str]) -> Any:
        _refuse_query(path)
        with _as_failures(self.server):
            return _read(await self._http.get(path, params=query, timeout=_timeout(timeout_s)))

    async def post(self, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float | None = None) -> Any:
        with _as_failures(self.server):
            return _read(await self._http.post(path, json=dict(body or {}), timeout=_timeout(timeout_s)))

    @asynccontextmanager
    async def streaming(self, path: str, **query: str) -> AsyncIterator[AsyncIterator[Mapping[str, Any]]]:
        """The objects of an NDJSON answer, as they come. Leaving the block closes the connection."""
        _refuse_query(path)
        with _as_failures(self.server):
            timeout = httpx2.Timeout(None, connect=5)
            async with self._http.stream("GET", path, params=query, timeout=timeout) as response:
                if response.is_error:
                    await response.aread()
                    raise _error(response)
                yield _objects(response)


async def _objects(response: httpx2.Response) -> AsyncIterator[Mapping[str, Any]]:
    async for line in response.aiter_lines():
        if line:
            yield _json_object(line)


def fetch_authority(server: str, fingerprint: str | None) -> str:
    """The authority's certificate (PEM), at first contact: nothing is trusted yet, so ``fingerprint`` decides.

    ``fingerprint`` is the part behind the dot of an enrolment code. None takes what the server shows, which is only
    right when somebody compares the fingerprint by eye. Raises Failure, or Refusal (``wrong-authority``).
    """
    address = server_address(server)
    with _as_failures(address), httpx2.Client(verify=_unverified(), timeout=_TIMEOUT, trust_env=False) as http:
        response = http.get(f"{address}/v1/authority")
    if response.is_error:
        raise _error(response)
    try:
        certificate = x509.load_pem_x509_certificate(response.content)
    except ValueError as error:
        raise Failure(f"{address} does not answer like Interlock.", _UNREACHABLE) from error
    found = fingerprint_of(certificate)
    if fingerprint is not None and not hmac.compare_digest(found.encode(), fingerprint.strip().lower().encode()):
        raise Refusal(
            "wrong-authority",
            f"{address} is not the server that made this code: its authority is {found}.",
            "Check the address. If it is right, somebody stands in between: tell the operator.",
        )
    return certificate.public_bytes(Encoding.PEM).decode()


def authority_digest(pem: str) -> str:
    """The fingerprint of an authority that is pinned already, to be shown to a person."""
    return fingerprint_of(x509.load_pem_x509_certificate(pem.encode()))


def server_address(text: str) -> str:
    """``https://host:port`` from what a person typed. Raises Refusal."""
    try:
        url = httpx2.URL(text if "://" in text else f"https://{text}")
    except (httpx2.InvalidURL, ValueError):
        url = httpx2.URL("")
    if url.scheme != "https" or not url.host or url.path not in ("", "/") or url.userinfo:
        raise Refusal("bad-server", f"{text!r} is no server address.", "Write it as https://HOST:PORT.")
    return str(url).rstrip("/")


def _trust(authority: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=authority)
    except (ssl.SSLError, ValueError) as error:
        raise Failure("The pinned authority is not a certificate.", "Sign in again: `interlock login`.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _unverified() -> ssl.SSLContext:
    # Only to fetch a public certificate, which is believed for its fingerprint and not for where it came from.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _timeout(seconds: float | None) -> httpx2.Timeout:
    return _TIMEOUT if seconds is None else httpx2.Timeout(seconds, connect=5)


@contextmanager
def _as_failures(server: str) -> Iterator[None]:
    try:
        yield
    except httpx2.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise Failure(
                f"{server} does not prove to be the server that is pinned here.",
                "Check the address. If the server was set up anew, enrol again with a fresh code.",
            ) from error
        why = re.sub(r"^\[Errno -?\d+\] ", "", str(error)).rstrip(".")
        raise Failure(f"{server} cannot be reached: {why or 'nobody answers'}.", _UNREACHABLE) from error
    except httpx2.TimeoutException as error:
        raise Failure(f"{server} did not answer in time.", _UNREACHABLE) from error
    except httpx2.HTTPError as error:
        remedy = "Try again. If it stays so, check that this is the address of Interlock's console."
        raise Failure(f"The connection to {server} broke.", remedy) from error


def _read(response: httpx2.Response) -> Any:
    if response.is_error:
        raise _error(response)
    if response.status_code == 204 or not response.content:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise Failure("The server's answer is not JSON.", _UNREACHABLE) from error


def _error(response: httpx2.Response) -> InterlockError:
    try:
        said = response.json()["error"]
        if isinstance(said, str):
            return Refusal(said, str(response.json().get("error_description") or f"The server said {said}."))
        code, sentence, remedy = str(said["code"]), str(said["sentence"]), str(said.get("remedy") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return Failure(f"The server answered {response.status_code} and did not say why.", _UNREACHABLE)
    if response.status_code == 404:
        return NotFound(sentence, remedy)
    if response.status_code >= 500:
        return Failure(sentence, remedy)
    return Refusal(code, sentence, remedy)


def _json_object(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise Failure("The server's stream broke in the middle of a message.", "Try again.") from error
    if not isinstance(found, dict):
        raise Failure("The server's stream holds something else than objects.", "Try again.")
    return found
