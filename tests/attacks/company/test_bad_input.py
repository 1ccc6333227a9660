"""Mistakes and bad days: each ends in a sentence that says what happened and what to type, and loses nothing.

What `interlock up` meets at its start is in tests/app/test_up.py.
"""

import fcntl
import json
import os
import pty
import resource
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509

from interlock.cli.home import Home
from interlock.domain.grants import Login
from interlock.errors import Failure, Refusal
from interlock.identity.api_client import ApiClient
from interlock.identity.authority import Authority, make_request
from interlock.identity.keys import thumbprint
from tests.attacks.company.test_separation import ask_for, open_session, refused, until
from tests.support.clock import FixedClock
from tests.support.stack import INTERLOCK, Member, Stack

PATIENCE_S = 30


@pytest.fixture(scope="module")
def reading(stack: Stack, ann: Member, lead: Member) -> Member:
    """Ann, who may read the shop and the resources that do not work."""
    for name in ("shop", "down", "stranger"):
        if not any(one["resource"] == name for one in stack.ask(ann, "grants")):
            stack.grant(ann, name, "reader", [lead], 8)
    return ann


# --- the servers behind


@pytest.mark.parametrize(
    ("name", "from_psql", "from_doctor"),
    [
        (
            "down",
            r"The server of down cannot be reached: .*Connection refused\. Ask its operator",
            "down cannot be reached at 127.0.0.1:1",
        ),
        (
            "stranger",
            r"refused the credential that Interlock has for it\. It said: .*with_scram.* must mend the credential",
            "stranger does not let with_scram in",
        ),
    ],
)
def test_an_upstream_that_does_not_let_us_in(
    stack: Stack, reading: Member, name: str, from_psql: str, from_doctor: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=from_psql):
        open_session(stack, reading, name)
    told = stack.run(None, "doctor", "--data", str(stack.data), "--json", check=False)
    assert told.returncode == 1
    (finding,) = [one for one in json.loads(told.stdout) if one["check"] == f"upstream {name}"]
    assert finding["verdict"] == "bad"
    assert finding["sentence"].startswith(from_doctor)
    assert finding["remedy"]


# --- certificates and clocks


def test_a_certificate_that_is_over(stack: Stack, reading: Member) -> None:
    """The client's own, issued by the right authority for the right login, an hour too old."""
    home, now = Home(reading.home, default=False), datetime.now(UTC)
    authority = Authority.open(stack.data / "keys", now)
    kept = home.login()
    started = now - timedelta(hours=9)
    login = Login(
        kept["login"], reading.name, thumbprint(home.private_key()), started, now - timedelta(hours=1), present_at=None
    )
    old = authority.issue_client(make_request(home.private_key()), login=login, at=started)
    fresh = home.certificate.read_text()
    home.write(home.certificate.name, old)
    try:
        with pytest.raises(psycopg.OperationalError, match=r"valid until .* Type: interlock login"):
            open_session(stack, reading)
    finally:
        home.write(home.certificate.name, fresh)
    open_session(stack, reading).close()


def test_the_servers_own_certificate_that_is_over(stack: Stack) -> None:
    path = stack.data / "keys" / "server.pem"
    fresh, past = path.read_bytes(), datetime.now(UTC) - timedelta(days=400)
    key = x509.load_pem_x509_certificate(fresh).public_key()
    authority = Authority.open(stack.data / "keys", datetime.now(UTC))
    path.write_bytes(authority.issue_server(key, ["127.0.0.1"], past))  # type: ignore[arg-type]
    try:
        told = stack.run(None, "doctor", "--data", str(stack.data), check=False)
    finally:
        path.write_bytes(fresh)
    assert "The server's certificate ended on " in told.stdout
    assert "it is renewed then" in told.stdout


@pytest.mark.parametrize("off", [timedelta(minutes=10), timedelta(minutes=-10), timedelta(days=400)])
def test_a_clock_that_jumped(stack: Stack, ann: Member, off: timedelta) -> None:
    home = Home(ann.home, default=False)
    clock = FixedClock(datetime.now(UTC) + off)
    with (
        ApiClient(
            stack.server,
            key=home.private_key(),
            authority=home.authority.read_text(),
            token=str(home.login()["token"]),
            clock=clock,
        ) as api,
        pytest.raises(Refusal, match=r"The proof's time is \d+ s (ahead of|behind) the server's") as met,
    ):
        api.get("/v1/whoami")
    assert met.value.remedy == "Set this machine's clock."
    stack.run(ann, "whoami")


