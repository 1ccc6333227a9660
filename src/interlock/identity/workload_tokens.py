"""The token by which a CI system says which job somebody is (OpenID Connect; GitHub, GitLab, any issuer).

Taken is what one of the issuer's keys signed, for this server alone, now, in which every claim that the rule names has
exactly one of the rule's values. Keys come from the issuer's own discovery document over TLS; they are fetched anew for
a key that is not known, and no more than every few seconds, since anybody may bring a token.
"""

import asyncio
import base64
import hashlib
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from interlock.domain.codec import to_plain
from interlock.errors import Failure, Refusal
from interlock.identity.oidc import verified_payload
from interlock.ledger.canonical import canonical
from interlock.policy.configuration import Workload

SKEW = timedelta(seconds=120)
LONGEST_TEXT = 16 * 1024
_LIMIT_BYTES = 256 * 1024
_FETCH_AGAIN = timedelta(seconds=10)
_TIMEOUT = httpx2.Timeout(10, connect=5)
_TYPES = frozenset({"", "jwt"})
"""What else is signed is another kind of statement: an access token, a security event, a proof."""


@dataclass(frozen=True, slots=True)
class Job:
    """Who a token says somebody is: its subject, its number, and until when it says so."""

    subject: str
    token_id: str
    ends_at: datetime


@dataclass(slots=True)
class IssuerKeys:
    """The keys of one issuer as they were last fetched."""

    issuer: str
    ca: str = ""
    _keys: Mapping[str, Any] | None = None
    _fetched_at: datetime | None = None
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def claims_of(self, text: str, now: datetime) -> Mapping[str, Any]:
        """What a key of the issuer's signed. Raises Refusal (``invalid_grant``) or Failure."""
        async with self._fetching:
            if self._keys is None:
                await self._fetch(now)
            payload = verified_payload(self._keys or {"keys": []}, text)
            if payload is None and self._fetched_at is not None and now - self._fetched_at >= _FETCH_AGAIN:
                await self._fetch(now)
                payload = verified_payload(self._keys or {"keys": []}, text)
        if payload is None:
            raise _not_taken(f"{self.issuer} did not sign it")
        claims = _object(payload)
        if claims is None:
            raise _not_taken("it says nothing that can be read")
        return claims

    async def _fetch(self, now: datetime) -> None:
        self._fetched_at = now
        said = await self._get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        address = said.get("jwks_uri")
        if said.get("issuer") != self.issuer or not isinstance(address, str) or not address.startswith("https://"):
            raise Failure(
                f"{self.issuer} describes itself as another issuer, or not at all.",
                "Check the issuer of the workload in interlock.yaml.",
            )
        self._keys = await self._get(address)

    async def _get(self, url: str) -> Mapping[str, Any]:
        try:
            trust = ssl.create_default_context(cafile=self.ca or None)
            async with httpx2.AsyncClient(verify=trust, trust_env=False, timeout=_TIMEOUT) as http:
                answer = await http.get(url)
        except (httpx2.HTTPError, OSError) as error:
            raise Failure(f"{self.issuer} does not answer.", "Try again, or look whether it is up.") from error
        document = _object(answer.content) if len(answer.content) <= _LIMIT_BYTES else None
        if answer.is_error or document is None:
            raise Failure(f"{self.issuer} answers with an error.", "Try again, or look whether it is up.")
        return document


@dataclass(slots=True)
class WorkloadTokens:
    """Reads tokens for ``audience``, this server's own name unless a workload names another."""

    audience: str
    _issuers: dict[tuple[str, str], IssuerKeys] = field(default_factory=dict)

    async def read(self, workload: Workload, text: str, now: datetime) -> Job:
        """Raises Refusal (``invalid_grant``), which names the claim that does not fit, or Failure."""
        _check_header(text)
        keys = self._issuers.setdefault((workload.issuer, workload.ca), IssuerKeys(workload.issuer, workload.ca))
        claims = await keys.claims_of(text, now)
        if claims.get("iss") != workload.issuer:
            raise _not_taken("it is another issuer's")
        audience = claims.get("aud")
        # A token for several servers could be used by one of them at another.
        wanted = workload.audience or self.audience
        if (audience if isinstance(audience, list) else [audience]) != [wanted]:
            raise _not_taken(f"it was made for another audience than {wanted}")
        ends_at = _check_times(claims, now)
        for name, allowed in sorted(workload.claims.items()):
            if _text_of(claims.get(name)) not in allowed:
                raise _not_taken(f"its claim {name} is not what the workload {workload.name} has")
        subject, number = claims.get("sub"), claims.get("jti")
        if not isinstance(subject, str) or not 0 < len(subject) <= 1000:
            raise _not_taken("it names no subject")
        # Not every issuer numbers its tokens; what was signed is as good a number.
        digest = hashlib.sha256(text.rpartition(".")[0].encode()).hexdigest()
        return Job(subject, number if isinstance(number, str) and 0 < len(number) <= 256 else digest, ends_at)


def rule_of(workload: Workload) -> str:
    """A digest of what makes somebody this workload. A token that was given under another rule opens nothing."""
    return hashlib.sha256(canonical(to_plain(workload))).hexdigest()


def _check_header(text: str) -> None:
    if len(text) > LONGEST_TEXT or not text.isascii():
        raise _not_taken("it is no signed token")
    head = text.partition(".")[0]
    header = _object(_unpadded(head))
    if header is None:
        raise _not_taken("it is no signed token")
    kind = header.get("typ", "")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES or "crit" in header:
        raise _not_taken("it is a token of another kind")


def _check_times(claims: Mapping[str, Any], now: datetime) -> datetime:
    exp, iat = _moment(claims.get("exp")), _moment(claims.get("iat"))
    begins = _moment(claims["nbf"]) if "nbf" in claims else iat
    if exp is None or iat is None or begins is None:
        raise _not_taken("it does not say when it was made and when it ends")
    if now >= exp + SKEW:
        raise _not_taken("it is over")
    if max(iat, begins) > now + SKEW:
        raise _not_taken("it is from the future")
    return exp


def _text_of(value: object) -> str | None:
    """A claim as it is written in a rule; None for what is no single value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None


def _unpadded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def _object(content: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _moment(value: object) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11:
        return datetime.fromtimestamp(value, UTC)
    return None


def _not_taken(why: str) -> Refusal:
    return Refusal(
        "invalid_grant", f"The job's token is not taken: {why}.", "Compare it with the workload in interlock.yaml."
    )
