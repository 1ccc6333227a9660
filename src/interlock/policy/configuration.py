"""The configuration as it was understood: every name in it stands for something, every rule can be met.

Made by :func:`interlock.policy.load.load_configuration` and by nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from interlock.domain.actions import Action
from interlock.domain.detections import Detection
from interlock.domain.notices import NoticeKind
from interlock.domain.people import Contract, Identity, Person, Vendor
from interlock.domain.resources import Resource
from interlock.domain.retention import Retention
from interlock.domain.roles import ApprovalRule, Role
from interlock.domain.sensitivity import Sensitivity
from interlock.policy.repositories import ForgeSource, Repository

CONSOLE = "console"
"""The name under ``listen`` of the console and the API; every other name there is a protocol's."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or to connect. Port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things last.

    ``lease``: a gateway that has not heard for so long decides nothing. ``hold``: a held statement waits so long for
    its approval. ``login``: the longest login. ``presence``: how fresh an approver's proof of presence must be.
    ``request``: how long a request for a grant stays open. ``measure``, ``lock_wait``: the limits under which the
    impact of a held statement is measured.
    """

    lease: timedelta = timedelta(seconds=10)
    hold: timedelta = timedelta(minutes=10)
    login: timedelta = timedelta(hours=8)
    presence: timedelta = timedelta(minutes=5)
    request: timedelta = timedelta(hours=24)
    measure: timedelta = timedelta(seconds=15)
    lock_wait: timedelta = timedelta(seconds=2)


class SeparationKind(StrEnum):
    SEPARATE = "separate"
    BIND = "bind"
    INDEPENDENT = "independent"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    CONFLICT = "conflict"


class ConflictKind(StrEnum):
    """When roles are in conflict: ``static``: they are not both held · ``dynamic``: no session rests on one while a
    session of the same person rests on the other · ``historic``: who acted under one over an artifact does not act
    under another over it."""

    STATIC = "static"
    DYNAMIC = "dynamic"
    HISTORIC = "historic"


class Control(StrEnum):
    """How a mitigation works: it keeps the harm from happening, or finds it."""

    PREVENTIVE = "preventive"
    DETECTIVE = "detective"


@dataclass(frozen=True, slots=True)
class Mitigation:
    """Until ``until`` these ``people`` may be in the conflict, because ``control`` stands in for it. Then no more."""

    control: str
    kind: Control
    until: datetime
    people: frozenset[str]


@dataclass(frozen=True, slots=True)
class Risk:
    """What could happen if the conflict were not kept, and who answers for that."""

    text: str = ""
    owner: str = ""
    mitigation: Mitigation | None = None


@dataclass(frozen=True, slots=True)
class Separation:
    """A constraint over roles (``conflict``) or over the duties of a chain (all others).

    ``names`` are the roles or duties it speaks of. ``count`` is the number of persons of ``at_least`` and ``at_most``;
    ``by`` is what differs in ``independent``: ``vendor`` or ``team``; ``conflict`` which kind of conflict it is.
    """

    kind: SeparationKind
    names: tuple[str, ...]
    count: int | None = None
    by: str | None = None
    conflict: ConflictKind = ConflictKind.STATIC
    risk: Risk = field(default_factory=Risk)

    def mitigated(self, person: str, at: datetime) -> bool:
        """Whether ``person`` may be in this conflict at ``at``. INVARIANT: an expired mitigation mitigates nothing."""
        found = self.risk.mitigation
        return found is not None and person in found.people and at < found.until


@dataclass(frozen=True, slots=True)
class Claims:
    """What a chain is said to withstand; ``interlock prove`` says whether it is true."""

    min_persons: int = 1
    min_vendors: int = 1
    survives_absences: int = 0


@dataclass(frozen=True, slots=True)
class Chain:
    """The ordered duties over one artifact, and the separations that hold between them.

    ``takers`` says for a duty who may carry it; of one that is not named, everybody may.
    ``roles`` says under which role a duty is carried: who is lent that role for an artifact carries the duty over it.
    ``refuses_dead_ends``: a duty is not to be taken by somebody with whom the chain could not be finished.
    """

    name: str
    duties: tuple[str, ...]
    separations: tuple[Separation, ...] = ()
    claims: Claims | None = None
    takers: Mapping[str, ApprovalRule] = field(default_factory=dict)
    refuses_dead_ends: bool = False
    roles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Objects:
    """Where the ledger and the recordings are kept, by URL; empty: in the data folder. ``endpoint`` is that of a store
    which speaks S3 and is not Amazon's; ``credentials`` names a file, and is empty where the environment has them."""

    ledger: str = ""
    recordings: str = ""
    endpoint: str = ""
    region: str = ""
    credentials: str = ""


