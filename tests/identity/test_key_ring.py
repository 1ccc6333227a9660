"""Rotation: a fresh key signs, the last one verifies until nothing that it signed is left."""

from datetime import timedelta
from pathlib import Path

import pytest

from interlock.domain.grants import Login
from interlock.errors import Failure
from interlock.identity.key_ring import OVERLAP, read_ring, rotate
from interlock.identity.keys import thumbprint
from interlock.identity.refusals import TokenRefused
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


def test_a_key_without_a_time_stops_the_start(tmp_path: Path) -> None:
    read_ring(tmp_path, NOW)
    (tmp_path / "token.until-never.key").write_text("x")
    with pytest.raises(Failure):
        read_ring(tmp_path, NOW)
