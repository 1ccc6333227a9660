"""What forges send: webhooks, and the questions of a plain git server's hook. Signed by each forge's own secret."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from interlock.errors import NotFound
from interlock.ports.forge import News
from interlock.services.forge_news import answer_checks, hear_news, sentence_of, tell_commits
from interlock.services.receive_push import judge_push
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf
from interlock.web.models import InPath
from interlock.web.services import Services

router = APIRouter(prefix="/v1/forges")


@router.post("/{forge}/hooks", responses=told(answered.HEARD))
async def hear(forge: InPath, request: Request, services: ServicesOf) -> JSONResponse:
    news = await _read(forge, request, services)
    heard = await hear_news(services.delivery, forge=forge, news=news)
    told: dict[str, object] = {"given": heard.given, "voided": heard.voided}
    if heard.verdict is not None:
        told |= {"open": heard.verdict.open, "sentence": sentence_of(heard.verdict)}
    heads = [*news.commits]
    if heads:
        await tell_commits(services.delivery, forge, news.project, heads)
    if news.changes:
        await answer_checks(services.delivery, forge, news)
    return JSONResponse(told)


@router.post("/{forge}/receive", responses=told(answered.PUSH))
async def receive(forge: InPath, request: Request, services: ServicesOf) -> JSONResponse:
    """The question of a pre-receive hook: may this ref be moved so? Answered before anything is kept there."""
    news = await _read(forge, request, services)
    refusals = await judge_push(services.delivery, forge=forge, news=news)
    return JSONResponse({"allowed": not refusals, "sentences": refusals})


async def _read(forge: str, request: Request, services: Services) -> News:
    known = services.delivery.forges.get(forge)
    if known is None:
        raise NotFound("There is no such forge here.", "See `forges` in interlock.yaml.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    known.check_headers(headers)
    return known.read_news(headers, await request.body())
