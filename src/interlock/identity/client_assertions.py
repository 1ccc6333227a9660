"""A client proves who it is with a JWT signed by its own key (RFC 7523 section 3, RFC 7521).

Good for a few minutes, for this server alone, and once: the replay cache is the one that DPoP uses.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from interlock.errors import Refusal
from interlock.identity.jose import UnreadableError, Verifier, unverified
from interlock.identity.keys import UnusableKeyError, read_public_jwk
from interlock.ports.clock import Clock
from interlock.ports.state import ReplayCache

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST = timedelta(minutes=10)
SKEW = timedelta(seconds=120)
_MOST_KEYS = 20


def audiences_of(issuer: str) -> frozenset[str]:
    """The names that an assertion may be addressed to: the server's, and two of its endpoints (RFC 9126 section 2)."""
    return frozenset({issuer, f"{issuer}/oauth/token", f"{issuer}/oauth/par"})


class ClientAssertions:
    """Checks assertions. ``audiences`` are the names under which this server may be addressed."""

    def __init__(self, audiences: frozenset[str], replays: ReplayCache, clock: Clock) -> None:
        self._audiences = audiences
        self._replays = replays
        self._clock = clock

    @staticmethod
    def claimed_client(text: str) -> str:
        """Who an assertion says it is from, before anything is known of it. Raises Refusal (``invalid_client``)."""
        try:
            _, claims = unverified(text)
        except UnreadableError as error:
            raise _not_who(f"the assertion cannot be read: {error}") from error
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject or claims.get("iss") != subject:
            raise _not_who("the assertion's iss and sub are not one and the same client")
        return subject

    async def check(self, text: str, *, client: str, jwks: Mapping[str, Any]) -> None:
        """Raises Refusal (``invalid_client``) unless ``text`` was made now, for us, by a key of ``client``."""
        if self.claimed_client(text) != client:
            raise _not_who("the assertion is another client's")
        header, claims = unverified(text)
        _verify(text, header, jwks)
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        # One audience: an assertion for several servers could be used by one of them at another.
        if len(named) != 1 or named[0] not in self._audiences:
            raise _not_who("the assertion was made for another server")
        ends_at = self._check_times(claims)
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= 256:
            raise _not_who("the assertion has no usable jti")
        if not await self._replays.first_use(f"client:{client}", jti, ends_at + SKEW):
            raise _not_who("the assertion was used before")

    def _check_times(self, claims: Mapping[str, Any]) -> datetime:
        now = self._clock.now()
        exp = _moment(claims.get("exp"))
        if exp is None or now >= exp + SKEW:
            raise _not_who("the assertion is over")
        if exp > now + LONGEST + SKEW:
            raise _not_who(f"the assertion lasts longer than {LONGEST.total_seconds() / 60:.0f} minutes")
        for name in ("nbf", "iat"):
            if name in claims:
                at = _moment(claims[name])
                if at is None or at > now + SKEW:
                    raise _not_who(f"the assertion's {name} is in the future")
        return exp


def _verify(text: str, header: Mapping[str, Any], jwks: Mapping[str, Any]) -> None:
    keys = jwks.get("keys")
    wanted = header.get("kid")
    for jwk in keys[:_MOST_KEYS] if isinstance(keys, list) else []:
        if not isinstance(jwk, Mapping) or (wanted is not None and jwk.get("kid", wanted) != wanted):
            continue
        try:
            Verifier(read_public_jwk(jwk)).verify(text)
        except (UnusableKeyError, UnreadableError):
            continue
        return
    raise _not_who("the assertion was signed with none of the client's keys")


def check_jwks(jwks: object) -> dict[str, Any]:
    """A client's keys as they will be kept: those that we take, public parts alone. Raises Refusal."""
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= _MOST_KEYS:
        raise _bad_metadata(f"jwks must hold 1 to {_MOST_KEYS} keys")
    kept = []
    for jwk in keys:
        try:
            read_public_jwk(jwk)
        except UnusableKeyError as error:
            raise _bad_metadata(str(error)) from error
        kept.append({name: str(jwk[name])[:200] for name in ("kty", "crv", "x", "y", "kid") if name in jwk})
    return {"keys": kept}


def _moment(value: object) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11:
        return datetime.fromtimestamp(value, UTC)
    return None


def _not_who(why: str) -> Refusal:
    return Refusal("invalid_client", f"The client did not prove who it is: {why}.", "Sign a fresh assertion.")


def _bad_metadata(why: str) -> Refusal:
    return Refusal("invalid_client_metadata", f"What the client says of itself is not taken: {why}.", "Mend it.")
