"""One-time codes (TOTP, RFC 6238): 30 s steps, one step of drift either way, no step twice.

pyotp has no memory: the last step that was used is kept with the credential and only a later one is taken.
"""

from datetime import datetime

import pyotp
from pyotp.exceptions import OTPVerificationError

ISSUER = "Interlock"
_DRIFT_STEPS = 1
_DIGITS = 6


class TotpCodes:
    """The port OneTimeCodes."""

    def new_secret(self) -> str:
        """160 random bits in base32 (RFC 4226 section 4, R6)."""
        return pyotp.random_base32(32)

    def uri(self, secret: str, person: str) -> str:
        """What an authenticator reads from a QR code: ``otpauth://totp/…``."""
        return pyotp.TOTP(secret).provisioning_uri(name=person, issuer_name=ISSUER)

    def step_of(self, secret: str, code: str, *, at: datetime, after: int) -> int | None:
        """The step for which ``code`` is right, later than ``after``; None when it is not right or was used."""
        digits = code.replace(" ", "")
        if len(digits) != _DIGITS or not (digits.isascii() and digits.isdigit()):
            return None
        try:
            step = pyotp.TOTP(secret).verify_and_get_timecode(digits, for_time=at, valid_window=_DRIFT_STEPS)
        except OTPVerificationError:
            return None
        return step if step > after else None
