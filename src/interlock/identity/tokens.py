"""Tokens: JWTs of type ``at+jwt`` (RFC 9068), signed with ES256, bound to a key (RFC 9449 section 6).

A token says who signed in with which key, or which client acts for whom; whether the login, the delegation and the
person are still there is looked up at every call.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from interlock.domain.grants import Login
from interlock.domain.oauth import Delegation
from interlock.identity.jose import Signer, UnreadableError, Verifier, unverified
from interlock.identity.keys import public_jwk, thumbprint
from interlock.identity.refusals import TokenRefused
from interlock.ports.clock import Clock
from interlock.ports.identity import IssuedToken

TOKEN_TYPE = "at+jwt"  # noqa: S105 -- the type's name (RFC 9068 section 2.1)
ISSUER = "urn:interlock:control"
AUDIENCE = "urn:interlock:api"
GATEWAY_LIFETIME = timedelta(minutes=10)
CLIENT_LIFETIME = timedelta(minutes=10)
REFRESH_TYPE = "rt+jwt"
_SKEW = timedelta(seconds=5)
"""By how much another control plane's clock may be ahead of ours."""

_AGAIN = "Type `interlock login`."


class Scope(StrEnum):
    """Whom a token is for. A gateway's token opens nothing of a person's, nor the other way round."""

    PERSON = "person"
    GATEWAY = "gateway"
    CLIENT = "client"
    """A client that acts for a person, within the scopes of its delegation."""
    AGENT = "agent"
    """An agent as itself. It opens nothing but what says who it is, and is exchanged for an owner's token."""
    WORKLOAD = "workload"
    """A job of a CI system. It opens what concerns duties and gates."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that is ours and not over. ``login`` is that of a person's own token alone, ``delegation`` and
    ``scopes`` are those of a client's; a gateway's, an agent's or a workload's ``subject`` is its name. ``rule`` is the
    digest of what made somebody the workload."""

    subject: str
    scope: Scope
    login: str
    key: str
    issued_at: datetime
    ends_at: datetime
    present_at: datetime | None
    delegation: str = ""
    client: str = ""
    scopes: frozenset[str] = frozenset()
    rule: str = ""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """Names a delegation and the generation that it is of."""

    delegation: str
    client: str
    generation: int


