"""A browser without a browser: the cookie, the forms and their tokens, and whatever else an attacker likes to send."""

import re
from dataclasses import dataclass
from html import unescape
from typing import Protocol

import httpx2

from interlock.identity.keys import new_key
from tests.web.house import House, trust

COOKIE = "__Host-interlock"


class Served(Protocol):
    """What a console is served from."""

    @property
    def house(self) -> House: ...


@dataclass
class Client:
    """``cookie`` is the session's number, empty when there is none."""

    premises: Served
    http: httpx2.AsyncClient
    cookie: str = ""
    attributes: str = ""

    @property
    def origin(self) -> str:
        return self.premises.house.server

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self._send("GET", path, headers)

    async def post(self, path: str, form: dict[str, str], **headers: str) -> httpx2.Response:
        """As a page of ours sends it; ``headers`` with underscores for dashes, an empty one is left out."""
        own = {"origin": self.origin, "sec_fetch_site": "same-origin", **headers}
        return await self._send("POST", path, own, form)

    async def token(self, path: str = "/you") -> str:
        found = re.search(r'name="token" content="([^"]+)"', (await self.get(path)).text)
        if found is None:
            raise AssertionError("the page carries no token")
        return unescape(found[1])

    def take_cookie(self, answer: httpx2.Response) -> None:
        """As a browser does, when the session got a new number."""
        given = re.match(rf"{COOKIE}=([^;]+); ", answer.headers.get("set-cookie", ""))
        if given is not None:
            self.cookie = given[1]

    async def _send(
        self, method: str, path: str, headers: dict[str, str], form: dict[str, str] | None = None
    ) -> httpx2.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items() if value}
        sent.setdefault("accept", "text/html")
        if self.cookie:
            sent.setdefault("cookie", f"{COOKIE}={self.cookie}")
        self.http.cookies.clear()
        return await self.http.request(method, self.origin + path, headers=sent, data=form, follow_redirects=False)


def http_of(premises: Served) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(verify=trust(premises.house.authority), trust_env=False)


async def enter(premises: Served, http: httpx2.AsyncClient, person: str, *, planted: str = "") -> Client:
    """Signed in with a key of its own; ``planted`` is the number that the browser had before."""
    client = await premises.house.signed_in(person, key=new_key(), present=True)
    headers = {"cookie": f"{COOKIE}={planted}"} if planted else {}
    # another person's browser is another browser
    http.cookies.clear()
    answer = await http.post(f"{premises.house.server}/console/session", auth=client.auth, headers=headers)
    given = re.match(rf"{COOKIE}=([^;]+); (.*)", answer.headers["set-cookie"])
    if given is None:
        raise AssertionError(answer.headers["set-cookie"])
    http.cookies.clear()
    return Client(premises, http, given[1], given[2])
