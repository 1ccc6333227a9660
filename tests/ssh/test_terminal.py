"""A host's shell in the browser: the socket behind the page, as its own page uses it and as others would like to."""

import json
import re
import ssl
import time
from html import unescape
from typing import Protocol

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from interlock.identity.api_client import DpopAuth
from interlock.identity.keys import load_key
from tests.ssh.conftest import Hosts
from tests.support.stack import Member, Stack
from tests.support.websocket import Socket

_COOKIE = "__Host-interlock"
_MOST = 150_000


class Place(Protocol):
    """Where an Interlock runs."""

    @property
    def stack(self) -> Stack: ...


class Visit:
    """A browser's session of a person, opened with their login's own key."""

    def __init__(self, place: Place, member: Member) -> None:
        self.server = place.stack.server
        self.trust = ssl.create_default_context(cafile=str(member.home / "authority.pem"))
        token = str(json.loads((member.home / "login.json").read_text())["token"])
        auth = DpopAuth(load_key(member.home / "key.pem"), token)
        with self.http() as http:
            given = http.post(f"{self.server}/console/session", auth=auth).headers["set-cookie"]
        self.cookie = given.partition(";")[0]

    def http(self) -> httpx2.Client:
        return httpx2.Client(verify=self.trust, trust_env=False)

    def get(self, path: str) -> httpx2.Response:
        with self.http() as http:
            return http.get(self.server + path, headers={"cookie": self.cookie, "accept": "text/html"})

    def post(self, path: str) -> httpx2.Response:
        with self.http() as http:
            return http.post(self.server + path, headers=self.form_headers(), data={"f": ""})

    def form_headers(self) -> dict[str, str]:
        own = {"cookie": self.cookie, "origin": self.server, "sec-fetch-site": "same-origin"}
        return {**own, "x-form-token": self.token()}

    def token(self) -> str:
        found = re.search(r'name="token" content="([^"]+)"', self.get("/terminal").text)
        if found is None:
            raise AssertionError("the page carries no token")
        return unescape(found[1])

    def socket(self, name: str = "web", *, origin: str = "", cookie: str | None = None) -> Socket:
        headers = {"Cookie": self.cookie if cookie is None else cookie}
        where = f"{self.server.replace('https', 'wss')}/terminal/{name}/socket"
        return Socket(where, self.trust, origin=origin or self.server, headers=headers)


def _weight(visit: Visit, path: str) -> int:
    """Bytes of a page with everything that it loads, as they are sent."""
    shown = visit.post(path) if path.startswith("/recordings") else visit.get(path)
    assert shown.status_code == 200
    parts = sorted(set(re.findall(r'(?:src|href)="(/static/[^"]+)"', shown.text)))
    assert any("xterm.js" in part or "asciinema-player.js" in part for part in parts)
    with visit.http() as http:
        return len(shown.content) + sum(int(http.get(visit.server + one).headers["content-length"]) for one in parts)


def until_said(socket: Socket, words: str) -> str:
    said = ""
    while words not in said:
        more = socket.recv(timeout=20)
        said += more.decode(errors="replace") if isinstance(more, bytes) else more
    return said


def _only_live_of(hosts: Hosts, member: Member) -> str:
    """The gateway tells of what begins and what ends a moment later."""
    over = time.monotonic() + 30
    while len(live := [one["id"] for one in hosts.sessions(member) if not one["closed_at"]]) != 1:
        assert time.monotonic() < over, live
    return str(live[0])


def _until_over(socket: Socket) -> None:
    with pytest.raises(ConnectionClosed):
        until_said(socket, "what nobody says")