@dataclass(frozen=True, slots=True)
class WitnessSource:
    """Where a witness answers, and its key (``name+number+key``)."""

    url: str
    key: str


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Those that are asked to cosign the ledger's checkpoints, and how many must have."""

    of: tuple[WitnessSource, ...] = ()
    need: int = 0


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider (OpenID Connect). ``secret`` says where ours with it is kept, ``ca`` names a file with the
    authorities that certify it, when they are not this machine's.

    ``claim`` in one of ``domains``, verified by the provider, names the person at the first sign-in; without domains
    only the configuration links.
    """

    issuer: str
    client_id: str
    secret: str | None = None
    ca: str = ""
    claim: str = "email"
    domains: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told, by security events, that a person's sessions, credentials or account ended (RFC 8935).

    ``to`` is where events are pushed, ``audience`` for whom they are made; ``secret`` says where its token is kept.
    """

    name: str
    to: str
    audience: str
    secret: str | None = None
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """A job of a CI system, known by the token that its provider signs (OpenID Connect) when the token's ``claims``
    are, each, one of the values that stand here. It counts as its ``owner``.

    ``audience`` is what the token must be made for; empty: this server's own name. ``ca`` as for a provider.
    """

    name: str
    owner: str
    issuer: str
    claims: Mapping[str, frozenset[str]]
    audience: str = ""
    ca: str = ""


@dataclass(frozen=True, slots=True)
class OpenBao:
    """A transit engine. ``token`` says where the token is kept; ``ledger`` and ``recordings`` name keys in it, or are
    empty; ``ca`` names a file with the authorities of its certificate, when they are not this machine's."""

    address: str
    token: str
    mount: str = "transit"
    ca: str = ""
    ledger: str = ""
    recordings: str = ""


@dataclass(frozen=True, slots=True)
class Scim:
    """The company's directory. ``secret`` says where the secret is kept that it brings.

    ``groups`` are those that it may fill; ``most_ends`` bounds how many persons it may end within an hour.
    """

    secret: str
    groups: frozenset[str] = frozenset()
    most_ends: int = 20


@dataclass(frozen=True, slots=True)
class SinkSource:
    """A place that is told what happens. ``secret`` is where its token is kept; ``show``: fields up to this class.

    ``enforced``: while it is not told, the gateway stops.
    """

    name: str
    kind: str
    to: str
    secret: str | None = None
    show: Sensitivity = Sensitivity.SENSITIVE
    enforced: bool = False


