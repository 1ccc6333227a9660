"""OpenSSH's own clients through the gateway to OpenSSH's own server: decided, recorded, held and killed."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.hazmat.primitives.serialization.ssh import SSHCertificate, load_ssh_public_identity

from tests.ssh.conftest import Hosts
from tests.support.sshd import make_key
from tests.support.stack import INTERLOCK, Member

T = TypeVar("T")


def test_a_command_runs_on_the_host_and_says_how_it_ended(hosts: Hosts) -> None:
    ran = hosts.connect(hosts.operator, "web", "echo out; echo err >&2; exit 3")
    assert (ran.stdout, ran.stderr, ran.returncode) == ("out\n", "err\n", 3)
    piped = hosts.run(hosts.operator, "ssh", "web", "cat", stdin="through\n")
    assert (piped.stdout, piped.returncode) == ("through\n", 0)


def test_the_hosts_log_names_the_person_when_the_gateway_certifies_its_own_key(hosts: Hosts) -> None:
    assert hosts.connect(hosts.operator, "certified", "echo in").stdout == "in\n"
    assert "operator@example.com" in hosts.sshd.log


def test_a_host_with_another_key_is_sent_nothing(hosts: Hosts) -> None:
    ran = hosts.connect(hosts.operator, "impostor", "echo in")
    assert ran.returncode == 255
    assert "is not the one that its operator named" in ran.stderr


def test_a_terminal_is_recorded_and_what_was_typed_is_shown_to_nobody(hosts: Hosts) -> None:
    before = {one["id"] for one in hosts.sessions(hosts.operator)}
    typed = "hunter-two\n"
    command = "stty -echo; echo ready; read secret; echo sh''own"
    with _started(hosts, hosts.operator, "-tt", command) as process:
        if process.stdout is None or process.stdin is None:
            raise AssertionError("no pipes")
        assert "ready" in process.stdout.readline()
        process.stdin.write(typed)
        process.stdin.flush()
        assert "shown" in process.stdout.readline()
        assert process.wait(30) == 0
    records = _records(hosts, _newest_closed(hosts, before))
    kinds = [record["type"] for record in records]
    assert kinds[:3] == ["open", "statement", "resize"]
    assert {"output", "input", "outcome", "close"} <= set(kinds)
    assert "shown" in "".join(str(record["text"]) for record in records if record["type"] == "output")
    assert "hunter-two" not in json.dumps(records)
    assert sum(int(str(r["characters"])) for r in records if r["type"] == "input") == len(typed)


def test_one_exec_is_one_statement_and_a_reader_has_none(hosts: Hosts) -> None:
    for command in ("id", "true; id", "id\nid", "scp -t /tmp", ""):
        ran = hosts.connect(hosts.reader, "web", command)
        assert "is not allowed" in ran.stderr
        assert ran.returncode == 126
        assert "uid=" not in ran.stdout


def test_nothing_is_forwarded(hosts: Hosts) -> None:
    hosts.prepare(hosts.operator)
    through = hosts.run(hosts.operator, "ssh", "-W", f"127.0.0.1:{hosts.sshd.port}", "web")
    assert through.returncode == 255
    assert "administratively prohibited" in through.stderr
    back = hosts.run(hosts.operator, "ssh", "-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "web")
    assert back.returncode == 255
    shown = hosts.run(hosts.operator, "ssh", "-A", "-X", "web", "echo agent=$SSH_AUTH_SOCK display=$DISPLAY")
    assert shown.stdout == "agent= display=\n"


def test_only_how_text_looks_is_passed_on_of_the_environment(hosts: Hosts) -> None:
    hosts.prepare(hosts.operator)
    words = ("-o", "SetEnv=LC_TEST=kept LD_PRELOAD=/tmp/evil.so BASH_ENV=/tmp/evil PATH=/tmp", "web", "env")
    said = hosts.run(hosts.operator, "ssh", *words).stdout
    assert "LC_TEST=kept" in said
    assert "evil" not in said
    assert "PATH=/tmp\n" not in said


def test_a_held_command_runs_when_another_person_approved_it(hosts: Hosts) -> None:
    with _started(hosts, hosts.careful, "echo ran-af''ter") as process:
        request = _until(lambda: [one["id"] for one in hosts.stack.ask(hosts.lead, "requests", "--to-decide")])[0]
        hosts.stack.ask(hosts.lead, "approve", request, "--yes")
        out, told = process.communicate(timeout=30)
    assert out == "ran-after\n"
    assert request in told


def test_a_running_command_ends_with_its_grant_and_the_certificate_is_of_no_use_after(hosts: Hosts) -> None:
    member = hosts.stack.member("brief@example.com")
    grant = hosts.stack.grant(member, "web", "operator", [hosts.lead])
    with _started(hosts, member, "-tt", "exec sleep 7531") as process:
        _until(lambda: _running("sleep 7531"))
        began = time.monotonic()
        hosts.stack.run(hosts.lead, "end", grant, "--reason", "enough")
        said, told = process.communicate(timeout=30)
        assert process.returncode == 255
        assert "Interlock ended this session" in said + told
        _until(lambda: not _running("sleep 7531"))
        assert time.monotonic() - began < 15
    # The certificate is still within its time.
    again = hosts.run(member, "ssh", "web", "id")
    assert again.returncode == 255
    assert "You have no grant on web" in again.stderr
    refused = hosts.connect(member, "web", "id")
    assert "has no active grant on web" in refused.stderr


def test_a_key_without_our_certificate_or_with_that_of_another_opens_nothing(hosts: Hosts, tmp_path: Path) -> None:
    config = hosts.prepare(hosts.operator)
    assert config.exists()
    make_key(tmp_path / "thief")
    # A stolen certificate, with a key of the thief's own beside it.
    (tmp_path / "thief-cert.pub").write_text((config.parent / "web-cert.pub").read_text())
    for key in (config.parent / "key.pem", tmp_path / "thief"):
        options = ("-i", str(key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "IdentitiesOnly=yes")
        ran = subprocess.run(
            ["ssh", "-F", "/dev/null", "-p", str(hosts.stack.port("ssh")), *options, "web@127.0.0.1", "id"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env=hosts.environment(hosts.operator),
            stdin=subprocess.DEVNULL,
        )
        assert ran.returncode == 255
        assert "Permission denied" in ran.stderr
        assert "uid=" not in ran.stdout


def test_another_authority_turns_nobody_away(hosts: Hosts) -> None:
    """Who has a certificate of the last one goes on with what they have; whoever comes next learns of both."""
    keys, member = hosts.stack.data / "keys", hosts.operator
    assert hosts.connect(member, "web", "echo before").stdout == "before\n"
    known, certificate = member.home / "ssh_known_hosts", member.home / "web-cert.pub"
    last = (keys / "ssh_authority.pub").read_text().split()[1]
    said = hosts.stack.run(None, "keys", "rotate", "ssh", "--data", str(hosts.stack.data), "--json")
    fresh = json.loads(said.stdout)["key"].split()[1]
    _until(lambda: fresh in (keys / "ssh_authority.pub").read_text())
    assert fresh not in known.read_text()
    assert hosts.run(member, "ssh", "web", "echo with what was there").stdout == "with what was there\n"
    assert hosts.connect(member, "web", "echo anew").stdout == "anew\n"
    assert [line.split()[3] for line in known.read_text().splitlines()] == [fresh, last]
    assert fresh in _signer_of(certificate)
    (entry,) = hosts.stack.ask(hosts.lead, "ledger", "search", "ssh_authority.rotated")
    assert fresh in json.dumps(entry)


def _signer_of(certificate: Path) -> str:
    """The key that signed it, in base64, as the certificate has it inside."""
    signer = load_ssh_public_identity(certificate.read_bytes())
    if not isinstance(signer, SSHCertificate):
        raise TypeError("no certificate")
    return signer.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@contextmanager
def _started(hosts: Hosts, member: Member, *words: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [INTERLOCK, "connect", "web", "--", *words],
        env=hosts.environment(member),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _running(command: str) -> bool:
    return subprocess.run(["pgrep", "-fx", command], capture_output=True, check=False, timeout=20).returncode == 0


def _until(ask: Callable[[], T]) -> T:
    until = time.monotonic() + 30
    while True:
        found = ask()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError("it did not come to that")
        time.sleep(0.1)


def _newest_closed(hosts: Hosts, before: set[str]) -> str:
    def look() -> list[str]:
        fresh = [one for one in hosts.sessions(hosts.operator) if one["id"] not in before and one["closed_at"]]
        return [str(one["id"]) for one in fresh]

    return _until(look)[-1]


def _records(hosts: Hosts, session: str) -> list[dict[str, object]]:
    said = hosts.stack.run(hosts.auditor, "replay", session, "--json").stdout
    found = json.loads(said)
    records: list[dict[str, object]] = found["records"] if isinstance(found, dict) else found
    return records