# --- a full disk


@contextmanager
def full(pids: Sequence[int]) -> Iterator[None]:
    """No file of these processes can grow meanwhile."""
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    try:
        for pid, (_, hard) in limits.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
        yield
    finally:
        for pid, kept in limits.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, kept)


def test_a_full_disk_under_the_recording_ends_sessions_and_nothing_else(stack: Stack, reading: Member) -> None:
    workers = stack.pids("gateway")
    with open_session(stack, reading) as session, full(workers):
        with pytest.raises(psycopg.OperationalError, match="recording cannot be written"):
            session.execute("SELECT count(*), pg_sleep(5) FROM orders WHERE id = 1")
        with pytest.raises(psycopg.OperationalError, match="recording cannot be written"):
            open_session(stack, reading)
    until(lambda: _opens(stack, reading))
    assert stack.pids("gateway") == workers, "the worker lived through it"
    until(lambda: all(view["closed_at"] for view in stack.ask(reading, "sessions")))


def _opens(stack: Stack, member: Member) -> bool:
    try:
        open_session(stack, member).close()
    except psycopg.OperationalError:
        return False
    return True


# --- the operator


def test_a_broken_file_changes_nothing_while_everything_runs(stack: Stack, ann: Member) -> None:
    path = stack.folder / "interlock.yaml"
    kept = path.read_text()
    path.write_text("roles: [\n")
    try:
        (control,) = stack.pids("control")
        os.kill(control, signal.SIGKILL)
        until(lambda: stack.pids("control") not in ([], [control]))
        until(lambda: stack.run(ann, "resources", check=False).returncode == 0)
        for words in (("policy", "check", str(path)), ("up", "--config", str(path), "--data", str(stack.folder / "d"))):
            told = stack.run(None, *words, check=False)
            assert told.returncode == 1
            assert told.stderr.startswith("interlock.yaml:2: this is not YAML"), told.stderr
        assert not (stack.folder / "d" / "postgres").exists()
    finally:
        path.write_text(kept)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "--config", "/nowhere.yaml"), "there is no file /nowhere.yaml"),
        (("up", "--config", "CONFIG", "--data", "/dev/null"), "The data folder /dev/null cannot be used"),
        (("up", "--config", "CONFIG", "--data", "FOREIGN"), "belongs to another account"),
        (("up", "--config", "CONFIG", "--data", "OWN", "--workers", "-3"), "-3 workers cannot be started."),
        (("enrol", "nobody@example.com", "--data", "DATA"), "There is no person named nobody@example.com."),
        (("enrol", "ann@acme.example", "--data", "/nowhere"), "There is no data folder at /nowhere."),
        (("ledger", "verify", "/bin/ls"), "is damaged"),
        (("policy", "check", "/bin/ls"), "this is not UTF-8 text"),
    ],
)
def test_mistakes_of_the_operator(stack: Stack, words: Sequence[str], said: str) -> None:
    foreign = stack.folder / "foreign"
    if not foreign.exists():
        foreign.mkdir()
        os.chown(foreign, 65534, 65534)
    here = {"CONFIG": stack.folder / "interlock.yaml", "DATA": stack.data, "FOREIGN": foreign}
    here["OWN"] = stack.folder / "own"
    filled = [str(here.get(word, word)) for word in words]
    told = stack.run(None, *filled, check=False)
    assert told.returncode == 1
    assert told.stdout == ""
    assert said in told.stderr
    assert told.stderr.count("\n") <= 3
    under_json = stack.run(None, *filled, "--json", check=False)
    assert set(json.loads(under_json.stdout)) in ({"error"}, {"holds", "entry", "reason"})


# --- the person at the client


