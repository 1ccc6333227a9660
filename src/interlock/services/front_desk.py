"""What the sign-in use cases work with: the desk, and the ports that make and check secrets."""

from dataclasses import dataclass

from interlock.ports.identity import CertificateIssuing, OneTimeCodes, PasswordHashing, TokenSigning
from interlock.services.attempts import FailedTries, Turnstile
from interlock.services.desk import Desk


@dataclass(frozen=True, slots=True)
class FrontDesk:
    """``tries`` and ``turnstile`` are one for the whole control plane."""

    desk: Desk
    passwords: PasswordHashing
    codes: OneTimeCodes
    authority: CertificateIssuing
    tokens: TokenSigning
    tries: FailedTries
    turnstile: Turnstile


def open_front_desk(
    desk: Desk,
    passwords: PasswordHashing,
    codes: OneTimeCodes,
    authority: CertificateIssuing,
    tokens: TokenSigning,
) -> FrontDesk:
    return FrontDesk(desk, passwords, codes, authority, tokens, FailedTries(desk), Turnstile())
