"""How much an event's fields say, so that what leaves the ledger can be chosen by it.

A field is classed by its name, which means the same in every event. What is not classed is secret: an event that
gains a field shows it to nobody until somebody has thought about it, and a test asks them to.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Sensitivity(StrEnum):
    """``public``: numbers, digests, kinds, names of rules and resources. ``sensitive``: what speaks of a person, or
    was written by one. ``secret``: what may hold the contents of a protected system, such as a statement's text."""

    PUBLIC = "public"
    SENSITIVE = "sensitive"
    SECRET = "secret"  # noqa: S105 -- a class of fields, no password


_PUBLIC = (
    "agreed",
    "alone",
    "answer",
    "approval",
    "artifact",
    "deploys",
    "base",
    "blocked_until",
    "build_digest",
    "chain",
    "client_kind",
    "closed_at",
    "connections",
    "content_digest",
    "contract",
    "count",
    "delegation",
    "detection",
    "digest",
    "digests",
    "due",
    "duty",
    "duty_id",
    "end",
    "environment",
    "ends_at",
    "entry",
    "expires_at",
    "evidences",
    "evidence",
    "first",
    "gateway",
    "generation",
    "grant",
    "grants",
    "how",
    "hold",
    "identity_kind",
    "invitation",
    "key",
    "left",
    "login",
    "model_sha256",
    "notifier",
    "older",
    "older_until",
    "opened_at",
    "parts",
    "passes",
    "passkey",
    "passwords",
    "presence",
    "present_at",
    "previous",
    "recording",
    "refused",
    "records",
    "request",
    "request_kind",
    "resource",
    "resource_kind",
    "response",
    "role",
    "roles",
    "rows",
    "scopes",
    "segments",
    "session",
    "sessions",
    "signatures",
    "start",
    "starts_at",
    "state",
    "statements",
    "until",
    "vendor",
    "version",
    "what",
    "why",
    "workload",
    "works",
)
_SENSITIVE = (
    "account",
    "actor",
    "address",
    "allowed_by",
    "before",
    "by",
    "client",
    "envelope",
    "groups",
    "helpers",
    "name",
    "owner",
    "person",
    "purpose",
    "reason",
    "redirect_uris",
    "shown",
    "sentence",
    "sponsor",
    "subject",
    "told",
    "confirmed_by",
)
_SECRET = ("content",)

FIELDS: Mapping[str, Sensitivity] = MappingProxyType(
    dict.fromkeys(_PUBLIC, Sensitivity.PUBLIC)
    | dict.fromkeys(_SENSITIVE, Sensitivity.SENSITIVE)
    | dict.fromkeys(_SECRET, Sensitivity.SECRET)
)
"""Every field's class by its name. ``key`` is a key's thumbprint, never a key."""


def sensitivity_of(field: str) -> Sensitivity:
    return FIELDS.get(field, Sensitivity.SECRET)
