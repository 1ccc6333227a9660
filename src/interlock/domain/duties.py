"""Duties: steps of a chain over one artifact, each carried by one person."""

import re
from dataclasses import dataclass
from datetime import datetime

ARTIFACT_KINDS = ("commit", "change", "migration", "payment", "git")
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@:#+-]{0,199}")


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a chain is about: a commit, a change ticket, a migration or a payment, by the name it has elsewhere.

    ``git:REPOSITORY@HASH`` is a commit whose repository is read: what is done on it is evidence (``domain.delivery``).
    """

    kind: str
    reference: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.reference}"


def read_artifact(text: str) -> Artifact | None:
    """``KIND:REFERENCE``; None for anything else, so that two spellings are never two artifacts.

    A commit's name is its full hash, in lower case: a short one may mean another commit tomorrow.
    """
    kind, _, reference = text.partition(":")
    if kind not in ARTIFACT_KINDS or _REFERENCE.fullmatch(reference) is None:
        return None
    if kind == "commit" and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", reference) is None:
        return None
    if kind == "git" and read_revision(reference) is None:
        return None
    return Artifact(kind, reference)


@dataclass(frozen=True, slots=True)
class Revision:
    """One commit of one repository, by the repository's name in the configuration and the commit's full hash."""

    repository: str
    commit: str

    def __str__(self) -> str:
        return f"git:{self.repository}@{self.commit}"


def read_revision(reference: str) -> Revision | None:
    """``REPOSITORY@HASH``, the part of a ``git:`` artifact behind the colon; None for anything else."""
    found = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})@([0-9a-f]{40}|[0-9a-f]{64})", reference)
    return None if found is None else Revision(found[1], found[2])


@dataclass(frozen=True, slots=True)
class Duty:
    """One duty of a chain over one artifact, carried by ``person``: taken, then done on ``content``, or voided.

    ``content`` is the digest (or other name) of what the duty was done on; empty until it is done.
    """

    id: str
    chain: str
    artifact: str
    duty: str
    person: str
    taken_at: datetime
    content: str = ""
    done_at: datetime | None = None
    voided_at: datetime | None = None
    voided_why: str = ""

    @property
    def carried(self) -> bool:
        return self.voided_at is None

    @property
    def done(self) -> bool:
        return self.done_at is not None and self.voided_at is None