class Tokens:
    """Signs and reads tokens. The port TokenSigning.

    ``older`` are keys that no longer sign; what they signed is read until it is over.
    """

    def __init__(
        self, key: EllipticCurvePrivateKey, clock: Clock, older: Sequence[EllipticCurvePrivateKey] = ()
    ) -> None:
        self._clock = clock
        self.use(key, older)

    def use(self, key: EllipticCurvePrivateKey, older: Sequence[EllipticCurvePrivateKey]) -> None:
        """Sign with ``key`` from here on; verify what it and ``older`` signed."""
        self._signer = Signer(key)
        self._kid = thumbprint(key)
        self._verifiers = {thumbprint(one): Verifier(one.public_key()) for one in (key, *older)}

    def jwks(self) -> dict[str, Any]:
        """The keys that our tokens are verified with (RFC 7517)."""
        keys = [
            {**public_jwk(verifier.key), "kid": kid, "use": "sig", "alg": verifier.algorithm}
            for kid, verifier in self._verifiers.items()
        ]
        return {"keys": keys}

    def issue_for_login(self, login: Login) -> IssuedToken:
        """A token that lasts as long as the login."""
        claims: dict[str, Any] = {"login": login.id}
        if login.present_at is not None:
            claims["present_at"] = int(login.present_at.timestamp())
        return self._issue(login.person, Scope.PERSON, login.key, self._clock.now(), login.ends_at, claims)

    def issue_for_gateway(self, name: str, key: str, at: datetime) -> IssuedToken:
        return self._issue(name, Scope.GATEWAY, key, at, at + GATEWAY_LIFETIME, {})

    def issue_for_delegation(self, delegation: Delegation, at: datetime) -> IssuedToken:
        """Ten minutes, and never past the delegation. It names the person, the client and, if one acts, the agent."""
        claims: dict[str, Any] = {
            "client_id": delegation.client,
            "delegation": delegation.id,
            "scope": " ".join(sorted(delegation.scopes)),
        }
        if delegation.actor is not None:
            claims["act"] = {"sub": delegation.actor}
        ends_at = min(at + CLIENT_LIFETIME, delegation.ends_at)
        return self._issue(delegation.person, Scope.CLIENT, delegation.key, at, ends_at, claims)

    def issue_for_agent(self, agent: str, key: str, at: datetime) -> IssuedToken:
        claims = {"client_id": agent, "agent": agent}
        return self._issue(agent, Scope.AGENT, key, at, at + CLIENT_LIFETIME, claims)

    def issue_for_workload(self, name: str, *, rule: str, key: str, at: datetime, ends_at: datetime) -> IssuedToken:
        return self._issue(name, Scope.WORKLOAD, key, at, ends_at, {"client_id": name, "rule": rule})

    def sign_event(self, claims: Mapping[str, Any]) -> str:
        """A security event token (RFC 8417): no token of ours, which its type says."""
        return self._signer.sign({"typ": "secevent+jwt", "kid": self._kid}, claims)

    def issue_refresh(self, delegation: Delegation, at: datetime) -> str:
        claims = {
            "iss": ISSUER,
            "client_id": delegation.client,
            "delegation": delegation.id,
            "generation": delegation.generation,
            "iat": int(at.timestamp()),
            "exp": int(delegation.ends_at.timestamp()),
            "jti": secrets.token_urlsafe(16),
        }
        return self._signer.sign({"typ": REFRESH_TYPE, "kid": self._kid}, claims)

    def read_refresh(self, text: str) -> RefreshToken:
        """Raises TokenRefused. Whether its turn has passed is looked up."""
        claims = self._read_claims(text, REFRESH_TYPE)
        try:
            token = RefreshToken(_text(claims["delegation"]), _text(claims["client_id"]), _whole(claims["generation"]))
            over = self._clock.now() >= datetime.fromtimestamp(_whole(claims["exp"]), UTC)
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise TokenRefused("bad-token", "The refresh token lacks what it must say.", _AGAIN) from error
        if over:
            raise TokenRefused("token-over", "The refresh token is over.", _AGAIN)
        return token

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
        return IssuedToken(
            self._signer.sign({"typ": TOKEN_TYPE, "kid": self._kid}, claims), datetime.fromtimestamp(exp, UTC)
        )

    def read(self, text: str) -> AccessToken:
        """The token, if it is ours and not over. Raises TokenRefused. The caller still has to prove the key."""
        claims = self._read_claims(text, TOKEN_TYPE)
        if claims.get("aud") != AUDIENCE:
            raise TokenRefused("bad-token", "The access token was made for something else.", _AGAIN)
        token = _token(claims)
        now = self._clock.now()
        # Signing libraries check a signature, not the time: exp is ours to check.
        if now >= token.ends_at:
            raise TokenRefused("token-over", "The access token is over.", _AGAIN)
        if token.issued_at > now + _SKEW:
            raise TokenRefused("bad-token", "The access token is from the future.", "Check the server's clock.")
        return token

    def _read_claims(self, text: str, kind: str) -> dict[str, Any]:
        try:
            header, claims = unverified(text)
            kid = header.get("kid")
            # A name that is not known takes the key that signs now, whose signature then does not hold.
            ours = self._verifiers[self._kid]
            (self._verifiers.get(kid, ours) if isinstance(kid, str) else ours).verify(text)
        except UnreadableError as error:
            raise TokenRefused("bad-token", f"The token is not good: {error}.", _AGAIN) from error
        if header.get("typ") != kind or claims.get("iss") != ISSUER:
            raise TokenRefused("bad-token", "The token was made for something else.", _AGAIN)
        return claims


def _token(claims: dict[str, Any]) -> AccessToken:
    try:
        present = claims.get("present_at")
        scope = _scope_of(claims)
        is_client = scope is Scope.CLIENT
        token = AccessToken(
            subject=_text(claims["sub"]),
            scope=scope,
            login=_text(claims["login"]) if scope is Scope.PERSON else "",
            key=_text(claims["cnf"]["jkt"]),
            issued_at=datetime.fromtimestamp(_whole(claims["iat"]), UTC),
            ends_at=datetime.fromtimestamp(_whole(claims["exp"]), UTC),
            present_at=None if present is None else datetime.fromtimestamp(_whole(present), UTC),
            delegation=_text(claims["delegation"]) if is_client else "",
            client=_text(claims["client_id"]) if is_client else "",
            scopes=frozenset(_text(claims["scope"]).split()) if is_client else frozenset(),
            rule=_text(claims["rule"]) if scope is Scope.WORKLOAD else "",
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise TokenRefused("bad-token", "The access token lacks what it must say.", _AGAIN) from error
    return token


def _scope_of(claims: dict[str, Any]) -> Scope:
    if "delegation" in claims:
        return Scope.CLIENT
    return Scope.AGENT if "agent" in claims else Scope(claims["scope"])


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("a text was expected")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a whole number was expected")
    return value
