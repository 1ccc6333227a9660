"""Access tokens: JWTs of type ``at+jwt`` (RFC 9068), signed with ES256, bound to a key (RFC 9449 section 6).

A token says who signed in with which key; whether the login and the person are still there is looked up at every call.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from interlock.domain.grants import Login
from interlock.identity.jose import Signer, UnreadableError, Verifier, unverified
from interlock.identity.refusals import TokenRefused
from interlock.ports.clock import Clock
from interlock.ports.identity import IssuedToken

TOKEN_TYPE = "at+jwt"  # noqa: S105 -- the type's name (RFC 9068 section 2.1)
ISSUER = "urn:interlock:control"
AUDIENCE = "urn:interlock:api"
GATEWAY_LIFETIME = timedelta(minutes=10)
_SKEW = timedelta(seconds=5)
"""By how much another control plane's clock may be ahead of ours."""

_AGAIN = "Type `interlock login`."


class Scope(StrEnum):
    """Whom a token is for. A gateway's token opens nothing of a person's, nor the other way round."""

    PERSON = "person"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that is ours and not over. ``login`` is empty for a gateway, whose name is ``subject``."""

    subject: str
    scope: Scope
    login: str
    key: str
    issued_at: datetime
    ends_at: datetime
    present_at: datetime | None


class Tokens:
    """Signs and reads access tokens. The port TokenSigning."""

    def __init__(self, key: EllipticCurvePrivateKey, clock: Clock) -> None:
        self._signer = Signer(key)
        self._verifier = Verifier(key.public_key())
        self._clock = clock

    def issue_for_login(self, login: Login) -> IssuedToken:
        """A token that lasts as long as the login."""
        claims: dict[str, Any] = {"login": login.id}
        if login.present_at is not None:
            claims["present_at"] = int(login.present_at.timestamp())
        return self._issue(login.person, Scope.PERSON, login.key, self._clock.now(), login.ends_at, claims)

    def issue_for_gateway(self, name: str, key: str, at: datetime) -> IssuedToken:
        return self._issue(name, Scope.GATEWAY, key, at, at + GATEWAY_LIFETIME, {})

    def _issue(
        self, subject: str, scope: Scope, key: str, at: datetime, ends_at: datetime, more: dict[str, Any]
    ) -> IssuedToken:
        exp = int(ends_at.timestamp())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "client_id": key,
            "scope": scope.value,
            "iat": int(at.timestamp()),
            "exp": exp,
            "jti": secrets.token_urlsafe(16),
            "cnf": {"jkt": key},
            **more,
        }
        return IssuedToken(self._signer.sign({"typ": TOKEN_TYPE}, claims), datetime.fromtimestamp(exp, UTC))

    def read(self, text: str) -> AccessToken:
        """The token, if it is ours and not over. Raises TokenRefused. The caller still has to prove the key."""
        try:
            header, claims = unverified(text)
            self._verifier.verify(text)
        except UnreadableError as error:
            raise TokenRefused("bad-token", f"The access token is not good: {error}.", _AGAIN) from error
        if header.get("typ") != TOKEN_TYPE or claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
            raise TokenRefused("bad-token", "The access token was made for something else.", _AGAIN)
        token = _token(claims)
        now = self._clock.now()
        # Signing libraries check a signature, not the time: exp is ours to check.
        if now >= token.ends_at:
            raise TokenRefused("token-over", "The access token is over.", _AGAIN)
        if token.issued_at > now + _SKEW:
            raise TokenRefused("bad-token", "The access token is from the future.", "Check the server's clock.")
        return token


def _token(claims: dict[str, Any]) -> AccessToken:
    try:
        present = claims.get("present_at")
        scope = Scope(claims["scope"])
        token = AccessToken(
            subject=_text(claims["sub"]),
            scope=scope,
            login=_text(claims["login"]) if scope is Scope.PERSON else "",
            key=_text(claims["cnf"]["jkt"]),
            issued_at=datetime.fromtimestamp(_whole(claims["iat"]), UTC),
            ends_at=datetime.fromtimestamp(_whole(claims["exp"]), UTC),
            present_at=None if present is None else datetime.fromtimestamp(_whole(present), UTC),
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise TokenRefused("bad-token", "The access token lacks what it must say.", _AGAIN) from error
    return token


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("a text was expected")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a whole number was expected")
    return value
