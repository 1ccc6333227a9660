"""DPoP (RFC 9449), both sides: a caller proves, for each single call, that it holds the key its token is bound to.

A proof is good for one method, one address, one token, about a minute, and once. The server's nonce bounds its age by
the server's own clock, so that proofs cannot be made in advance; the replay cache makes it good once.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from interlock.identity.jose import ALGORITHMS, Signer, UnreadableError, Verifier, algorithm_of, unverified
from interlock.identity.keys import PrivateKey, PublicKey, UnusableKeyError, read_public_jwk, thumbprint
from interlock.identity.nonce_secrets import NonceSecrets
from interlock.identity.refusals import NonceNeeded, ProofProblem, ProofRefused
from interlock.ports.clock import Clock
from interlock.ports.state import ReplayCache

PROOF_TYPE = "dpop+jwt"
LEEWAY = timedelta(seconds=120)
"""How far the caller's clock may be from ours, either way. The nonce bounds the age; this finds broken clocks."""

_NONCE_BUCKET_S = 60
_JTI_LONGEST = 128
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class ProofMaker:
    """The client's side: makes one proof for each call."""

    def __init__(self, key: PrivateKey) -> None:
        self._signer = Signer(key)
        self.jkt = thumbprint(key)

    def make(self, *, method: str, url: str, at: datetime, token: str | None = None, nonce: str | None = None) -> str:
        """The value of the ``DPoP`` header for one call (RFC 9449 section 4.2)."""
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": normal_address(url),
            "iat": int(at.timestamp()),
        }
        if token is not None:
            claims["ath"] = token_hash(token)
        if nonce is not None:
            claims["nonce"] = nonce
        return self._signer.sign({"typ": PROOF_TYPE, "jwk": self._signer.jwk}, claims)


