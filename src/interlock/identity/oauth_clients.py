"""Clients of the authorization server: our own, those that registered themselves, and those named by a document.

A client says of itself where it listens and which keys it has, and is held to that. It is told nothing secret: there
are public clients, held by PKCE and DPoP, and clients with a key of their own (``private_key_jwt``).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from interlock.domain.oauth import ClientKind, OauthClient
from interlock.domain.plain_text import written_out
from interlock.errors import Refusal
from interlock.identity.client_assertions import check_jwks
from interlock.identity.public_fetch import PublicFetch

OWN_ID = "interlock-cli"
OWN = OauthClient(
    OWN_ID,
    ClientKind.OWN,
    "the interlock command line",
    ("http://127.0.0.1/callback", "http://[::1]/callback"),
    {},
    datetime(2026, 1, 1, tzinfo=UTC),
)
_MOST_REDIRECTS = 10
_LONGEST_URI = 2000
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_METHODS = frozenset({"none", "private_key_jwt"})


def read_client(client_id: str, kind: ClientKind, metadata: Mapping[str, Any], at: datetime) -> OauthClient:
    """The client that says ``metadata`` of itself (RFC 7591 section 2). Raises Refusal."""
    redirects = metadata.get("redirect_uris")
    if not isinstance(redirects, list) or not 0 < len(redirects) <= _MOST_REDIRECTS:
        raise _bad(f"redirect_uris must be a list of 1 to {_MOST_REDIRECTS} addresses", "invalid_redirect_uri")
    method = metadata.get("token_endpoint_auth_method", "none")
    if method not in _METHODS:
        raise _bad("token_endpoint_auth_method is none or private_key_jwt: there are no client secrets here")
    if "jwks" in metadata and "jwks_uri" in metadata:
        raise _bad("it names its keys twice, by jwks and by jwks_uri")
    jwks: dict[str, Any] = {}
    if method == "private_key_jwt":
        jwks = check_jwks(metadata.get("jwks"))
    name = metadata.get("client_name", "")
    if not isinstance(name, str) or len(name) > 200:
        raise _bad("client_name is a text of 200 characters at most")
    uris = tuple(check_redirect(uri) for uri in redirects)
    return OauthClient(client_id, kind, written_out(name) or client_id, uris, jwks, at)


async def fetch_client(fetch: PublicFetch, client_id: str, at: datetime, asker: str) -> OauthClient:
    """A client named by the address of its metadata document. ``asker`` is the network of who asks.

    Raises Refusal (``invalid_client``).
    """
    try:
        steps = urlsplit(client_id).path.split("/")
    except ValueError:
        steps = []
    if not any(steps) or {".", ".."} & set(steps):
        raise Refusal("invalid_client", "A client's address has a path of its own.", "Use the document's address.")
    try:
        document = await fetch.fetch_json(client_id, asker)
    except Refusal as refusal:
        raise Refusal("invalid_client", refusal.sentence, refusal.remedy) from refusal
    if document.get("client_id") != client_id:
        raise Refusal(
            "invalid_client", "The document says that it is another client's.", "Its client_id is its own address."
        )
    if {"client_secret", "client_secret_expires_at"} & document.keys():
        raise Refusal("invalid_client", "The document holds a secret that everybody can read.", "Use private_key_jwt.")
    return read_client(client_id, ClientKind.DOCUMENT, document, at)


def check_redirect(uri: object) -> str:
    """An address that a code may be sent to: https, or http on a loopback address (RFC 8252 section 7.3)."""
    if not isinstance(uri, str) or len(uri) > _LONGEST_URI or not uri.isascii() or not uri.isprintable():
        raise _bad("a redirect_uri is not an address", "invalid_redirect_uri")
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        raise _bad("a redirect_uri is not an address", "invalid_redirect_uri") from error
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    plain = bool(parts.hostname) and "@" not in parts.netloc and not parts.fragment and "#" not in uri
    if not plain or "\\" in uri or " " in uri or not (parts.scheme == "https" or loopback):
        raise _bad("a redirect_uri is https without a fragment, or http on 127.0.0.1", "invalid_redirect_uri")
    return uri


def may_redirect(client: OauthClient, uri: str) -> bool:
    """Whether ``uri`` is one of the client's, character by character; on loopback the port is free."""
    if uri in client.redirect_uris:
        return True
    return any(_same_but_port(registered, uri) for registered in client.redirect_uris)


def _same_but_port(registered: str, uri: str) -> bool:
    known = urlsplit(registered)
    if known.scheme != "http" or known.hostname not in _LOOPBACK:
        return False
    try:
        given = urlsplit(check_redirect(uri))
    except Refusal:
        return False
    return (given.scheme, given.hostname, given.path, given.query) == (
        known.scheme,
        known.hostname,
        known.path,
        known.query,
    )


def scopes_of(text: str, known: Sequence[str]) -> frozenset[str]:
    """The scopes in a parameter (RFC 6749 section 3.3). Raises Refusal (``invalid_scope``)."""
    wanted = frozenset(text.split())
    unknown = sorted(wanted - set(known))
    if unknown:
        raise Refusal("invalid_scope", "There is a scope that is not known here.", f"Known are {' '.join(known)}.")
    return wanted


def _bad(why: str, code: str = "invalid_client_metadata") -> Refusal:
    return Refusal(code, f"What the client says of itself is not taken: {why}.", "Mend it.")
