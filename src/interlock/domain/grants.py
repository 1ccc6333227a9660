"""Requests, approvals and grants: how a permission comes to be, and when it ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from interlock.domain.roles import ApprovalRule


class RequestKind(StrEnum):
    GRANT = "grant"
    STATEMENT = "statement"
    DELETION = "deletion"
    LIFTING = "lifting"
    POLICY = "policy"
    REVIEW = "review"


class RequestState(StrEnum):
    """``open`` moves to exactly one of the others and stays; only ``approved`` may still move, to ``used``.

    A grant's request goes ``open → approved`` in the transaction that makes the grant. A held statement's
    goes ``open → approved → used``, the last when the gateway takes the approval to run it, once; a change of the
    policy likewise, the last when somebody activates it. A review goes ``open → approved``, and nowhere else.
    """

    OPEN = "open"
    APPROVED = "approved"
    USED = "used"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Request:
    """The ask for a grant, for one held statement, for a change of the policy, or for the review of a broken glass,
    bound to its exact content.

    ``content`` is what the approvers decide on, as plain JSON; ``digest`` is the SHA-256 (hex) of its
    canonical bytes. For a grant: person, role, resource, duration_s, reason, key. For a statement: person,
    resource, session, statement number, text, parameters, impact. For a deletion: the recordings with their last
    hashes, reason. For the lifting of a legal hold: the hold, reason. For a policy: person, the digests of the policy
    and of the one it changes, the changes in sentences. For a review: what was taken without asking, and who was told.
    ``key`` is the RFC 7638 thumbprint of the requester's key, to which a grant is bound.
    ``rules`` were read from the policy when the request was opened and are part of the content's digest.
    ``artifact`` is what the grant is asked for (``change:CH-17``), empty when for nothing in particular.
    ``decided_by`` and ``decided_reason`` say who ended it and why, for the person who waits.
    """

    id: str
    kind: RequestKind
    person: str
    resource: str
    role: str
    content: Mapping[str, object]
    digest: str
    rules: tuple[ApprovalRule, ...]
    reason: str
    key: str
    opened_at: datetime
    expires_at: datetime
    state: RequestState = RequestState.OPEN
    decided_at: datetime | None = None
    session: str | None = None
    duration: timedelta | None = None
    decided_by: str | None = None
    decided_reason: str = ""
    artifact: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes to one request, to exactly this ``digest``, with the time of that person's proof of presence."""

    request: str
    person: str
    digest: str
    at: datetime
    present_at: datetime | None


@dataclass(frozen=True, slots=True)
class Grant:
    """A role lent to a person on one resource for a window of time: the only way to have access.

    The window is fixed when the last approval lands and never moves again.
    """

    id: str
    request: str
    person: str
    role: str
    resource: str
    key: str
    starts_at: datetime
    ends_at: datetime
    contract: str | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    ended_reason: str = ""

    def active(self, at: datetime) -> bool:
        return self.ended_at is None and self.starts_at <= at < self.ends_at


@dataclass(frozen=True, slots=True)
class Login:
    """A person signed in with one key until ``ends_at``; the certificate and tokens rest on it.

    ``workload`` names the workload whose job it is, with the job's own key; no token of a person rests on such a one.
    ``rule`` is the digest of what the configuration then said of the workload: it ends when that changes.
    """

    id: str
    person: str
    key: str
    signed_in_at: datetime
    ends_at: datetime
    present_at: datetime | None
    ended_at: datetime | None = None
    workload: str = ""
    rule: str = ""

    def active(self, at: datetime) -> bool:
        return self.ended_at is None and self.signed_in_at <= at < self.ends_at


@dataclass(frozen=True, slots=True)
class Activity:
    """One session as the control plane knows it: who, what, when, on which grants.

    ``rows`` and ``refused`` are what it was last said to have come to. ``held_why`` is set when a detection wants
    another person to approve its next statement.
    """

    id: str
    person: str
    resource: str
    login: str
    grants: tuple[str, ...]
    gateway: str
    address: str
    client: str
    opened_at: datetime
    closed_at: datetime | None = None
    closed_why: str = ""
    statements: int = 0
    cut_why: str = ""
    recording: str = ""
    rows: int = 0
    refused: int = 0
    held_why: str = ""