class Nonces:
    """The server's nonces (RFC 9449 section 8), without keeping any: a time bucket and its HMAC.

    A nonce is taken for the rest of its minute and the whole next one. Control planes that share the secrets take each
    other's.
    """

    def __init__(self, secrets: NonceSecrets, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    def use(self, secrets: NonceSecrets) -> None:
        self._secrets = secrets

    def current(self) -> str:
        return self._nonce(self._bucket())

    def takes(self, nonce: str) -> bool:
        bucket = self._bucket()
        given = nonce.encode(errors="replace")
        return any(hmac.compare_digest(given, self._nonce(b).encode()) for b in (bucket, bucket - 1))

    def _bucket(self) -> int:
        return int(self._clock.now().timestamp()) // _NONCE_BUCKET_S

    def _nonce(self, bucket: int) -> str:
        secret = self._secrets.of(datetime.fromtimestamp(bucket * _NONCE_BUCKET_S, UTC))
        tag = hmac.digest(secret, b"dpop-nonce" + bucket.to_bytes(8, "big", signed=True), "sha256")
        return base64.urlsafe_b64encode(tag[:18]).decode()


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that passed: the caller holds the key with the thumbprint ``jkt``."""

    jkt: str
    jti: str


class ProofChecker:
    """The server's side."""

    def __init__(self, nonces: Nonces, replays: ReplayCache, clock: Clock) -> None:
        self.nonces = nonces
        self.replays = replays
        self._clock = clock

    async def check(
        self, proof: str | None, *, method: str, url: str, token: str | None = None, bound_to: str | None = None
    ) -> Proof:
        """The proof of one call, checked in the order of RFC 9449 section 4.3. Raises ProofRefused.

        ``url`` is the address that was called; ``token`` the access token that came with the call, if one did, and
        ``bound_to`` the thumbprint it is bound to.
        """
        if not proof:
            raise ProofRefused(ProofProblem.MISSING, "The call carries no proof of its key (the DPoP header).")
        key, claims = _read(proof)
        jti, iat = _jti(claims), _iat(claims)
        _check_target(claims, method, url)
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not self.nonces.takes(nonce):
            raise NonceNeeded
        _check_time(iat, self._clock.now())
        jkt = thumbprint(key)
        _check_token(claims, jkt, token, bound_to)
        # Last, so that only a proof which is right in everything else costs a write.
        if not await self.replays.first_use(jkt, jti, iat + LEEWAY + timedelta(seconds=1)):
            raise ProofRefused(ProofProblem.REPLAY, "This proof was used before.", "Make a fresh one for each call.")
        return Proof(jkt, jti)


def _read(proof: str) -> tuple[PublicKey, dict[str, Any]]:
    """Steps 2 to 7: form, type, algorithm, key, signature."""
    try:
        header, claims = unverified(proof)
    except UnreadableError as error:
        raise ProofRefused(ProofProblem.UNREADABLE, f"The proof cannot be read: {error}.") from error
    if header.get("typ") != PROOF_TYPE:
        raise ProofRefused(ProofProblem.TYPE, f"The proof's type is not {PROOF_TYPE}.")
    try:
        key = read_public_jwk(header.get("jwk"))
    except UnusableKeyError as error:
        raise ProofRefused(ProofProblem.KEY, f"The proof's key is not taken: {error}.") from error
    if header["alg"] != algorithm_of(key):
        raise ProofRefused(
            ProofProblem.ALGORITHM, f"The proof's algorithm is not its key's; taken are {', '.join(ALGORITHMS)}."
        )
    try:
        Verifier(key).verify(proof)
    except UnreadableError as error:
        raise ProofRefused(ProofProblem.SIGNATURE, f"The proof is not good: {error}.") from error
    return key, claims


def _jti(claims: dict[str, Any]) -> str:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _JTI_LONGEST or not jti.isprintable():
        raise ProofRefused(ProofProblem.CLAIMS, "The proof lacks a usable jti.")
    return jti


def _iat(claims: dict[str, Any]) -> datetime:
    iat = claims.get("iat")
    if isinstance(iat, int | float) and not isinstance(iat, bool) and 0 <= iat < 1e11:
        return datetime.fromtimestamp(iat, UTC)
    raise ProofRefused(ProofProblem.CLAIMS, "The proof lacks a usable iat.")


def _check_target(claims: dict[str, Any], method: str, url: str) -> None:
    """Steps 8 and 9."""
    if claims.get("htm") != method:
        raise ProofRefused(ProofProblem.METHOD, "The proof was made for another method.")
    htu = claims.get("htu")
    try:
        matches = isinstance(htu, str) and normal_address(htu) == normal_address(url)
    except ValueError:
        matches = False
    if not matches:
        raise ProofRefused(ProofProblem.ADDRESS, "The proof was made for another address.")


def _check_time(iat: datetime, now: datetime) -> None:
    """Step 11."""
    if abs(now - iat) > LEEWAY:
        off_s = (iat - now).total_seconds()
        raise ProofRefused(
            ProofProblem.TIME,
            f"The proof's time is {abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} the server's.",
            "Set this machine's clock.",
        )


def _check_token(claims: dict[str, Any], jkt: str, token: str | None, bound_to: str | None) -> None:
    """Step 12."""
    if token is None:
        return
    ath = claims.get("ath")
    if not isinstance(ath, str) or not hmac.compare_digest(ath.encode(errors="replace"), token_hash(token).encode()):
        raise ProofRefused(ProofProblem.TOKEN, "The proof was not made for this token.")
    if jkt != bound_to:
        raise ProofRefused(ProofProblem.BINDING, "The token is bound to another key than the proof's.")


def token_hash(token: str) -> str:
    """``ath``: base64url of the token's SHA-256."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


def normal_address(url: str) -> str:
    """``url`` without query and fragment, in the one spelling of RFC 3986 sections 6.2.2 and 6.2.3.

    Raises ValueError for what is no https address.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if parts.scheme.lower() != "https" or not host or "@" in parts.netloc:
        raise ValueError("not an https address")
    port = parts.port
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port in (None, 443) else f"{shown}:{port}"
    return f"https://{authority}{_normal_path(parts.path)}"


def _normal_path(path: str) -> str:
    def one(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    return re.sub("%([0-9A-Fa-f]{2})", one, path) or "/"
