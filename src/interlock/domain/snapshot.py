"""What a gateway worker knows: the state of the world at one version, typed and read-only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from interlock.domain.grants import Grant, Login
from interlock.domain.people import Contract, Person


@dataclass(frozen=True, slots=True)
class UpstreamCredential:
    """The resolved credential of a resource. Never logged, recorded or shown; kept in memory only."""

    user: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PolicyText:
    """The active policy: the YAML as written, the Cedar files beside it (name to text), and its digest."""

    version: int
    digest: str
    yaml: str
    cedar: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeldRequest:
    """How a held statement's request stands: its state, and the sentence for the client when it ended."""

    id: str
    state: str
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a worker decides from. ``version`` is the ledger position it includes.

    ``people``, ``contracts``, ``grants``, ``logins`` hold what is not over; what ended leaves the maps, so that
    absence is the one sign of an end. ``credentials`` is keyed by the resource's name; ``cuts`` maps the id of a live
    session that somebody ordered to be cut to the sentence for its client, ``alarms`` one whose next statement is to
    be approved by another person to the sentence that says why. ``accounts`` has a person's own account on a resource,
    by its grant.
    """

    version: int
    at: datetime
    policy: PolicyText
    people: Mapping[str, Person] = field(default_factory=dict)
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    grants: Mapping[str, Grant] = field(default_factory=dict)
    logins: Mapping[str, Login] = field(default_factory=dict)
    credentials: Mapping[str, UpstreamCredential] = field(default_factory=dict)
    held: Mapping[str, HeldRequest] = field(default_factory=dict)
    cuts: Mapping[str, str] = field(default_factory=dict)
    alarms: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, UpstreamCredential] = field(default_factory=dict)