def test_a_shell_in_the_browser_is_decided_and_recorded_like_any_other(hosts: Hosts) -> None:
    visit = Visit(hosts, hosts.operator)
    assert 'href="/terminal/web"' in visit.get("/terminal").text
    assert 'data-socket="/terminal/web/socket"' in visit.get("/terminal/web").text
    with visit.socket() as socket:
        socket.send(json.dumps({"token": visit.token(), "columns": 91, "rows": 31}))
        socket.send(b"stty size; echo in-the-br''owser\r")
        said = until_said(socket, "in-the-browser")
        assert "31 91" in said
        session = _only_live_of(hosts, hosts.operator)
        socket.send(b"exit\r")
        _until_over(socket)
    while not next(one for one in hosts.sessions(hosts.operator) if one["id"] == session)["closed_at"]:
        time.sleep(0.2)
    answering = Visit(hosts, hosts.lead).post(f"/recordings/{session}/cast")
    assert (answering.status_code, "No grant lets you read" in answering.text) == (403, True), (
        "an administrator needs the role"
    )
    assert _weight(visit, f"/recordings/{session}") <= _MOST
    cast = visit.post(f"/recordings/{session}/cast")
    head, *events = [json.loads(line) for line in cast.text.splitlines()]
    assert head == {"version": 2, "width": 91, "height": 31}
    assert "in-the-browser" in "".join(text for _, code, text in events if code == "o")
    assert {code for _, code, _ in events} <= {"o", "r", "m"}


def test_a_window_that_is_dragged_and_a_long_paste(hosts: Hosts) -> None:
    visit = Visit(hosts, hosts.operator)
    with visit.socket() as socket:
        socket.send(json.dumps({"token": visit.token(), "columns": 91, "rows": 31}))
        for columns in range(20, 60):
            socket.send(json.dumps({"columns": columns, "rows": 24}))
        socket.send(json.dumps({"columns": -5, "rows": 10**9}))
        socket.send(b"stty size\r")
        until_said(socket, "500 2")
        socket.send(b"stty raw -echo; head -c 300000 | cksum; stty sane\r")
        time.sleep(0.5)
        for _ in range(300):
            socket.send(b"x" * 1000)
        assert "300000" in until_said(socket, " 300000")


def test_a_reader_is_told_why_there_is_no_shell(hosts: Hosts) -> None:
    visit = Visit(hosts, hosts.reader)
    with visit.socket() as socket:
        socket.send(json.dumps({"token": visit.token(), "columns": 80, "rows": 24}))
        assert "is not allowed" in until_said(socket, "is not allowed")


def test_a_socket_from_elsewhere_or_without_the_pages_token_is_refused(hosts: Hosts) -> None:
    visit = Visit(hosts, hosts.operator)
    for origin, cookie in (("https://evil.example", None), ("", ""), ("", f"{_COOKIE}=guessed")):
        with pytest.raises(InvalidStatus, match="403"), visit.socket(origin=origin, cookie=cookie):
            pass
    with visit.socket() as socket:
        socket.send(json.dumps({"token": "guessed", "columns": 80, "rows": 24}))
        assert "was not opened by a page of yours" in until_said(socket, "page of yours")
    with visit.socket("lead-only") as socket:
        socket.send(json.dumps({"token": visit.token(), "columns": 80, "rows": 24}))
        assert "There is no host named" in until_said(socket, "no host named")


def test_who_may_not_see_a_session_joins_none(hosts: Hosts) -> None:
    owner, other = Visit(hosts, hosts.operator), Visit(hosts, hosts.reader)
    with owner.socket() as socket:
        socket.send(json.dumps({"token": owner.token(), "columns": 80, "rows": 24}))
        socket.send(b"echo rea''dy\r")
        until_said(socket, "ready")
        session = _only_live_of(hosts, hosts.operator)
        assert other.post(f"/live/{session}/join").status_code == 404
        watcher = Visit(hosts, hosts.auditor)
        assert _weight(watcher, f"/live/{session}") <= _MOST
        assert _weight(owner, "/terminal/web") <= _MOST
        where, headers = f"{watcher.server}/live/{session}/join", watcher.form_headers()
        with watcher.http() as http, http.stream("POST", where, headers=headers, data={"f": ""}) as watched:
            assert "ready" in next(part for part in watched.iter_text() if "ready" in part)
            assert "somebody looks on" in until_said(socket, "somebody looks on")
