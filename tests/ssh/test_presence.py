"""A role that asks for presence, with the real clients: each connection needs the person, and says what to type."""

import json
import re
import subprocess
from html import unescape

import httpx2
import pytest

from tests.ssh.conftest import Hosts
from tests.ssh.test_terminal import Visit, until_said
from tests.support.stack import INTERLOCK


def _connect(hosts: Hosts, *words: str, totp: bool) -> "subprocess.CompletedProcess[str]":
    code = {"INTERLOCK_TOTP": hosts.present.code()} if totp else {}
    return subprocess.run(
        [INTERLOCK, "connect", "web", *words],
        env=hosts.environment(hosts.present) | code,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_code_opens_one_connection_and_an_ordinary_client_is_told_what_to_type(hosts: Hosts) -> None:
    alone = _connect(hosts, "--", "echo in", totp=False)
    assert alone.returncode == 1
    assert "A one-time code is needed" in alone.stderr
    with_code = _connect(hosts, "--", "echo in", totp=True)
    assert (with_code.returncode, with_code.stdout) == (0, "in\n"), with_code.stderr
    # The files that ssh needs are there now, the certificate is good, and the login's presence is fresh.
    hosts.stack.run(hosts.present, "whoami")
    again = hosts.run(hosts.present, "ssh", "web", "echo in")
    assert again.returncode == 255
    assert "needs a proof that you are there, for this very connection" in again.stderr
    assert "Type: interlock connect web" in again.stderr


def test_several_connections_of_ordinary_clients_and_not_one_more(hosts: Hosts) -> None:
    first = _connect(hosts, "--connections", "3", "--", "echo 1", totp=True)
    assert first.stdout == "1\n", first.stderr
    # What is left of it needs no second code, in whichever client.
    assert _connect(hosts, "--", "echo 2", totp=False).stdout == "2\n"
    assert hosts.run(hosts.present, "ssh", "web", "echo 3").stdout == "3\n"
    assert "was used from 127.0.0.1" in hosts.run(hosts.present, "ssh", "web", "echo 4").stderr
    ledger = hosts.stack.ask(hosts.lead, "ledger", "search", "pass.used")
    used = [entry["event"] for entry in ledger if entry["event"].get("person") == hosts.present.name]
    lefts = [event["left"] for event in used]
    assert {2, 1, 0} <= set(lefts)
    opened = hosts.stack.ask(hosts.lead, "ledger", "search", "session.opened")
    named = {entry["event"].get("presence") for entry in opened}
    assert {event["presence"] for event in used} <= named


def test_a_printed_password_goes_with_its_proof(hosts: Hosts) -> None:
    refused = hosts.stack.run(hosts.present, "connect", "web", "--print", check=False)
    assert (refused.returncode, "A one-time code is needed" in refused.stderr) == (1, True)
    printed = hosts.stack.run(hosts.present, "connect", "web", "--print", "--json", totp=True)
    assert json.loads(printed.stdout)["password"]


def test_the_terminal_asks_on_its_page_and_opens_there(hosts: Hosts) -> None:
    if not (hosts.present.home / "ssh_config").exists():
        assert _connect(hosts, "--", "true", totp=True).returncode == 0
    visit = Visit(hosts, hosts.present)
    page = visit.get("/terminal/web").text
    assert "Prove that you are there" in page
    assert "data-socket" not in page
    with visit.socket() as socket:
        socket.send(json.dumps({"token": visit.token(), "columns": 80, "rows": 24}))
        assert "for this very connection" in until_said(socket, "connection")
    fields = {name: _field(page, name) for name in ("presence", "digest", "resource")}
    wrong = _post(visit, "/terminal/web", {**fields, "totp": "000000"})
    assert wrong.status_code == 403
    assert "The one-time code is wrong" in wrong.text
    opened = _post(visit, "/terminal/web", {**fields, "totp": hosts.present.code()})
    assert opened.status_code == 200
    assert f'data-presence="{fields["presence"]}"' in opened.text
    # Nobody else spends it: not the certificate of the very same login …
    assert "needs a proof" in hosts.run(hosts.present, "ssh", "web", "echo in").stderr
    with visit.socket() as socket:
        words = {"token": visit.token(), "presence": fields["presence"], "columns": 80, "rows": 24}
        socket.send(json.dumps(words))
        socket.send(b"echo in-the-br''owser\r")
        until_said(socket, "in-the-browser")
        socket.send(b"exit\r")
    # … and it opens no second terminal.
    with visit.socket() as socket:
        socket.send(json.dumps({**words, "token": visit.token()}))
        assert "for this very connection" in until_said(socket, "connection")


def test_the_page_of_a_connection_shows_it_and_takes_the_proof(hosts: Hosts) -> None:
    visit = Visit(hosts, hosts.present)
    page = visit.get("/terminal/web").text
    presence = _field(page, "presence")
    shown = visit.get(f"/passes/{presence}").text
    for words in ("web</strong> as present", "1 connection, within 1m", "127.0.0.1", "began this connection yourself"):
        assert words in shown, words
    assert Visit(hosts, hosts.lead).get(f"/passes/{presence}").status_code == 404
    fields = {"presence": presence, "digest": _field(page, "digest"), "totp": hosts.present.code()}
    done = _post(visit, f"/passes/{presence}", fields)
    assert done.status_code == 303
    assert "You proved to be there" in visit.get(f"/passes/{presence}").text


def _field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    if found is None:
        pytest.fail(f"the page has no field {name}")
    return unescape(found[1])


def _post(visit: Visit, path: str, fields: dict[str, str]) -> httpx2.Response:
    with visit.http() as http:
        headers = {**visit.form_headers(), "accept": "text/html"}
        return http.post(visit.server + path, headers=headers, data=fields)
