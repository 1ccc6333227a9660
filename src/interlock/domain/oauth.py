"""What the authorization server keeps: clients, and what a person lets a client do for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class ClientKind(StrEnum):
    """How a client came to be known."""

    OWN = "own"
    """Interlock's own command line. Known from the start, kept nowhere."""
    REGISTERED = "registered"
    """Registered itself (RFC 7591). It says of itself what it likes: nothing of that is trusted."""
    DOCUMENT = "document"
    """Named by the https address of its metadata document. What it is, its host answers for."""
    AGENT = "agent"
    """A program with a key of its own and an owner, for whom it counts."""


class Scope(StrEnum):
    """What a token of a client may do."""

    LOGIN = "login"
    """Make the client's key a key of the person: a whole login. For Interlock's own command line alone."""
    READ = "read"
    """See what the person sees: resources, requests, grants, sessions, people, contracts."""


@dataclass(frozen=True, slots=True)
class OauthClient:
    """A program that asks for tokens. ``jwks`` (RFC 7517) is what it signs its assertions with; empty: it has no key
    of its own and is nobody in particular (a public client, held by PKCE and DPoP alone)."""

    id: str
    kind: ClientKind
    name: str
    redirect_uris: tuple[str, ...]
    jwks: Mapping[str, object]
    registered_at: datetime
    owner: str | None = None
    ended_at: datetime | None = None

    @property
    def has_key(self) -> bool:
        return bool(self.jwks)


@dataclass(frozen=True, slots=True)
class Delegation:
    """A person lets a client act for them, as long as the login in which they said so lasts.

    ``code_hash`` is SHA-256 (hex) of the authorization code, or of the device code, which is exchanged once.
    ``key`` is the thumbprint that every token of it is bound to; empty until the code is exchanged, when the client did
    not say it before. ``generation`` counts the refresh tokens: the last one alone works, and any earlier one that is
    shown ends the whole. ``actor`` is the agent that acts, when a token was exchanged for one (RFC 8693).
    """

    id: str
    person: str
    login: str
    client: str
    scopes: frozenset[str]
    key: str
    code_hash: str
    challenge: str
    redirect_uri: str
    given_at: datetime
    code_until: datetime
    ends_at: datetime
    exchanged_at: datetime | None = None
    generation: int = 0
    actor: str | None = None
    ended_at: datetime | None = None
    ended_reason: str = ""

    def active(self, at: datetime) -> bool:
        return self.ended_at is None and self.given_at <= at < self.ends_at


@dataclass(frozen=True, slots=True)
class Passkey:
    """A WebAuthn credential of a person. ``id`` and ``public_key`` (COSE) are base64url; ``uses`` its signature counter
    as it was last seen: one that goes back is a copy."""

    id: str
    person: str
    public_key: str = field(repr=False)
    uses: int
    name: str
    added_at: datetime
    used_at: datetime | None = None
    ended_at: datetime | None = None
