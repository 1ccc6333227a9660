"""Security events that an identity provider tells us (RFC 8417), about the subjects that it signs in.

Taken is what one of its own keys signed, for us, of the type ``secevent+jwt``, about a subject by ``iss_sub``: an
address alone names nobody.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from interlock.errors import Refusal
from interlock.identity.oidc import OidcProvider
from interlock.ports.state import ReplayCache

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
_OLDEST = timedelta(days=1)
_SKEW = timedelta(seconds=120)


class Happened(StrEnum):
    """What an event means here."""

    SIGNED_OUT = "signed-out"
    DISABLED = "disabled"


EVENTS: Mapping[str, Happened] = {
    f"{CAEP}session-revoked": Happened.SIGNED_OUT,
    f"{CAEP}credential-change": Happened.SIGNED_OUT,
    f"{RISC}sessions-revoked": Happened.SIGNED_OUT,
    f"{RISC}account-credential-change-required": Happened.SIGNED_OUT,
    f"{RISC}account-disabled": Happened.DISABLED,
    f"{RISC}account-purged": Happened.DISABLED,
}


@dataclass(frozen=True, slots=True)
class Signal:
    """``happened`` is None for an event that means nothing here, such as the test of a stream. ``jti`` is what it is
    known by when it comes again, until ``until``."""

    issuer: str
    subject: str
    happened: Happened | None
    jti: str
    until: datetime

    async def came_before(self, replays: ReplayCache) -> bool:
        return await replays.was_used(f"signal:{self.issuer}", self.jti)

    async def is_done(self, replays: ReplayCache) -> None:
        """INVARIANT: remembered after it was acted on, never before: when something fails it is told again."""
        await replays.first_use(f"signal:{self.issuer}", self.jti, self.until)


async def read_signal(provider: OidcProvider, text: str, *, audiences: frozenset[str], now: datetime) -> Signal:
    """What a token says. Raises Refusal (``invalid_request``, ``invalid_key`` …)."""
    if _type(text) != "secevent+jwt":
        raise _refused("invalid_request", "it is no security event token")
    try:
        claims = await provider.verified(text)
    except Refusal as refusal:
        raise _refused("invalid_key", "the provider did not sign it") from refusal
    if claims.get("iss") != provider.settings.issuer:
        raise _refused("invalid_issuer", "it is another provider's")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(one, str) and one in audiences for one in named):
        raise _refused("invalid_audience", "it is for somebody else")
    iat, jti = claims.get("iat"), claims.get("jti")
    if not isinstance(iat, int | float) or isinstance(iat, bool) or not 0 <= iat < 1e11:
        raise _refused("invalid_request", "it has no time")
    at = datetime.fromtimestamp(iat, UTC)
    if not now - _OLDEST <= at <= now + _SKEW:
        raise _refused("invalid_request", "it is too old, or from the future")
    if not isinstance(jti, str) or not 0 < len(jti) <= 256:
        raise _refused("invalid_request", "it has no jti")
    subject, happened = _what(claims, provider.settings.issuer)
    return Signal(provider.settings.issuer, subject, happened, jti, at + _OLDEST + _SKEW)


def _what(claims: Mapping[str, Any], issuer: str) -> tuple[str, Happened | None]:
    events = claims.get("events")
    if not isinstance(events, Mapping) or len(events) != 1:
        raise _refused("invalid_request", "it does not tell one event")
    ((name, event),) = events.items()
    happened = EVENTS.get(name)
    about = claims.get("sub_id") or (event.get("subject") if isinstance(event, Mapping) else None)
    if happened is None:
        return "", None
    if not isinstance(about, Mapping) or about.get("format") != "iss_sub" or about.get("iss") != issuer:
        raise _refused("invalid_request", "it names nobody by issuer and subject (iss_sub)")
    subject = about.get("sub")
    if not isinstance(subject, str) or not subject:
        raise _refused("invalid_request", "it names nobody by issuer and subject (iss_sub)")
    return subject, happened


def _type(text: str) -> str:
    head = text.partition(".")[0]
    try:
        kind = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))).get("typ")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return kind.lower().removeprefix("application/") if isinstance(kind, str) else ""


def _refused(code: str, why: str) -> Refusal:
    return Refusal(code, f"This event is not taken: {why}.", "See docs/sign-in.md.")
