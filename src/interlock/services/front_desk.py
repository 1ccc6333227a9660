"""What the sign-in use cases work with: the desk, and the ports that make and check secrets."""

from dataclasses import dataclass

from interlock.errors import Refusal
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


def refuse_without_passwords(front: FrontDesk) -> None:
    """Raises Refusal (``no-passwords``) where people come with passkeys or through a provider alone."""
    if not front.desk.configuration.passwords:
        raise Refusal(
            "no-passwords",
            "Nobody signs in with a password here.",
            "Sign in through the company's provider or with a passkey: interlock login",
        )
