"""What is known of a change of a repository, and what persons did on it.

A *change* is what lies between two commits of the protected branch's first-parent line; each commit of that line is one
*step*: a merge with what it brings, or a single commit. *Evidence* is one duty done on one commit, signed.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Known(StrEnum):
    """How it was known that a duty was done."""

    CLI = "cli"
    REVIEW = "forge-review"
    PUSH = "push"
    CHECK = "forge-check"
    BUILD = "build"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One duty of a chain, done by ``person`` on ``commit`` of ``repository``.

    ``base``: what it was compared with: it is about the commits that ``commit`` has and ``base`` has not. ``landed``:
    the commit as which the forge put the same content onto the branch. ``commits``: of a push, those that it was the
    first to bring. ``subject``: of a build, the digest (``sha256:…``) of what was built. ``source``: what it is
    called where it was done. ``envelope`` is the signed statement (DSSE, JSON).
    """

    id: str
    chain: str
    duty: str
    repository: str
    commit: str
    tree: str
    base: str
    branch: str
    person: str
    how: Known
    at: datetime
    envelope: str
    environment: str = ""
    landed: str = ""
    source: str = ""
    subject: str = ""
    commits: tuple[str, ...] = ()
    voided_at: datetime | None = None
    voided_why: str = ""

    @property
    def counts(self) -> bool:
        return self.voided_at is None


class Signature(StrEnum):
    """``OTHER`` is of a kind that is not verified here; ``BAD`` is one that does not hold."""

    NONE = "none"
    GOOD = "good"
    BAD = "bad"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit says of itself. ``signer`` is the SSH key's fingerprint (``SHA256:…``) of a good signature."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: str
    committer: str
    coauthors: tuple[str, ...] = ()
    signature: Signature = Signature.NONE
    signer: str = ""


@dataclass(frozen=True, slots=True)
class Owned:
    """A path of a step that the base's code owners file gives to ``owners`` (as written there), by its ``pattern``."""

    pattern: str
    owners: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Step:
    """One commit of the first-parent line with what it brings: ``commits`` are those that ``base`` has not.

    ``head`` is the tip that a merge brought, else the commit itself. ``clean``: it is a merge, and merging its two
    parents anew makes the very same tree. ``governed``: changed files that CI runs, or that say who owns what.
    """

    sha: str
    tree: str
    base: str
    head: str
    merge: bool
    clean: bool
    commits: tuple[Commit, ...]
    owned: tuple[Owned, ...] = ()
    governed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """The steps from ``base`` (without it) to ``sha``, oldest first. ``whole``: they lead from the one to the other."""

    base: str
    sha: str
    tree: str
    steps: tuple[Step, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """One reason why a gate stays shut. ``who`` could supply what is missing."""

    code: str
    sentence: str
    who: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate answers. ``rests_on`` are the evidences that it counted, ``carried`` who carried each duty."""

    chain: str
    duty: str
    artifact: str
    environment: str
    person: str
    base: str
    tree: str
    policy: str
    at: datetime
    missing: tuple[Missing, ...] = ()
    rests_on: tuple[str, ...] = ()
    carried: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        return not self.missing
