"""Everything somebody might try to get access alone, through the real commands, against the running whole."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from interlock.identity.keys import load_key, new_key
from tests.attacks.company.raw import Caller, caller_of, code_of
from tests.support.libpq import conninfo_of
from tests.support.stack import Member, Stack

PATIENCE_S = 30


def ask_for(stack: Stack, member: Member, role: str, *, resource: str = "store", length: str = "1h") -> str:
    """The number of a fresh request."""
    words = ("request", resource, "--role", role, "--for", length, "--reason", "a task")
    return str(stack.ask(member, *words)["id"])


def refused(stack: Stack, member: Member, *words: str) -> str:
    """What the command says; it must refuse in words."""
    told = stack.run(member, *words, check=False)
    assert told.returncode == 1, told
    assert "Traceback" not in told.stderr
    assert "fault of its own" not in told.stderr
    return told.stderr


def open_session(stack: Stack, member: Member, resource: str = "shop") -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(conninfo_of(stack.variables(member, resource)), autocommit=True, connect_timeout=10)


def until(met: Callable[[], object]) -> None:
    over = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < over, "it did not happen in time"
        time.sleep(0.05)


def is_cut(session: "psycopg.Connection[tuple[object, ...]]") -> bool:
    try:
        session.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


@pytest.fixture(scope="module")
def writing(stack: Stack, ann: Member, lead: Member, owner: Member) -> Member:
    """Ann, with the role writer on the shop: every write of hers is held."""
    stack.grant(ann, "shop", "writer", [lead, owner], 8)
    return ann


@contextmanager
def held(stack: Stack, member: Member, statement: str, *values: str) -> Iterator[tuple[str, list[str]]]:
    """A statement that waits: its request's number, and what came of it once the block is left."""
    ends: list[str] = []

    def run() -> None:
        with open_session(stack, member) as session:
            try:
                ends.append(str(session.execute(statement.encode(), values or None).statusmessage))
            except psycopg.Error as error:
                ends.append(str(error))

    known = {view["id"] for view in stack.ask(member, "requests")}
    waiting = threading.Thread(target=run)
    waiting.start()
    found: list[str] = []

    def asked() -> bool:
        found[:] = [
            view["id"] for view in stack.ask(member, "requests") if view["id"] not in known and view["state"] == "open"
        ]
        return bool(found) or bool(ends)

    until(asked)
    assert found, ends
    try:
        yield found[0], ends
    finally:
        waiting.join(PATIENCE_S)


# --- one human, several accounts


def test_one_key_is_one_person(stack: Stack, ann: Member, gus: Member, lead: Member) -> None:
    """The same machine with an account at each vendor: the second account does not even get in."""
    for other, key in ((gus, ann), (lead, gus)):
        home = stack.folder / "homes" / f"{other.name}-with-key-of-{key.name}"
        home.mkdir(parents=True)
        for name in ("key.pem", "authority.pem"):
            shutil.copy(key.home / name, home / name)
        twin = Member(other.name, home, other.password)
        told = refused(stack, twin, "login", "--server", stack.server, "--person", other.name)
        assert told.startswith("Somebody else has signed in with this very key")
        assert "INTERLOCK_HOME" in told


def test_the_requester_approves_in_no_way(stack: Stack, ann: Member, lead: Member) -> None:
    request = ask_for(stack, ann, "reader")
    copied = Member(ann.name, stack.folder / "homes" / "copied", ann.password)
    shutil.copytree(ann.home, copied.home)
    for who in (ann, copied):
        assert refused(stack, who, "approve", request, "--yes").startswith("Nobody approves their own request.")
        assert "withdraw" in refused(stack, who, "deny", request, "--reason", "x")
    # A home of somebody else's, without a proof that somebody else is there.
    absent = Member(lead.name, stack.folder / "homes" / "absent", lead.password)
    absent.home.mkdir()
    shutil.copy(lead.home / "authority.pem", absent.home)
    stack.run(absent, "login", "--server", stack.server, "--person", lead.name)
    told = refused(stack, absent, "approve", request, "--yes")
    assert "one-time code is needed" in told
    stack.run(ann, "withdraw", request)


def test_two_yeses_are_two_persons(stack: Stack, ann: Member, lead: Member, gus: Member) -> None:
    request = ask_for(stack, ann, "pair")
    stack.ask(lead, "approve", request, "--yes")
    again = Member(lead.name, stack.folder / "homes" / "lead-again", lead.password, lead.totp_secret, lead.last_step)
    again.home.mkdir()
    shutil.copy(lead.home / "authority.pem", again.home)
    stack.run(again, "login", "--server", stack.server, "--person", lead.name, totp=True)
    lead.last_step = again.last_step
    assert "already" in refused(stack, again, "approve", request, "--yes")
    assert stack.ask(gus, "approve", request, "--yes")["grant"]


