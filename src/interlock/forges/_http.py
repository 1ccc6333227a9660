"""What the forges share: calls of their APIs, and the checks of their messages."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2

from interlock.errors import Failure, Refusal
from interlock.ports.forge import StatusCheck

_WAIT_S = 10.0
_MOST_PAGES = 30
PAGE = 100
_HEX = re.compile("[0-9a-f]{64}")


class ForgeApi:
    """Calls of one forge's API. No redirect is followed: it could take the token elsewhere."""

    def __init__(self, name: str, url: str, headers: Mapping[str, str]) -> None:
        self._name = name
        self._url = url
        self._client = httpx2.AsyncClient(
            headers=dict(headers), timeout=_WAIT_S, trust_env=False, follow_redirects=False
        )

    async def get(self, path: str, **query: str) -> Any:
        return await self._call("GET", f"{self._url}{path}", params=query)

    async def pages(self, path: str, *, inside: str = "", **query: str) -> list[Any]:
        """All items of a list that comes in pages. ``inside`` names the list where it is part of an object."""
        found: list[Any] = []
        for page in range(1, _MOST_PAGES + 1):
            sizes = {"per_page": str(PAGE), "limit": str(PAGE), "page": str(page)}
            said = await self.get(path, **query, **sizes)
            items = said.get(inside) if inside and isinstance(said, dict) else said
            if not isinstance(items, list):
                raise Failure(f"{self._name} answered something else than a list at {path}.", "Try again.")
            found += items
            if len(items) < PAGE:
                return found
        raise Failure(f"{self._name} has more at {path} than is looked at.", "Make it fewer.")

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self._call("POST", path if path.startswith("http") else f"{self._url}{path}", json=dict(body))

    async def close(self) -> None:
        await self._client.aclose()

    def is_ours(self, url: str) -> bool:
        """Whether an address that a message names is this forge's: our token goes nowhere else."""
        mine, other = urlsplit(self._url), urlsplit(url)
        return (mine.scheme, mine.netloc) == (other.scheme, other.netloc)

    async def _call(self, method: str, url: str, **rest: Any) -> Any:
        try:
            answer = await self._client.request(method, url, **rest)
        except (httpx2.HTTPError, OSError) as error:
            raise Failure(f"The forge {self._name} cannot be asked: {error}.", "Try again when it answers.") from error
        if not answer.is_success:
            raise Failure(
                f"The forge {self._name} answered {answer.status_code} to {method} {urlsplit(url).path}.",
                f"Check its token and what it may do, under forges.{self._name} in interlock.yaml.",
            )
        if not answer.content:
            return {}
        try:
            return answer.json()
        except ValueError as error:
            raise Failure(f"The forge {self._name} answered something else than JSON.", "Try again.") from error


class NoStatusChecks:
    """For forges that ask for no status of a change from outside."""

    async def status_checks(self, project: str, number: str) -> Sequence[StatusCheck]:
        return ()

    async def answer_check(self, project: str, check: StatusCheck, *, allowed: bool) -> None:
        raise Failure("This forge asks for no status of a change.", "")


def check_hmac(secret: str, body: bytes, given: str) -> None:
    """``given`` is the hex of HMAC-SHA-256 over the body. Raises Refusal."""
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(made.encode(), given.encode("utf-8", "surrogateescape")):
        raise not_signed()


def check_signed(given: str) -> None:
    """Whether ``given`` can be the hex of an HMAC-SHA-256, before the body is read. Raises Refusal."""
    if not _HEX.fullmatch(given):
        raise not_signed()


def not_signed() -> Refusal:
    return Refusal(
        "bad-signature", "This message is not signed with the webhook's secret.", "Give both sides the same secret."
    )


def read_body(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a message. Raises Refusal."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise unreadable("it is not JSON") from error
    if not isinstance(found, dict):
        raise unreadable("it is no object")
    return found


def unreadable(why: str) -> Refusal:
    return Refusal("bad-message", f"This message cannot be read: {why}.", "Send it as the forge does, as JSON.")


def moment(text: object) -> datetime:
    """A time as forges write it. Raises Refusal."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise unreadable("it has a time that is none") from error
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def latest_words(items: Sequence[tuple[str, datetime, Any]]) -> list[Any]:
    """The last item of each account, by (login, time, item); letter case means nothing in a login."""
    last: dict[str, tuple[datetime, Any]] = {}
    for login, at, item in items:
        key = login.casefold()
        if key not in last or last[key][0] <= at:
            last[key] = (at, item)
    return [item for _, item in last.values()]
