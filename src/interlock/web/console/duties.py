"""Duties: chains as pictures, who did what on each artifact and who still could, and what the prover says."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from interlock.proof.story import tell
from interlock.services.picture_chain import list_chains, picture_artifact
from interlock.services.prove_state import prove_state
from interlock.web.authentication import ServicesOf
from interlock.web.console.page import Acting, PageRoute, Visiting, page
from interlock.web.console.verdicts import sentence_of
from interlock.web.models import InQuery

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/duties")
async def chains(request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    found = await list_chains(services.desk, person=visitor.name)
    return page(request, visitor, "duties.html", title="Duties", place="duties", chains=found, proved=None)


@router.get("/duties/artifact")
async def artifact(
    request: Request, services: ServicesOf, visitor: Visiting, chain: InQuery, artifact: InQuery
) -> Response:
    known, view = await picture_artifact(services.desk, person=visitor.name, chain=chain, artifact=artifact)
    return page(request, visitor, "artifact.html", title=f"{chain}: {artifact}", place="duties", chain=known, view=view)


@router.post("/duties/prove")
async def prove(request: Request, services: ServicesOf, act: Acting) -> Response:
    """The verdicts on the state as it is."""
    visitor, _ = act
    proved = await prove_state(services.desk, by=visitor.name)
    found = await list_chains(services.desk, person=visitor.name)
    said = proved.proof.verdicts
    verdicts = [(v.outcome, sentence_of(v), tell(v.steps) if v.outcome != "proven" else []) for v in said]
    context: dict[str, Any] = {"chains": found, "proved": proved, "verdicts": verdicts}
    return page(request, visitor, "duties.html", title="Duties", place="duties", **context)