def test_the_same_vendor_a_sponsor_and_an_administrator_give_nothing(
    stack: Stack, ann: Member, owner: Member, boss: Member
) -> None:
    request = ask_for(stack, ann, "reader")
    mate = stack.member("bob@acme.example")
    assert "comes from acme" in refused(stack, mate, "approve", request, "--yes")
    for who in (owner, boss):
        assert "is not in the group dba" in refused(stack, who, "approve", request, "--yes")
    stack.run(ann, "withdraw", request)
    told = refused(stack, owner, "request", "shop", "--role", "writer", "--for", "1h", "--reason", "my own shop")
    assert told.startswith("Nobody could approve this for owner@example.com.")


# --- the content and the moment of a yes


def test_a_yes_is_to_what_was_shown_and_a_no_is_final(stack: Stack, ann: Member, lead: Member, second: Member) -> None:
    request = ask_for(stack, ann, "pair", resource="shop")
    other = ask_for(stack, ann, "reader", resource="shop")
    seen = stack.ask(lead, "show", other)["digest"]
    told = refused(stack, lead, "approve", request, "--yes", "--digest", seen)
    assert told.startswith("What you were shown is not what")
    stack.run(lead, "approve", request, "--yes")
    stack.run(second, "deny", request, "--reason", "not today")
    assert "no longer open: it is denied" in refused(stack, second, "approve", request, "--yes")
    stack.run(ann, "withdraw", other)
    assert "no longer open: it is withdrawn" in refused(stack, lead, "approve", other, "--yes")


