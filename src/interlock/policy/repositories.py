"""Forges and repositories, as the configuration has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class ForgeSource:
    """Where changes are reviewed. ``token`` and ``webhook`` say where our token there, and the secret that its messages
    are signed with, are kept. ``bots`` are accounts that are programs, besides those of which the forge says so.

    A login there is the identity of the kind ``name`` of a person.
    """

    name: str
    kind: str
    url: str
    webhook: str
    token: str | None = None
    bots: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Builder:
    """What builds from a repository: its public key (base64 of the DER form) and the person it counts as."""

    name: str
    key: str
    owner: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a repository is deployed to; ``role`` on ``resource`` is lent through the gate alone.

    ``lend``: for so long at most it is lent as soon as the gate is open, with no approval but those of the chain; None:
    the role's own approvals are needed besides.
    """

    name: str
    resource: str = ""
    role: str = ""
    lend: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Checks:
    """Which checks of a forge are the duty ``duty``: all of ``names``, by the application ``by``."""

    duty: str
    names: frozenset[str]
    by: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository whose changes are carried by a chain. ``since``: the commit from which on they are.

    ``reviews`` is the duty that a forge's approvals are; the chain's first duty is to write the change. ``ci_duty`` is
    the duty that a change needs besides when it touches what CI runs, and ``ci_files`` are patterns of more such files.
    """

    name: str
    origin: str
    branch: str
    since: str
    chain: str
    reviews: str
    forge: str = ""
    project: str = ""
    ci_duty: str = ""
    ci_files: tuple[str, ...] = ()
    checks: Checks | None = None
    builders: Mapping[str, Builder] = field(default_factory=dict)
    environments: Mapping[str, Environment] = field(default_factory=dict)
