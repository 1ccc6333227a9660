"""What the API is built from. The composition root makes one of these and gives it to ``build_api``."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from obstore.store import ObjectStore

from interlock.errors import NotFound
from interlock.identity.dpop import ProofChecker
from interlock.identity.oidc import OidcProvider
from interlock.identity.tokens import Tokens
from interlock.ledger.tiles import Source
from interlock.policy.configuration import Address
from interlock.ports.identity import SshCertificateIssuing
from interlock.ports.master_key import MasterKey
from interlock.ports.notify import OpenNotifier, Outbox
from interlock.ports.segment_words import SegmentWords
from interlock.ports.state import Followings
from interlock.ports.upstream import TryUpstream
from interlock.services.credentials import Credentials
from interlock.services.delivery import Delivery
from interlock.services.desk import Desk
from interlock.services.front_desk import FrontDesk
from interlock.services.outflow import Outflow
from interlock.services.passkeys import PasskeyDesk
from interlock.web.news import News
from interlock.web.oauth import AuthorizationServer
from interlock.web.streams import OpenStreams
from interlock.web.watching import Watches


@dataclass(frozen=True, slots=True)
class Services:
    """``hosts`` are the names under which this control plane answers: those of its server certificate, lower case.

    ``listeners`` says where clients reach the gateway, by protocol. ``recordings`` is the object store's root, in
    which the segments of recordings are named by their SHA-256, and ``master_key`` unwraps the keys that open them;
    ``published`` has the ledger's tiles,
    and ``ledger_key`` (``name+number+key``) is what its checkpoints are signed with, or was (interlock.web.ledger_now).
    The last three live as long as
    the API does; end them with :meth:`close` before the server waits for its connections.
    """

    front: FrontDesk
    tokens: Tokens
    proofs: ProofChecker
    oauth: AuthorizationServer
    credentials: Credentials
    recordings: ObjectStore
    master_key: MasterKey
    segment_words: SegmentWords
    outbox: Outbox
    followings: Followings
    published: Source
    ledger_key: str
    scim_secret: str
    providers: Mapping[str, OidcProvider]
    hosts: frozenset[str]
    listeners: Mapping[str, Address]
    news: News
    outflow: Outflow = field(default_factory=Outflow)
    watches: Watches = field(default_factory=Watches)
    streams: OpenStreams = field(default_factory=OpenStreams)
    repositories: Delivery | None = None
    attest_key: str = ""
    notifiers: Mapping[str, OpenNotifier] = field(default_factory=dict)
    try_upstream: TryUpstream | None = None
    ssh_authority: SshCertificateIssuing | None = None

    @property
    def ssh(self) -> SshCertificateIssuing:
        """Raises NotFound where nobody certifies keys for SSH."""
        if self.ssh_authority is None:
            raise NotFound("There is no SSH authority here.", "Start the control plane with its own keys.")
        return self.ssh_authority

    @property
    def delivery(self) -> Delivery:
        """What the delivery chain works with. Raises NotFound where no repository is configured."""
        if self.repositories is None:
            raise NotFound("There are no repositories here.", "Write the section `repositories` in interlock.yaml.")
        return self.repositories

    @property
    def passkeys(self) -> PasskeyDesk:
        return PasskeyDesk(self.front, self.oauth.passkeys, self.oauth.waiting)

    @property
    def desk(self) -> Desk:
        return self.front.desk

    async def close(self) -> None:
        """End every stream and every long wait, so that a server that stops does not wait for them."""
        self.streams.close()
        await self.news.close()


def open_services(
    *,
    front: FrontDesk,
    tokens: Tokens,
    proofs: ProofChecker,
    oauth: AuthorizationServer,
    credentials: Credentials,
    recordings: ObjectStore,
    master_key: MasterKey,
    segment_words: SegmentWords,
    outbox: Outbox,
    followings: Followings,
    published: Source,
    ledger_key: str,
    scim_secret: str = "",
    providers: Mapping[str, OidcProvider] | None = None,
    hosts: frozenset[str],
    listeners: Mapping[str, Address],
    outflow: Outflow | None = None,
    delivery: Delivery | None = None,
    attest_key: str = "",
    notifiers: Mapping[str, OpenNotifier] | None = None,
    try_upstream: TryUpstream | None = None,
    ssh_authority: SshCertificateIssuing | None = None,
) -> Services:
    """The services of one API, with the parts that are its own."""
    return Services(
        front=front,
        tokens=tokens,
        proofs=proofs,
        oauth=oauth,
        credentials=credentials,
        recordings=recordings,
        master_key=master_key,
        segment_words=segment_words,
        outbox=outbox,
        followings=followings,
        published=published,
        ledger_key=ledger_key,
        scim_secret=scim_secret,
        providers=dict(providers or {}),
        hosts=frozenset(host.lower() for host in hosts),
        listeners=listeners,
        news=News(front.desk.state),
        outflow=outflow or Outflow(),
        repositories=delivery,
        attest_key=attest_key,
        notifiers={} if notifiers is None else notifiers,
        try_upstream=try_upstream,
        ssh_authority=ssh_authority,
    )
