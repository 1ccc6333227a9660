"""The forms of what calls put together by themselves. What is one of the domain's own types is described by it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from interlock.domain.actions import Action
from interlock.domain.delivery import Evidence, Verdict
from interlock.domain.duties import Duty
from interlock.domain.grants import Approval, Grant, Login, Request
from interlock.domain.people import Contract, Extension, Invitation
from interlock.services.endings import Ended
from interlock.services.offboarding_report import Report
from interlock.web.answers import Many, joined_shape, shape

NOTHING: Final = shape("Nothing")

# Coming in

HEALTH: Final = shape("Health", well=bool)
ENROLLED: Final = shape("EnrolledAnswer", totp_secret=str, totp_uri=str)
SIGNED_IN: Final = shape(
    "SignedInAnswer",
    login=str,
    person=str,
    token=str,
    token_ends_at=datetime,
    certificate=str | None,
    authority=str,
    ends_at=datetime,
    present_at=datetime | None,
)
FRESH_TOKEN: Final = shape("FreshToken", token=str, token_ends_at=datetime, present_at=datetime | None)
CERTIFICATE: Final = shape("CertificateAnswer", certificate=str, authority=str)
LOGIN_NUMBER: Final = shape("LoginNumber", login=str)
WHO: Final = shape(
    "WhoAmI",
    person=str,
    vendor=str | None,
    groups=Sequence[str],
    login=str,
    key=str,
    signed_in_at=datetime,
    ends_at=datetime,
    present_at=datetime | None,
)
WORKLOAD: Final = shape("WorkloadAnswer", workload=str, owner=str, key=str, since=datetime, ends_at=datetime)
LOGIN_WITH_TOKEN: Final = joined_shape("LoginWithToken", Login, login=str, token=str, token_ends_at=datetime)
REDIRECT: Final = shape("Redirect", redirect=str)
PASSKEY_ADDED: Final = shape("PasskeyAddedAnswer", id=str, name=str, added_at=datetime)
PASSKEY: Final = shape("PasskeyAnswer", id=str, name=str, added_at=datetime, used_at=datetime | None)
NAMED: Final = shape("Named", id=str, name=str)
RECOVERY: Final = shape("RecoveryAnswer", person=str, half=str, expires_at=datetime)
ARRIVED: Final = shape("ArrivedAnswer", person=str, totp_secret=str, totp_uri=str)
AGENT: Final = shape("AgentAnswer", client=str, name=str, owner=str)
AGENT_ENDED: Final = shape("AgentEndedAnswer", client=str, name=str)
CONSENT: Final = shape(
    "ConsentAnswer",
    client=str,
    known_by=str | None,
    scopes=Sequence[str],
    answer_goes_to=str,
    from_address=str,
    person=str,
    until=datetime,
)

# Access

CONNECT: Final = shape("Connect", host=str | None, port=int | None, database=str)
_OFFER: Final = shape(
    "RoleOfferAnswer",
    role=str,
    allow=frozenset[Action],
    longest_s=float,
    mfa=bool,
    approvals=Sequence[str],
    hold=frozenset[Action],
    fence_rows=int | None,
    masks=Sequence[str],
    may_ask=bool,
    why_not=str,
)
_GRANT_AT_WORK: Final = joined_shape("GrantAtWorkAnswer", Grant, left_s=float, usable=bool)
_PRESENCE: Final = shape("PresenceAnswer", needed=bool, left=int)
RESOURCE: Final = shape(
    "ResourceAnswer",
    name=str,
    kind=str,
    labels=Mapping[str, str],
    roles=Many(_OFFER),
    grants=Many(_GRANT_AT_WORK),
    presence=_PRESENCE,
    connect=CONNECT,
)
PASSWORD: Final = shape(
    "PasswordAnswer",
    password=str,
    expires_at=datetime,
    connections=int,
    clear_text=bool,
    user=str,
    host=str | None,
    port=int | None,
    database=str,
)
PASS: Final = shape(
    "PassAnswer",
    id=str,
    content=Mapping[str, Any],
    digest=str,
    by=str,
    page=str,
    given=bool,
    expires_at=datetime | None,
)
PASS_GIVEN: Final = shape("PassGivenAnswer", id=str, expires_at=datetime, connections=int)
SSH_CERTIFICATE: Final = shape(
    "SshCertificateAnswer",
    certificate=str,
    authority=str,
    authorities=tuple[str, ...],
    ends_at=datetime,
    host=str | None,
    port=int | None,
    user=str,
)
REQUEST_SHOWN: Final = joined_shape(
    "RequestShown",
    Request,
    approvals=tuple[Approval, ...],
    missing=int,
    judges=tuple[str, ...],
    may_decide=bool,
)
APPROVED: Final = joined_shape("ApprovedAnswer", Request, missing=int, grant=Grant | None)
GLASS: Final = joined_shape("GlassBroken", Request, grant=Grant)
EXTENDED: Final = shape("ExtensionAnswer", contract=Contract, extension=Extension)
CONTRACT_ENDED: Final = shape("ContractEndedAnswer", contract=str, ended=tuple[Ended, ...])
INVITATION: Final = joined_shape("InvitationAnswer", Invitation, without={"code_hash"})
INVITED: Final = joined_shape("InvitedAnswer", Invitation, without={"code_hash"}, code=str, link=str)
OFFBOARDING: Final = shape("OffboardingAnswer", report=Report, signed=str)

# Ledger, policy, duties, gates

KEY: Final = shape("KeyAnswer", key=str)
PUBLISHED: Final = shape("PublishedObject", content=bytes)
ACTIVATED: Final = joined_shape("ActivatedAnswer", Request, version=int, policy=str, ended=tuple[Ended, ...])
DUTY_DONE: Final = shape("DutyDoneAnswer", duty=Duty, voided=Sequence[Duty])
EVIDENCE: Final = joined_shape("EvidenceAnswer", Evidence, without={"envelope"})
GATE: Final = joined_shape("GateAnswer", Verdict, optional=("bundle",), open=bool, bundle=Mapping[str, Any])
LENT: Final = joined_shape(
    "LentAnswer",
    Request,
    optional=("connect", "kind", "certificate"),
    grant=Grant | None,
    person=str,
    connect=CONNECT,
    kind=str,
    certificate=str,
)

# Gateways and others' programs

GATEWAY_TOKEN: Final = shape("GatewayToken", gateway=str, token=str, token_ends_at=datetime)
WATCHING: Final = shape("WatchingAnswer", watching=bool)
HEARD: Final = shape(
    "HeardAnswer", optional=("open", "sentence"), given=Sequence[str], voided=Sequence[str], open=bool, sentence=str
)
PUSH: Final = shape("PushAnswer", allowed=bool, sentences=Sequence[str])
_ADMISSION_STATUS: Final = shape("AdmissionStatus", code=int, message=str)
_ADMISSION_RESPONSE: Final = shape(
    "AdmissionResponse", optional=("status",), uid=str, allowed=bool, status=_ADMISSION_STATUS
)
ADMISSION: Final = shape("AdmissionAnswer", apiVersion=str, kind=str, response=_ADMISSION_RESPONSE)
METADATA: Final = shape("Metadata", closed=False, issuer=str)
RESOURCE_METADATA: Final = shape("ResourceMetadata", closed=False, resource=str, authorization_servers=Sequence[str])
JWKS: Final = shape("KeySet", keys=Sequence[Mapping[str, Any]])
REGISTERED: Final = shape(
    "ClientRegistered",
    optional=("jwks",),
    client_id=str,
    client_id_issued_at=int,
    client_name=str,
    redirect_uris=Sequence[str],
    token_endpoint_auth_method=str,
    grant_types=Sequence[str],
    response_types=Sequence[str],
    scope=str,
    dpop_bound_access_tokens=bool,
    jwks=Mapping[str, Any],
)
PUSHED: Final = shape("PushedRequest", request_uri=str, expires_in=int)
DEVICE: Final = shape(
    "DeviceAnswer",
    device_code=str,
    user_code=str,
    verification_uri=str,
    verification_uri_complete=str,
    expires_in=int,
    interval=int,
)
TOKEN: Final = shape("TokenAnswer", closed=False, access_token=str, token_type=str, expires_in=int)
INTROSPECTED: Final = shape("Introspected", closed=False, active=bool)
