"""Signing in through a company's identity provider (OpenID Connect Core 1.0): our side as a client of theirs.

Code with PKCE, nonce and state; the answer's ``iss`` (RFC 9207) and the ID token's issuer are the provider that was
asked. The provider's keys and addresses come from its own discovery document, over TLS, and are fetched anew when a key
is not known. Nothing of a provider is believed but a signed ID token that was made for us, now.
"""

import base64
import hashlib
import json
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx2
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from interlock.errors import Failure, Refusal
from interlock.policy.configuration import Provider

ALGORITHMS = ("RS256", "PS256", "ES256", "Ed25519", "EdDSA")
SKEW = timedelta(seconds=120)
_LIMIT_BYTES = 256 * 1024
_TIMEOUT = httpx2.Timeout(10, connect=5)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was sent to a provider: to be kept by us until it answers."""

    provider: str
    state: str
    nonce: str
    verifier: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Told:
    """Who signed in, as the provider signed it; ``present_at`` is when, if it says so of more than one factor."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]
    present_at: datetime | None


@dataclass(slots=True)
class OidcProvider:
    """One provider. ``secret`` is ours with it; empty for a public client."""

    name: str
    settings: Provider
    secret: str = field(default="", repr=False)
    _metadata: Mapping[str, Any] | None = None
    _keys: Mapping[str, Any] | None = None

    async def ask(self, redirect_uri: str, max_age: timedelta) -> tuple[str, Asked]:
        """The address to send the browser to, and what to keep."""
        metadata = await self._discover()
        asked = Asked(
            provider=self.name,
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            redirect_uri=redirect_uri,
        )
        digest = hashlib.sha256(asked.verifier.encode()).digest()
        fields = {
            "client_id": self.settings.client_id,
            "response_type": "code",
            "scope": "openid email profile",
            "redirect_uri": redirect_uri,
            "state": asked.state,
            "nonce": asked.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "max_age": str(int(max_age.total_seconds())),
        }
        return f"{metadata['authorization_endpoint']}?{urlencode(fields)}", asked

    async def take(self, asked: Asked, code: str, answered_by: str | None, now: datetime) -> Told:
        """Who the code stands for; ``answered_by`` is the answer's ``iss``. Raises Refusal (``bad-answer``)."""
        metadata = await self._discover()
        issuer = str(metadata["issuer"])
        says_so = metadata.get("authorization_response_iss_parameter_supported") is True
        # Mix-up between providers: an answer of another one must not be taken to this one's token endpoint.
        if answered_by is not None and answered_by != issuer:
            raise _bad("another provider answered than the one that was asked")
        if answered_by is None and says_so:
            raise _bad("the answer does not say whose it is (iss)")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asked.redirect_uri,
            "code_verifier": asked.verifier,
            "client_id": self.settings.client_id,
        }
        if self.secret:
            form["client_secret"] = self.secret
        said = await self._post(str(metadata["token_endpoint"]), form)
        token = said.get("id_token")
        if not isinstance(token, str):
            raise _bad("the provider gave no ID token")
        return self._read(await self.verified(token), issuer, asked, now)

    def _read(self, claims: Mapping[str, Any], issuer: str, asked: Asked, now: datetime) -> Told:
        """OpenID Connect Core section 3.1.3.7."""
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != issuer or named != [self.settings.client_id]:
            raise _bad("the ID token was made by or for somebody else")
        if claims.get("nonce") != asked.nonce:
            raise _bad("the ID token answers another question (nonce)")
        exp, iat = _moment(claims.get("exp")), _moment(claims.get("iat"))
        if exp is None or iat is None or now >= exp + SKEW or iat > now + SKEW:
            raise _bad("the ID token is over, or from the future")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise _bad("the ID token names nobody")
        factors = claims.get("amr")
        several = isinstance(factors, list) and "mfa" in factors
        when = _moment(claims.get("auth_time"))
        present_at = min(when, now) if several and when is not None else None
        return Told(issuer, subject, claims, present_at)

    async def verified(self, token: str) -> Mapping[str, Any]:
        """The claims that one of the provider's keys signed. Raises Refusal (``bad-answer``) or Failure."""
        for fresh in (False, True):
            if self._keys is None or fresh:
                self._keys = await self._get(await self._keys_at())
            payload = verified_payload(self._keys, token)
            if payload is None:
                continue
            try:
                claims = json.loads(payload)
            except (ValueError, RecursionError):
                continue
            if isinstance(claims, Mapping):
                return claims
        raise _bad("the ID token was not signed by the provider")

    async def _keys_at(self) -> str:
        """Where the keys are: of a provider, or of somebody who only tells us of security events (SSF)."""
        try:
            return str((await self._discover())["jwks_uri"])
        except Failure:
            said = await self._get(self.settings.issuer.rstrip("/") + "/.well-known/ssf-configuration")
            address = said.get("jwks_uri")
            if said.get("issuer") != self.settings.issuer or not str(address).startswith("https://"):
                raise
        return str(address)

    async def _discover(self) -> Mapping[str, Any]:
        if self._metadata is None:
            found = await self._get(self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
            needed = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
            sound = all(isinstance(found.get(name), str) for name in needed)
            secure = sound and all(str(found[name]).startswith("https://") for name in needed)
            if not secure or found["issuer"] != self.settings.issuer:
                raise Failure(
                    f"The identity provider {self.name} describes itself as another, or not at all.",
                    f"Check its issuer in interlock.yaml: {self.settings.issuer}",
                )
            self._metadata = found
        return self._metadata

    async def _get(self, url: str) -> Mapping[str, Any]:
        return await self._call("GET", url, None)

    async def _post(self, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        return await self._call("POST", url, form)

    async def _call(self, method: str, url: str, form: Mapping[str, str] | None) -> Mapping[str, Any]:
        try:
            trust = ssl.create_default_context(cafile=self.settings.ca or None)
            async with httpx2.AsyncClient(verify=trust, trust_env=False, timeout=_TIMEOUT) as http:
                answer = await http.request(method, url, data=None if form is None else dict(form))
                content = answer.content
            document = json.loads(content) if len(content) <= _LIMIT_BYTES else None
        except (httpx2.HTTPError, OSError, ValueError, RecursionError) as error:
            raise Failure(
                f"The identity provider {self.name} does not answer.", "Try again, or sign in another way."
            ) from error
        if answer.is_error and form is not None:
            raise _bad("the provider did not take the code")
        if answer.is_error or not isinstance(document, Mapping):
            raise Failure(f"The identity provider {self.name} answers with an error.", "Tell its operator.")
        return document


def verified_payload(jwks: Mapping[str, Any], token: str) -> bytes | None:
    """What one of the provider's keys signed, or None. Raises Failure when the keys cannot be read."""
    try:
        # Symmetric keys are left out: with one, whoever knows it could sign.
        usable = [key for key in jwks["keys"] if key.get("kty") in ("RSA", "EC", "OKP")]
        keys = KeySet.import_key_set({"keys": usable})
    except (JoseError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise Failure("The keys of an identity provider cannot be read.", "Tell its operator.") from error
    try:
        return jws.deserialize_compact(token, keys, algorithms=ALGORITHMS).payload
    except (JoseError, ValueError, TypeError, RecursionError):
        return None


def _moment(value: object) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11:
        return datetime.fromtimestamp(value, UTC)
    return None


def _bad(why: str) -> Refusal:
    return Refusal("bad-answer", f"This sign-in cannot be taken: {why}.", "Begin again on the sign-in page.")