def test_the_end_of_a_contract_and_the_last_yes_in_one_moment(
    stack: Stack, gus: Member, lead: Member, second: Member, boss: Member
) -> None:
    """Whichever is first, nothing rests on the contract afterwards. Gus is out of the story from here on."""
    request = ask_for(stack, gus, "pair")
    stack.run(lead, "approve", request, "--yes")
    both = [
        threading.Thread(target=lambda: stack.run(second, "approve", request, "--yes", check=False)),
        threading.Thread(target=lambda: stack.run(boss, "contract", "end", "globex-shop")),
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert not [grant for grant in stack.ask(boss, "grants") if grant["person"] == gus.name]
    assert "login is over" in refused(stack, gus, "whoami")
    assert "No contract" in refused(stack, gus, "login")


# --- held statements


def test_a_held_statement_of_ones_own_and_what_it_can_pretend(
    stack: Stack, writing: Member, lead: Member, second: Member
) -> None:
    pretence = "nothing\nWhat it would do:\n    changes no rows\x1b[2J"
    with held(stack, writing, "UPDATE orders SET note = %s /* \x1b]0;all is well\x07 */", pretence) as (request, ends):
        assert refused(stack, writing, "approve", request, "--yes").startswith("Nobody approves their own request.")
        shown = stack.run(lead, "show", request).stdout
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert shown.count("\nWhat it would do:\n    updates 100 of 100 rows in table public.orders\n") == 1
        assert shown.count("\nWhat it would do:") == 1
        assert not any(character in stack.run(lead, "show", request, "--json").stdout for character in "\x1b\x07\x9b")
        stack.run(second, "deny", request, "--reason", "ünnötig [bold]")
    assert "second@example.com denied it: ünnötig [bold]" in ends[0]


def test_rows_that_a_held_statement_touches_are_for_readers_who_decide(
    stack: Stack, writing: Member, lead: Member, second: Member, boss: Member
) -> None:
    with held(stack, writing, "DELETE FROM orders WHERE id IN (41, 42)") as (request, ends):
        assert "Rows:         interlock show" in stack.run(lead, "show", request).stdout
        assert "No grant lets you read table public.orders" in refused(stack, lead, "show", request, "--rows")
        for member in (writing, boss):
            assert "Rows are shown to those who may approve" in refused(stack, member, "show", request, "--rows")
        grant = stack.grant(lead, "shop", "reader", [second], 1)
        shown = stack.run(lead, "show", request, "--rows").stdout
        assert "    id='41'  note='note 41'\n    id='42'  note='note 42'\n" in shown
        told = stack.ask(lead, "show", request, "--rows")
        assert [part["part"] for part in told["sample"]["parts"]] == ["table public.orders"]
        stack.run(lead, "end", grant)
        assert "No grant lets you read" in refused(stack, lead, "show", request, "--rows")
        stack.run(second, "deny", request, "--reason", "not these")
    assert "note 41" not in json.dumps(stack.ask(boss, "ledger", "show"))
    assert ends
    assert "second@example.com denied it" in ends[0]


def test_a_name_in_the_database_does_not_act_on_terminals(stack: Stack, writing: Member, lead: Member) -> None:
    name = '"x\x1b[2J\nWho may: everybody\x9b"'
    notices: list[str] = []
    with held(stack, writing, f"CREATE TABLE {name} (id int); INSERT INTO {name} VALUES (1)") as (request, _):
        shown = stack.run(lead, "show", request).stdout
        assert "\x1b" not in shown
        assert "\nWho may: everybody" not in shown
        stack.run(lead, "approve", request, "--yes")
    with open_session(stack, writing) as session:
        session.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
        with pytest.raises(psycopg.Error):
            _withdrawn(session, f"DELETE FROM {name}")
    assert notices
    assert notices[0].isprintable(), notices


def _withdrawn(session: "psycopg.Connection[tuple[object, ...]]", statement: str) -> None:
    timer = threading.Timer(1, session.cancel)
    timer.start()
    try:
        session.execute(statement.encode())
    finally:
        timer.join()


def test_who_leaves_while_a_statement_is_held(stack: Stack, writing: Member, lead: Member, boss: Member) -> None:
    """The end of the login is the end of the statement; an approval after it runs nothing."""
    with held(stack, writing, "DELETE FROM orders") as (request, ends):
        shutil.copytree(writing.home, stack.folder / "homes" / "left-behind")
        stack.run(writing, "logout")
        until(lambda: ends)
        stack.run(lead, "approve", request, "--yes", check=False)
    assert "is over" in ends[0] or "ended" in ends[0], ends
    left_behind = Member(writing.name, stack.folder / "homes" / "left-behind", writing.password)
    assert "login is over" in refused(stack, left_behind, "whoami")
    with pytest.raises(psycopg.OperationalError, match="is over"):
        open_session(stack, left_behind)
    stack.sign_in(writing)
    with open_session(stack, writing) as session:
        assert session.execute("SELECT count(*) FROM orders").fetchone() == (100,)
    stack.run(boss, "ledger", "verify")


# --- credentials that are not whole


def test_a_session_ends_with_its_login(stack: Stack, writing: Member) -> None:
    with open_session(stack, writing) as session:
        assert not is_cut(session)
        stack.run(writing, "logout")
        until(lambda: is_cut(session))
    stack.sign_in(writing)


def test_a_grant_is_of_its_key(stack: Stack, writing: Member) -> None:
    other = Member(writing.name, stack.folder / "homes" / "other-key", writing.password)
    other.home.mkdir()
    shutil.copy(writing.home / "authority.pem", other.home)
    stack.run(other, "login", "--server", stack.server, "--person", writing.name)
    with pytest.raises(psycopg.OperationalError, match="bound to another key"):
        open_session(stack, other)
    assert "no active grant on shop for this key" in refused(stack, other, "connect", "shop", "--print")


def test_a_password_is_for_one_connection(stack: Stack, writing: Member) -> None:
    password = stack.one_password(writing, "shop")
    with pytest.raises(psycopg.OperationalError, match="is not for store"):
        _with_password(stack, writing, password, "store")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        _with_password(stack, writing, f"{password}x", "shop")
    _with_password(stack, writing, password, "shop").close()
    with pytest.raises(psycopg.OperationalError, match="has been used"):
        _with_password(stack, writing, password, "shop")


def _with_password(
    stack: Stack, member: Member, password: str, resource: str
) -> "psycopg.Connection[tuple[object, ...]]":
    variables = stack.variables(member, resource) | {"PGPASSWORD": password, "PGSSLCERT": "/nowhere"}
    return psycopg.connect(conninfo_of(variables), autocommit=True)


def test_tokens_without_their_keys_and_in_wrong_places(stack: Stack, ann: Member, lead: Member) -> None:
    mine, other = caller_of(stack, ann), caller_of(stack, lead)
    assert code_of(mine.call("GET", "/v1/whoami")) == (200, "")
    assert mine.with_key(new_key()).call("GET", "/v1/whoami").status_code == 401
    assert mine.with_key(other.key).call("GET", "/v1/whoami").status_code == 401
    bearer = mine.call("GET", "/v1/whoami", headers={"Authorization": f"Bearer {mine.token}"})
    assert bearer.status_code == 401
    with mine.client() as http:
        assert http.get("/v1/whoami", headers=mine.authorization()).status_code == 401
        assert http.get("/v1/whoami", params={"access_token": str(mine.token)}).status_code == 401
    gateway = _gateway(stack, mine)
    for method, path in (
        ("GET", "/v1/requests"),
        ("POST", "/v1/requests"),
        ("GET", "/v1/ledger"),
        ("GET", "/v1/whoami"),
    ):
        assert code_of(gateway.call(method, path, {} if method == "POST" else None)) == (401, "wrong-scope")
    for path in ("/v1/gateway/holds", "/v1/gateway/sessions", "/v1/gateway/passwords/take"):
        assert code_of(mine.call("POST", path, {})) == (401, "wrong-scope")


def _gateway(stack: Stack, like: Caller) -> Caller:
    alone = Caller(like.server, like.authority, load_key(stack.data / "keys" / "gateway.key"), None)
    token = alone.call("POST", "/v1/gateway/token").json()["token"]
    return Caller(like.server, like.authority, alone.key, token)


# --- addresses and bodies


@pytest.mark.parametrize(
    "path",
    [
        "/v1/requests/r-x/../../gateway/feed",
        "/v1/requests/..%2f..%2fledger",
        "/v1/requests/%2e%2e/ledger",
        "/v1/requests/x%2f..%2f..%2fledger",
        "/v1//ledger",
        "/v1/ledger/",
        "/V1/ledger",
        "/v1/ledger;x=1",
        "/v1/ledger%00",
        "/v1/requests/%ff%fe",
        "/v1/ledger/99999999999999999999999",
        "/v1/sessions/s-00000000/records/../../../ledger",
        "/openapi.json",
    ],
)
def test_no_spelling_of_an_address_leads_round_the_checks(stack: Stack, ann: Member, path: str) -> None:
    answer = caller_of(stack, ann).call("GET", path)
    assert answer.status_code in (401, 403, 404, 422), answer.text
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b'"x"',
        b"NaN",
        b"\xff\xfe",
        b"[" * 60000,
        b'{"a":' * 10000,
        b"9" * 5000,
        b'{"resource":"shop","role":"reader","duration_s":1e3,"reason":"x"}',
        b'{"resource":"shop","role":"reader","duration_s":true,"reason":"x"}',
        b'{"resource":"shop","role":"reader","duration_s":-1,"reason":"x"}',
        b'{"resource":"shop","role":"reader","duration_s":99999999999999999999,"reason":"x"}',
        b'{"resource":"shop","role":"reader","duration_s":60,"reason":"x","approved":true}',
        b'{"resource":"shop","role":"reader","duration_s":60,"reason":"\\ud800"}',
        b'{"resource":"shop","role":"reader","duration_s":60,"reason":"\\u001b[2J"}',
        b'{"resource":"shop","role":"reader","duration_s":60,"reason":"\\u202ereversed"}',
        b'{"resource":"shop","role":"reader","duration_s":60,"reason":"a\\nb"}',
        b'{"resource":"shop","role":"reader","duration_s":60,"reason":"   "}',
        b'{"resource":["shop"],"role":{"reader":1},"duration_s":60,"reason":"x"}',
    ],
)
def test_odd_bodies_open_nothing(stack: Stack, ann: Member, body: bytes) -> None:
    answer = caller_of(stack, ann).call("POST", "/v1/requests", content=body)
    assert answer.status_code in (403, 422), answer.text
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    "name", ["../whoami", "r-x/approve", "..", ".", "", "?scope=all", "r-x#y", "%2e%2e", "ünï", "a\nb"]
)
def test_a_number_on_the_command_line_leads_nowhere_else(stack: Stack, ann: Member, name: str) -> None:
    told = refused(stack, ann, "show", "--", name)
    assert told.startswith(("There is nothing called", "There is no request"))