def _interlock(stack: Stack, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK_")}
    return subprocess.run(
        [INTERLOCK, *words],
        env={**inherited, "HOME": str(stack.folder), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "environment", "code", "said"),
    [
        (("--server", "127.0.0.1:1"), {}, 1, "https://127.0.0.1:1 cannot be reached: Connection refused."),
        (("--server", "http://x"), {}, 1, "'http://x' is no server address.\nWrite it as https://HOST:PORT."),
        (("--server", "POSTGRES"), {}, 1, "check that this is the address of Interlock's console"),
        ((), {"INTERLOCK_PASSWORD": "wrong"}, 1, "The person, the password or the one-time code is wrong."),
        ((), {"INTERLOCK_TOTP": "000 000"}, 1, "The person, the password or the one-time code is wrong."),
        ((), {"INTERLOCK_TOTP": "what?"}, 1, "That is no one-time code.\nGive the six digits"),
        ((), {"INTERLOCK_PASSWORD": ""}, 1, "there is no terminal to ask on.\nIn a script: set INTERLOCK_PASSWORD."),
        (("--code", "0123"), {}, 1, "This code does not enrol this person"),
        (("--code", "0123.4567"), {}, 1, "is not the server that made this code"),
        ((), {"INTERLOCK_HOME": "/dev/null"}, 1, "/dev/null/settings.json cannot be read: Not a directory."),
        ((), {"INTERLOCK_HOME": "/proc/nowhere"}, 2, "say who you are: --person NAME"),
        (("--person", "x"), {"INTERLOCK_HOME": "/proc/nowhere"}, 1, "there is no terminal|compare its fingerprint"),
    ],
)
def test_mistakes_at_signing_in(
    stack: Stack, ann: Member, words: Sequence[str], environment: dict[str, str], code: int, said: str
) -> None:
    mine = {"INTERLOCK_HOME": str(ann.home), "INTERLOCK_PASSWORD": ann.password}
    if "POSTGRES" in words:
        mine["INTERLOCK_HOME"], words = str(stack.folder / "fresh"), (*words, "--person", "x")
    if "--server" not in words:
        words = ("--server", stack.server, *words)
    filled = [stack.ports["postgres"] if word == "POSTGRES" else word for word in words]
    told = _interlock(stack, "login", *filled, **{**mine, **environment})
    assert (told.returncode, told.stdout) == (code, "")
    assert any(one in told.stderr for one in said.split("|")), told.stderr
    assert "Traceback" not in told.stderr
    assert "fault of its own" not in told.stderr
    assert stack.run(ann, "whoami").stdout, "the login that there was still is"


def test_homes_that_cannot_be_used(stack: Stack, ann: Member) -> None:
    damaged = Member(ann.name, stack.folder / "homes" / "damaged", ann.password)
    shutil.copytree(ann.home, damaged.home)
    (damaged.home / "login.json").write_text("{")
    told = refused(stack, damaged, "whoami")
    assert told.endswith("login.json is damaged.\nRemove it and sign in again: interlock login\n")
    (damaged.home / "login.json").unlink()
    assert refused(stack, damaged, "whoami").endswith("Type `interlock login`.\n")
    (damaged.home / "key.pem").chmod(0o644)
    assert "chmod 600" in refused(stack, damaged, "login")
    assert "is for" in refused(stack, ann, "whoami", "--server", "https://127.0.0.1:9")


def test_outputs_that_take_nothing(stack: Stack, boss: Member) -> None:
    lines = {
        "ledger show --last 200 | head -1": "0",
        "ledger show --last 200 --json | head -c 1": "0",
        "ledger show >/dev/full": "1",
        "ledger show --json >/dev/full": "1",
        "ledger show >&-": "0",
        "show r-00000000 2>/dev/full": "1",
        "show r-00000000 2>&-": "1",
        "show r-00000000 >&- 2>&-": "1",
    }
    script = "".join(
        f"{INTERLOCK} {line.partition(' | ')[0]} {line[line.find(' | ') :] if ' | ' in line else ''};"
        " echo code ${PIPESTATUS[0]} >>$OUT\n"
        for line in lines
    )
    out = stack.folder / "codes"
    environment = {**os.environ, "INTERLOCK_HOME": str(boss.home), "OUT": str(out)}
    told = subprocess.run(
        ["/bin/bash", "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert [line.removeprefix("code ") for line in out.read_text().splitlines()] == list(lines.values()), told
    assert told.stderr.count("The output cannot be written: No space left on device.") == 2
    assert "Traceback" not in told.stderr
    assert "fault of its own" not in told.stderr
    assert "Exception ignored" not in told.stderr


def test_letters_of_every_language_on_every_terminal(stack: Stack, ann: Member) -> None:
    words = ("request", "store", "--role", "reader", "--for", "1h", "--reason", "Grüße aus 東京 · «ok»")
    request = stack.ask(ann, *words)["id"]
    home = {"INTERLOCK_HOME": str(ann.home)}
    assert "Grüße aus 東京 · «ok»" in _interlock(stack, "show", request, **home, PYTHONUTF8="1").stdout
    ascii_only = _interlock(stack, "show", request, **home, PYTHONIOENCODING="ascii")
    assert ascii_only.returncode == 0, ascii_only.stderr
    assert "Gr\\xfc\\xdfe aus \\u6771\\u4eac" in ascii_only.stdout
    stack.run(ann, "withdraw", request)


# --- the person at a terminal


def _at_a_terminal(stack: Stack, member: Member, words: Sequence[str], answers: Sequence[tuple[str, bytes]]) -> Any:
    """Exit code and what stood on a terminal of 60 columns; each answer is typed once its question stands there."""
    environment = {
        "HOME": str(stack.folder),
        "INTERLOCK_HOME": str(member.home),
        "PATH": os.environ["PATH"],
        "TERM": "xterm",
        "LANG": "C.UTF-8",
    }
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", INTERLOCK, *words],
        env=environment,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    said, waiting, over = b"", list(answers), time.monotonic() + PATIENCE_S
    while time.monotonic() < over:
        ready, _, _ = select.select([leader], [], [], 0.1)
        if ready:
            said += os.read(leader, 65536)
        elif process.poll() is not None:
            break
        if waiting and waiting[0][0].encode() in said:
            time.sleep(0.1)
            os.write(leader, waiting.pop(0)[1])
    echoes = bool(termios.tcgetattr(follower)[3] & termios.ECHO)
    os.close(follower)
    os.close(leader)
    return process.wait(PATIENCE_S), said.decode(), echoes


@pytest.mark.parametrize("key", [b"\x03", b"\x04"])
def test_ctrl_c_and_ctrl_d_at_each_question(stack: Stack, ann: Member, lead: Member, key: bytes) -> None:
    stranger = Member("x", stack.folder / "homes" / "at-a-terminal", "")
    request = ask_for(stack, ann, "reader")
    questions = [
        (stranger, ("login", "--server", stack.server, "--person", "x"), "operator told you?"),
        (ann, ("login", "--how", "password"), "Password"),
        (lead, ("approve", request), "Approve exactly this?"),
    ]
    for member, words, question in questions:
        code, said, echoes = _at_a_terminal(stack, member, words, [(question, key)])
        assert code == 1, said
        assert said.rstrip().endswith("Stopped."), said
        assert echoes, "the terminal shows again what is typed"
    assert stack.ask(ann, "show", request)["state"] == "open"
    stack.run(ann, "whoami")
    stack.run(ann, "withdraw", request)


def test_ctrl_c_while_the_browser_is_waited_for(stack: Stack, ann: Member) -> None:
    code, said, echoes = _at_a_terminal(stack, ann, ("login", "--how", "code"), [("Waiting for your answer", b"\x03")])
    assert code == 1, said
    assert said.rstrip().endswith("Stopped."), said
    assert echoes
    stack.run(ann, "whoami")


def test_a_narrow_terminal_folds_no_number(stack: Stack, ann: Member) -> None:
    known = [view["id"] for view in stack.ask(ann, "requests")]
    _, said, _ = _at_a_terminal(stack, ann, ("requests",), [])
    assert known
    assert all(number in said for number in known)


def test_failures_over_the_api_are_sentences_too(stack: Stack, ann: Member) -> None:
    home = Home(ann.home, default=False)
    api = ApiClient("https://127.0.0.1:1", key=home.private_key(), authority=home.authority.read_text())
    with api, pytest.raises(Failure, match="cannot be reached: Connection refused"):
        api.get("/v1/whoami")
    assert Path(ann.home / "fault.log").exists() is False
