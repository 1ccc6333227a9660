"""A person's agents: programs that act for them, with keys of their own."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from interlock.domain.oauth import OauthClient
from interlock.identity.client_assertions import check_jwks
from interlock.identity.keys import read_public_jwk, thumbprint
from interlock.services.agents import add_agent, end_agent, list_agents
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ReadingPerson, ServicesOf, SignedInPerson
from interlock.web.models import Body, InPath, Name, WithReason, answer

router = APIRouter(prefix="/v1/agents")


class AgentBody(Body):
    name: Name
    jwk: dict[str, Any]


@router.post("", responses=told(answered.AGENT))
async def add(body: AgentBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """``jwk`` is the public key with which the agent will sign its assertions."""
    jwks = check_jwks({"keys": [body.jwk]})
    agent = await add_agent(
        services.desk,
        login_id=caller.login.id,
        name=body.name,
        jwks=jwks,
        thumbprint=thumbprint(read_public_jwk(body.jwk)),
    )
    return answer({"client": agent.id, "name": agent.name, "owner": agent.owner})


@router.get("", responses=told(tuple[OauthClient, ...]))
async def list_mine(services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    return answer(await list_agents(services.desk, person=caller.name))


@router.post("/{client_id}/end", responses=told(answered.AGENT_ENDED))
async def end(client_id: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    agent = await end_agent(services.desk, by=caller.name, client_id=client_id, reason=body.reason)
    return answer({"client": agent.id, "name": agent.name})
