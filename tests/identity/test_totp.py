from datetime import timedelta

import pyotp
import pytest

from interlock.identity.totp import TotpCodes
from tests.identity.settings import NOW

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
STEP = int(NOW.timestamp()) // 30
CODE = pyotp.TOTP(SECRET).at(NOW)


def test_a_code_is_good_for_its_step_and_one_either_way() -> None:
    codes = TotpCodes()
    for off_s, taken in ((0, True), (30, True), (-30, True), (60, False), (-60, False)):
        step = codes.step_of(SECRET, CODE, at=NOW + timedelta(seconds=off_s), after=0)
        assert step == (STEP if taken else None), off_s


def test_a_code_is_good_once_and_so_is_every_earlier_one() -> None:
    codes = TotpCodes()
    assert codes.step_of(SECRET, CODE, at=NOW, after=STEP) is None
    assert codes.step_of(SECRET, CODE, at=NOW, after=STEP + 1) is None
    assert codes.step_of(SECRET, CODE, at=NOW, after=STEP - 1) == STEP


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "-12345", "1e5000", "000000"])
def test_what_is_no_code(code: str) -> None:
    assert TotpCodes().step_of(SECRET, code, at=NOW, after=0) is None


def test_a_code_may_be_written_in_two_groups() -> None:
    assert TotpCodes().step_of(SECRET, f"{CODE[:3]} {CODE[3:]}", at=NOW, after=0) == STEP


def test_secrets_are_long_and_the_uri_names_person_and_issuer() -> None:
    codes = TotpCodes()
    secret = codes.new_secret()
    assert len(secret) == 32
    assert secret != codes.new_secret()
    assert codes.uri(secret, "dev@acme.example").startswith("otpauth://totp/Interlock:dev%40acme.example?")