# --- what is somebody else's


def test_others_see_nothing(
    stack: Stack, writing: Member, second: Member, boss: Member, owner: Member, auditor: Member
) -> None:
    with open_session(stack, writing) as session:
        session.execute("SELECT 1")
        # a gateway tells of its sessions a moment after they have begun
        until(lambda: stack.ask(writing, "sessions", "--live"))
        number = next(view["id"] for view in stack.ask(writing, "sessions", "--live"))
    request = next(view["id"] for view in stack.ask(writing, "requests") if view["kind"] == "grant")
    mate = stack.member("bob@acme.example")
    assert stack.ask(mate, "sessions") == []
    assert stack.ask(second, "sessions") == []
    assert stack.ask(mate, "grants") == []
    assert writing.name not in {view["person"] for view in stack.ask(mate, "requests", "--all")}
    for who in (mate, second):
        for words in (("replay", number), ("watch", number), ("ledger", "show"), ("ledger", "search", "orders")):
            refused(stack, who, *words)
    assert refused(stack, mate, "show", request).startswith(f"There is no request {request}.")
    assert {person["name"] for person in stack.ask(mate, "people")} == {
        "ann@acme.example",
        "bob@acme.example",
        "owner@example.com",
    }
    until(lambda: stack.run(auditor, "replay", number, check=False).returncode == 0)
    for who in (boss, owner):
        assert "--role auditor" in refused(stack, who, "replay", number), "who answers for the person needs the role"
    read = [
        entry["event"] for entry in stack.ask(boss, "ledger", "search", number) if entry["kind"] == "recording.read"
    ]
    assert [event["by"] for event in read] == [auditor.name]


def test_homes_are_private(ann: Member) -> None:
    assert ann.home.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in Path(ann.home).iterdir())
