"""A few entities that fit together, and their events."""

from datetime import UTC, datetime, timedelta

from interlock.domain.accounts import UpstreamAccount
from interlock.domain.delivery import Evidence, Known
from interlock.domain.detections import Alarm, Response
from interlock.domain.duties import Duty
from interlock.domain.grants import Activity, Approval, Grant, Login, Request, RequestKind
from interlock.domain.notices import ChatLink
from interlock.domain.oauth import ClientKind, Delegation, OauthClient, Passkey
from interlock.domain.people import Contract, Extension, Identity, Invitation, Person, Vendor
from interlock.domain.proposals import Proposal
from interlock.domain.provisioning import Provisioned
from interlock.domain.recordings import RecordingKey, Segment
from interlock.domain.retention import LegalHold
from interlock.domain.rights_events import PersonAdded
from interlock.domain.roles import ApprovalRule
from interlock.domain.signin import (
    Attempts,
    ConnectionPass,
    ConnectionPassword,
    Enrolment,
    GatewayIdentity,
    LocalCredential,
)
from interlock.domain.snapshot import PolicyText
from interlock.ports.state import Entity

NOW = datetime(2026, 11, 24, 9, 30, 15, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)

ACME = Vendor("acme")
LEAD = Person("lead@example.com", groups=frozenset({"dba", "administrators"}))
DEV = Person("dev@acme.example", vendor="acme", groups=frozenset({"dba"}), ended_at=None)
IDENTITY = Identity("e-mail", "dev@acme.example", "dev@acme.example")
CONTRACT = Contract(
    "acme-orders", "acme", LEAD.name, NOW, LATER, frozenset({"reader", "writer"}), frozenset({DEV.name}), ended_at=None
)
LOGIN = Login("l-00000001", DEV.name, "thumb", NOW, LATER, present_at=NOW)
REQUEST = Request(
    id="r-00000001",
    kind=RequestKind.STATEMENT,
    person=DEV.name,
    resource="orders",
    role="writer",
    content={"text": "DELETE FROM orders -- \x00 ”", "parameters": ["1", None], "share": 0.1, "n": 2**53},
    digest="ab" * 32,
    rules=(ApprovalRule(1, group="dba"), ApprovalRule(2, people=frozenset({"b", "a"}), same_vendor=True)),
    reason="because",
    key="thumb",
    opened_at=NOW,
    expires_at=LATER,
    session="s-0000000000001",
    duration=timedelta(hours=2, microseconds=1),
)
APPROVAL = Approval(REQUEST.id, LEAD.name, REQUEST.digest, NOW, present_at=None)
GRANT = Grant("g-00000001", REQUEST.id, DEV.name, "writer", "orders", "thumb", NOW, LATER, contract=CONTRACT.name)
ACTIVITY = Activity(
    "s-0000000000001", DEV.name, "orders", LOGIN.id, (GRANT.id, "g-00000000"), "one", "127.0.0.1", "psql", NOW
)
CREDENTIAL = LocalCredential(DEV.name, "$argon2id$…", "BASE32", 58, NOW)
ENROLMENT = Enrolment("cd" * 32, DEV.name, "system", NOW, LATER)
ATTEMPTS = Attempts("address:127.0.0.1", 3, NOW, blocked_until=LATER)
PASS = ConnectionPass(
    "p-1", DEV.name, LOGIN.id, LOGIN.key, "orders", ("g-1",), "ab" * 32, "one-time code", NOW, LATER, connections=2
)
PASSWORD = ConnectionPassword("ef" * 32, DEV.name, LOGIN.id, "orders", NOW, LATER)
GATEWAY = GatewayIdentity("one", "thumb-of-one", NOW)
CLIENT = OauthClient(
    "agent-thumb", ClientKind.AGENT, "helper", ("https://a/", "https://b/"), {"keys": [{"x": "1"}]}, NOW, owner=DEV.name
)
DELEGATION = Delegation(
    "d-00000001",
    DEV.name,
    LOGIN.id,
    CLIENT.id,
    frozenset({"read"}),
    "thumb",
    "ab" * 32,
    "c",
    "https://a/",
    NOW,
    LATER,
    LATER,
)
PASSKEY = Passkey("aWQ", DEV.name, "a2V5", 7, "laptop", NOW)
PROVISIONED = Provisioned("1f", "User", DEV.name, {"userName": DEV.name}, 1, NOW, LATER, person=DEV.name)
EXTENSION = Extension(CONTRACT.name, LATER, LEAD.name, "thumb", "more to do", NOW, LATER)
INVITATION = Invitation(
    "i-00000001", "c0de", CONTRACT.name, "new@acme.example", LEAD.name, NOW, LATER, "thumb", NOW, "::1", made=True
)
EVIDENCE = Evidence(
    id="e-0000000000001",
    chain="release",
    duty="review",
    repository="shop",
    commit="a" * 40,
    tree="b" * 40,
    base="c" * 40,
    branch="main",
    person=DEV.name,
    how=Known.REVIEW,
    at=NOW,
    envelope="{}",
    subject="sha256:" + "d" * 64,
    commits=("e" * 40,),
    voided_at=LATER,
    voided_why="dismissed",
)
PROPOSAL = Proposal(REQUEST.id, "aa", "bb", "people: {}\n", {"a.cedar": "permit"})
DUTY = Duty("t-00000001", "release", "change:C1", "review", DEV.name, NOW, "ab", done_at=NOW)
ALARM = Alarm("nights", 7, Response.HOLD, NOW, "It is late.", DEV.name, "s-1", "orders", "g-1", ("s-1",))
SEGMENT = Segment("s-000000000001", 1, "ab" * 32, 7, NOW)
RECORDING_KEY = RecordingKey("s-000000000001", "wrapped", "m-1", NOW, destroyed_at=LATER)
ACCOUNT = UpstreamAccount(GRANT.id, DEV.name, "orders", "dev@acme.example#g-00000001", NOW, ended_at=LATER)
LEGAL_HOLD = LegalHold("h-00000001", "s-000000000001", DEV.name, "orders", "a lawsuit", LEAD.name, NOW, LATER, DEV.name)
CHAT_LINK = ChatLink("slack", "T1 U1", DEV.name, "dev", NOW, LATER)
POLICY = PolicyText(2, "01" * 32, "resources: {}\n", {"extra.cedar": "permit(principal, action, resource);\n"})

WORLD: tuple[Entity, ...] = (
    # In no order of dependence: a unit of work may save them as it likes.
    APPROVAL,
    GRANT,
    DELEGATION,
    PASSKEY,
    DUTY,
    EVIDENCE,
    SEGMENT,
    RECORDING_KEY,
    ACCOUNT,
    LEGAL_HOLD,
    CHAT_LINK,
    PROPOSAL,
    CLIENT,
    EXTENSION,
    INVITATION,
    PROVISIONED,
    ACTIVITY,
    PASSWORD,
    PASS,
    CREDENTIAL,
    ENROLMENT,
    LOGIN,
    REQUEST,
    CONTRACT,
    IDENTITY,
    DEV,
    LEAD,
    ACME,
    ATTEMPTS,
    GATEWAY,
    POLICY,
    ALARM,
)


def added(person: Person) -> PersonAdded:
    return PersonAdded(person=person.name, vendor=person.vendor, groups=tuple(sorted(person.groups)))
