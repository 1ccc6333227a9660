"""Rotation: a fresh key signs, the last one verifies until nothing that it signed is left."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from interlock.domain.grants import Login
from interlock.errors import Failure
from interlock.identity.key_ring import OVERLAP, read_ring, rotate
from interlock.identity.keys import thumbprint
from interlock.identity.refusals import TokenRefused
from interlock.identity.ssh_authority import SshAuthority
from interlock.identity.tokens import Tokens
from tests.identity.settings import NOW, HandClock


def test_what_was_signed_before_is_taken_and_what_is_signed_now_is_the_fresh_keys(tmp_path: Path) -> None:
    clock = HandClock()
    ring = read_ring(tmp_path, NOW)
    tokens = Tokens(ring.signing, clock, ring.older)
    login = Login("l-1", "dev", "thumb", NOW, NOW + timedelta(hours=8), None)
    old = tokens.issue_for_login(login).text
    name, until = rotate(tmp_path, NOW)
    assert until == NOW + OVERLAP
    ring = read_ring(tmp_path, NOW)
    assert thumbprint(ring.signing) == name
    tokens.use(ring.signing, ring.older)
    new = tokens.issue_for_login(login).text
    assert tokens.read(old).login == tokens.read(new).login == "l-1"
    assert {key["kid"] for key in tokens.jwks()["keys"]} == {name, *(thumbprint(key) for key in ring.older)}
    alone = Tokens(ring.signing, clock)
    assert alone.read(new).login == "l-1"
    with pytest.raises(TokenRefused):
        alone.read(old)


def test_an_old_key_is_gone_after_its_time(tmp_path: Path) -> None:
    read_ring(tmp_path, NOW)
    rotate(tmp_path, NOW)
    assert len(read_ring(tmp_path, NOW + OVERLAP - timedelta(seconds=1)).older) == 1
    assert read_ring(tmp_path, NOW + OVERLAP).older == ()
    rotate(tmp_path, NOW + OVERLAP)
    assert len(list(tmp_path.glob("token.until-*.key"))) == 1
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("*.key"))


def test_a_key_that_leaked_signs_nothing_once_its_file_is_gone(tmp_path: Path) -> None:
    """Attack: a token made with the key that the operator replaced because it leaked."""
    stolen, clock = read_ring(tmp_path, NOW).signing, HandClock()
    forged = Tokens(stolen, clock).issue_for_login(Login("l-1", "dev", "thumb", NOW, NOW + timedelta(hours=8), None))
    rotate(tmp_path, NOW)
    ring = read_ring(tmp_path, NOW)
    tokens = Tokens(ring.signing, clock, ring.older)
    assert tokens.read(forged.text).login == "l-1"
    (file,) = tmp_path.glob("token.until-*.key")
    file.unlink()
    ring = read_ring(tmp_path, NOW)
    tokens.use(ring.signing, ring.older)
    with pytest.raises(TokenRefused):
        tokens.read(forged.text)


def test_a_key_without_a_time_stops_the_start(tmp_path: Path) -> None:
    read_ring(tmp_path, NOW)
    (tmp_path / "token.until-never.key").write_text("x")
    with pytest.raises(Failure):
        read_ring(tmp_path, NOW)


def test_rotations_within_one_second_lose_no_key(tmp_path: Path) -> None:
    signed_by = [thumbprint(read_ring(tmp_path, NOW).signing)]
    ends = []
    for _ in range(3):
        name, until = rotate(tmp_path, NOW + timedelta(milliseconds=300))
        signed_by.append(name)
        ends.append(until)
    ring = read_ring(tmp_path, NOW)
    assert thumbprint(ring.signing) == signed_by[-1]
    assert {thumbprint(key) for key in ring.older} == set(signed_by[:-1])
    assert ends == [NOW + OVERLAP + timedelta(seconds=more) for more in range(3)]


_ROTATE = """
import sys
from datetime import datetime
from pathlib import Path
from interlock.identity import key_ring, ssh_authority
now = datetime.fromisoformat(sys.argv[2])
sys.stdin.readline()
for _ in range(5):
    print(key_ring.rotate(Path(sys.argv[1]), now)[0])
    print(ssh_authority.rotate(Path(sys.argv[1]), now)[0])
"""


def test_rotations_of_several_processes_at_once_lose_no_key(tmp_path: Path) -> None:
    first = thumbprint(read_ring(tmp_path, NOW).signing)
    first_line = SshAuthority.open(tmp_path, NOW).line
    command = [sys.executable, "-c", _ROTATE, str(tmp_path), NOW.isoformat()]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [line for racer in racers for line in racer.communicate()[0].splitlines()]
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    ring = read_ring(tmp_path, NOW)
    # Every key that ever signed is known still: one signs, all others verify.
    assert {thumbprint(ring.signing), *(thumbprint(key) for key in ring.older)} == {first, *said[::2]}
    lines = SshAuthority.open(tmp_path, NOW).lines
    assert sorted(lines) == sorted({first_line, *said[1::2]})
    assert len(ring.older) + 1 == len(lines) == 16
