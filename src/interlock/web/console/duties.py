"""Duties: chains as pictures, who did what on each artifact and who still could, and what the prover says.

A duty is taken and done here as with `interlock duty`, under the same rules.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from interlock.domain.codec import to_plain
from interlock.errors import NotFound, Refusal
from interlock.proof.picture import draw_alone, panels_of_proof
from interlock.proof.verdicts import Outcome, Verdict
from interlock.services.duties import do_duty, take_duty
from interlock.services.picture_chain import list_chains, picture_artifact, separation_matrix
from interlock.services.prove_state import prove_state
from interlock.services.risks import list_risks
from interlock.services.workloads import Acting as Carrying
from interlock.web.authentication import ServicesOf
from interlock.web.console.browser_sessions import Visitor
from interlock.web.console.page import Acting, PageRoute, Visiting, page, to
from interlock.web.console.verdicts import sentence_of, step_told
from interlock.web.models import InQuery
from interlock.web.oauth import needed
from interlock.web.services import Services

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """A verdict: its sentence, what its counterexample would type, and its picture where there is one."""

    outcome: Outcome
    sentence: str
    steps: list[str]
    picture: Markup | None


def _shown(number: int, verdict: Verdict) -> Shown:
    (panel,) = panels_of_proof([to_plain(verdict)], {0: ""})
    drawn = Markup(draw_alone(panel, str(number))) if panel.persons or panel.rows else None  # noqa: S704 -- escaped there
    refuted = verdict.outcome is not Outcome.PROVEN
    return Shown(
        verdict.outcome, sentence_of(verdict), [step_told(step) for step in verdict.steps] if refuted else [], drawn
    )


@router.get("/duties")
async def chains(request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    found = await list_chains(services.desk, person=visitor.name)
    return page(request, visitor, "duties.html", title="Duties", place="duties", chains=found, proved=None, given={})


@router.get("/duties/artifact")
async def artifact(
    request: Request, services: ServicesOf, visitor: Visiting, chain: InQuery, artifact: InQuery
) -> Response:
    return await _show_artifact(request, services, visitor, chain, artifact)


@router.post("/duties/take")
async def take(request: Request, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    named = {name: needed(form, name) for name in ("chain", "duty", "artifact")}
    try:
        await take_duty(services.desk, acting=Carrying(login=visitor.login.id), **named)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _show_again(request, services, visitor, named, refusal)
    return _to_artifact(named)


@router.post("/duties/done")
async def done(request: Request, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    named = {name: needed(form, name) for name in ("chain", "duty", "artifact")}
    content = needed(form, "content").strip()
    try:
        await do_duty(services.desk, acting=Carrying(login=visitor.login.id), content=content, **named)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _show_again(request, services, visitor, named, refusal)
    return _to_artifact(named)


def _to_artifact(named: dict[str, str]) -> Response:
    return to(f"/duties/artifact?{urlencode({name: named[name] for name in ('chain', 'artifact')})}")


async def _show_again(
    request: Request, services: Services, visitor: Visitor, named: dict[str, str], refusal: Refusal
) -> Response:
    """The page of the artifact with the reason; of the chains, where there is no such artifact for them yet."""
    try:
        return await _show_artifact(request, services, visitor, named["chain"], named["artifact"], refusal)
    except NotFound:
        found = await list_chains(services.desk, person=visitor.name)
        context: dict[str, Any] = {"chains": found, "proved": None, "problem": refusal, "given": named}
        return page(request, visitor, "duties.html", status=403, title="Duties", place="duties", **context)


async def _show_artifact(
    request: Request,
    services: Services,
    visitor: Visitor,
    chain: str,
    artifact: str,
    refusal: Refusal | None = None,
) -> Response:
    known, view = await picture_artifact(services.desk, person=visitor.name, chain=chain, artifact=artifact)
    context: dict[str, Any] = {"chain": known, "view": view, "problem": refusal}
    status = 200 if refusal is None else 403
    title = f"{chain}: {artifact}"
    return page(request, visitor, "artifact.html", status=status, title=title, place="duties", **context)


@router.get("/duties/matrix")
async def matrix(request: Request, services: ServicesOf, visitor: Visiting, chain: InQuery = "") -> Response:
    """Persons against the duties of a chain, and the conflicts of roles, with who breaks which."""
    risks = await list_risks(services.desk, person=visitor.name)
    names = sorted(services.desk.configuration.chains)
    wanted = chain or (names[0] if names else "")
    found = await separation_matrix(services.desk, person=visitor.name, chain=wanted) if wanted else None
    context: dict[str, Any] = {"matrix": found, "names": names, "risks": risks}
    return page(request, visitor, "matrix.html", title="Who carries what", place="duties", **context)


@router.post("/duties/prove")
async def prove(request: Request, services: ServicesOf, act: Acting) -> Response:
    """The verdicts on the state as it is."""
    visitor, _ = act
    proved = await prove_state(services.desk, by=visitor.name)
    found = await list_chains(services.desk, person=visitor.name)
    verdicts = [_shown(number, verdict) for number, verdict in enumerate(proved.proof.verdicts)]
    order = [Outcome.REFUTED, Outcome.UNKNOWN, Outcome.PROVEN]
    verdicts.sort(key=lambda shown: order.index(shown.outcome))
    stops = [(chain, names) for chain, names in sorted(proved.proof.bottlenecks.items()) if names]
    context: dict[str, Any] = {"chains": found, "proved": proved, "verdicts": verdicts, "stops": stops, "given": {}}
    return page(request, visitor, "duties.html", title="Duties", place="duties", **context)