PAGE = "page"
"""The notifier that is always there: the console's page."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """How people are told that something waits for them. ``secret`` is where its password, key or token is kept.

    ``older_secret`` is the key before, by which is signed as well; ``signing_secret`` is what the other side signs
    with. ``sender`` is the address from which mail comes; ``inside``: it may stand in our own network;
    ``show``: fields up to this class, by those of events; ``on``: of what is told.
    """

    name: str
    kind: str
    to: str = ""
    secret: str | None = None
    older_secret: str | None = None
    signing_secret: str | None = None
    sender: str = ""
    inside: bool = False
    show: Sensitivity = Sensitivity.SENSITIVE
    on: frozenset[NoticeKind] = frozenset(NoticeKind)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that ``interlock.yaml`` and the Cedar files beside it say.

    ``state`` is ``embedded``, a PostgreSQL URL or ``env:NAME``. ``listen`` has what was written, and always
    ``console``. ``cedar`` maps file names to Cedar text. ``text`` is the YAML as written and ``digest`` the SHA-256
    (hex) over it and the Cedar files. ``warnings`` are what is allowed and yet hardly meant, as
    ``file:line: sentence``. ``clear_text`` names the listeners that let clients on their own machine in without TLS.
    ``own_recordings``: whether people may read the recordings of their own sessions.
    ``policy_approvals``: who approves a change of all this; none written means one other administrator.
    ``passwords``: whether people sign in with passwords of Interlock's own. ``recovery``: the group of which two
    members let somebody in again who has lost passkey, password or authenticator; empty: nobody does.
    ``gateways``: the thumbprints of the keys of those that may follow the feed; none: all that were let in.
    """

    resources: Mapping[str, Resource] = field(default_factory=dict)
    vendors: Mapping[str, Vendor] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    identities: tuple[Identity, ...] = ()
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    uninvited: frozenset[str] = field(default_factory=frozenset)
    roles: Mapping[str, Role] = field(default_factory=dict)
    separations: tuple[Separation, ...] = ()
    chains: Mapping[str, Chain] = field(default_factory=dict)
    listen: Mapping[str, Address] = field(default_factory=dict)
    clear_text: frozenset[str] = frozenset()
    timing: Timing = field(default_factory=Timing)
    state: str = "embedded"
    objects: Objects = field(default_factory=Objects)
    witnesses: Witnesses = field(default_factory=Witnesses)
    scim: Scim | None = None
    openbao: OpenBao | None = None
    providers: Mapping[str, Provider] = field(default_factory=dict)
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    sinks: Mapping[str, SinkSource] = field(default_factory=dict)
    notify: Mapping[str, Notifier] = field(default_factory=dict)
    detections: Mapping[str, Detection] = field(default_factory=dict)
    forges: Mapping[str, ForgeSource] = field(default_factory=dict)
    repositories: Mapping[str, Repository] = field(default_factory=dict)
    own_recordings: bool = True
    retention: Retention = field(default_factory=Retention)
    passwords: bool = True
    policy_approvals: tuple[ApprovalRule, ...] = ()
    recovery: str = ""
    gateways: Mapping[str, str] = field(default_factory=dict)
    cedar: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    digest: str = ""
    warnings: tuple[str, ...] = ()

    def admits_gateway(self, key: str) -> bool:
        """Whether the gateway with the key of that thumbprint may follow the feed, as far as the policy says."""
        return not self.gateways or key in self.gateways.values()

    def replay_roles(self, resource: str) -> frozenset[str]:
        """The roles that let recordings of ``resource`` be read; none of a resource that is not there."""
        there = self.resources.get(resource)
        if there is None:
            return frozenset()
        allowing = (role for role in self.roles.values() if Action.REPLAY in role.allow)
        return frozenset(role.name for role in allowing if role.on.matches(there))

    @property
    def conflicts(self) -> tuple[frozenset[str], ...]:
        """The sets of roles of which a person may hold only one at a time."""
        return self.conflicts_of(ConflictKind.STATIC)

    def conflicts_of(self, kind: ConflictKind) -> tuple[frozenset[str], ...]:
        """The sets of roles in conflict of one kind."""
        known = (s for s in self.separations if s.kind is SeparationKind.CONFLICT and s.conflict is kind)
        return tuple(frozenset(s.names) for s in known)

    def conflicts_for(self, kind: ConflictKind, person: str, at: datetime) -> tuple[frozenset[str], ...]:
        """The sets of roles in conflict of one kind for ``person`` at ``at``: without what is mitigated for them."""
        known = (s for s in self.separations if s.kind is SeparationKind.CONFLICT and s.conflict is kind)
        return tuple(frozenset(s.names) for s in known if not s.mitigated(person, at))
