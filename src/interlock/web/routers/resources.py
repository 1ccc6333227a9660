"""What there is, and the short-lived passwords and certificates for connections to it."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import StringConstraints

from interlock.services.issue_password import issue_password
from interlock.services.issue_ssh_certificate import issue_ssh_certificate
from interlock.services.list_resources import ResourceView, RoleOffer, list_resources
from interlock.web import answered
from interlock.web.answers import Many, told
from interlock.web.authentication import ReadingPerson, ServicesOf, SignedInPerson
from interlock.web.boundary import host_name
from interlock.web.models import Body, Name, answer, joined
from interlock.web.services import Services

router = APIRouter(prefix="/v1")

_ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 -- compared with, not bound to


class PasswordBody(Body):
    resource: Name
    connections: int = 1
    presence: Annotated[str, StringConstraints(max_length=40, pattern=r"^[^\x00]*$")] = ""


class SshCertificateBody(Body):
    resource: Name
    csr: Annotated[str, StringConstraints(min_length=1, max_length=8192)]


@router.get("/resources", responses=told(Many(answered.RESOURCE)))
async def resources(request: Request, services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    views = await list_resources(services.desk, login_id=caller.login.id)
    return answer([_resource(view, services, request) for view in views])


@router.post(
    "/passwords",
    responses=told(
        answered.PASSWORD,
        example={
            "password": "k3Jq…",
            "expires_at": "2026-11-28T12:01:00.000000Z",
            "connections": 1,
            "clear_text": False,
            "user": "dev@acme.example",
            "host": "gw.example.com",
            "port": 15432,
            "database": "orders",
        },
    ),
)
async def passwords(request: Request, body: PasswordBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    issued = await issue_password(
        services.desk,
        login_id=caller.login.id,
        resource=body.resource,
        connections=body.connections,
        presence=body.presence,
    )
    kind = services.desk.configuration.resources[body.resource].kind
    return answer(
        {
            "password": issued.password,
            "expires_at": issued.expires_at,
            "connections": issued.connections,
            "clear_text": kind in services.desk.configuration.clear_text,
            "user": issued.person,
            **connect_words(services, kind, body.resource, request),
        }
    )


@router.post("/ssh-certificates", responses=told(answered.SSH_CERTIFICATE))
async def ssh_certificates(
    request: Request, body: SshCertificateBody, services: ServicesOf, caller: SignedInPerson
) -> JSONResponse:
    """An SSH certificate for this login's own key, and the authorities that may have certified the gateways' hosts."""
    issued = await issue_ssh_certificate(
        services.desk, services.ssh, login_id=caller.login.id, resource=body.resource, csr=body.csr
    )
    where = connect_words(services, "ssh", body.resource, request)
    return answer(
        {
            "certificate": issued.certificate,
            "authority": issued.authority,
            "authorities": issued.authorities,
            "ends_at": issued.ends_at,
            "host": where["host"],
            "port": where["port"],
            "user": body.resource,
        }
    )


def connect_words(services: Services, kind: str, resource: str, request: Request) -> dict[str, Any]:
    """Where a client of that protocol connects, and what it names as its database."""
    address = services.listeners.get(kind)
    if address is None:
        return {"host": None, "port": None, "database": resource}
    # A gateway that listens on every address is reached under the name that this call was made to.
    host = host_name(request.headers["host"]) if address.host in _ANY_ADDRESS else address.host
    return {"host": host, "port": address.port, "database": resource}


def _resource(view: ResourceView, services: Services, request: Request) -> dict[str, Any]:
    resource = view.resource
    return {
        "name": resource.name,
        "kind": resource.kind,
        "labels": resource.labels,
        "roles": [_offer(offer) for offer in view.roles],
        "grants": [joined(at.grant, left_s=at.left.total_seconds() // 1, usable=at.usable) for at in view.grants],
        "presence": view.presence,
        "connect": connect_words(services, resource.kind, resource.name, request),
    }


def _offer(offer: RoleOffer) -> dict[str, Any]:
    role = offer.role
    return {
        "role": role.name,
        "allow": role.allow,
        "longest_s": role.lending.longest,
        "mfa": role.lending.mfa,
        "approvals": [str(rule) for rule in role.lending.approvals],
        "hold": role.hold.actions if role.hold is not None else (),
        "fence_rows": role.fence_rows,
        "masks": role.masks,
        "may_ask": offer.may_ask,
        "why_not": offer.why_not,
    }
