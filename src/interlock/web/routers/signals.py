"""Security events pushed by identity providers (RFC 8935)."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from interlock.errors import NotFound, Refusal
from interlock.identity.signals import Happened, read_signal
from interlock.services.endings import upto
from interlock.services.hearing import await_hearing
from interlock.services.take_signal import take_signal
from interlock.web.authentication import ServicesOf
from interlock.web.described import SIGNAL_ERRORS
from interlock.web.models import InPath

router = APIRouter()

_CODES = frozenset({"invalid_request", "invalid_key", "invalid_issuer", "invalid_audience"})


@router.post("/v1/signals/{provider}", status_code=202, response_class=Response, responses=SIGNAL_ERRORS)
async def receive(provider: InPath, request: Request, services: ServicesOf) -> Response:
    """202 when it was taken, also when it means nothing here or came before; else RFC 8935's error."""
    known = services.providers.get(provider)
    if known is None:
        raise NotFound(f"There is no identity provider {provider} here.", "See interlock.yaml.")
    audiences = frozenset({known.settings.client_id, services.oauth.issuer, f"{services.oauth.issuer}/v1/signals"})
    text = (await request.body()).decode("ascii", "replace").strip()
    replays = services.proofs.replays
    try:
        signal = await read_signal(known, text, audiences=audiences, now=services.desk.clock.now())
    except Refusal as refusal:
        code = refusal.code if refusal.code in _CODES else "invalid_request"
        return JSONResponse({"err": code, "description": refusal.sentence}, status_code=400)
    if signal.happened is not None and not await signal.came_before(replays):
        ended = await take_signal(
            services.desk,
            provider=provider,
            subject=f"{signal.issuer} {signal.subject}",
            disabled=signal.happened is Happened.DISABLED,
        )
        await signal.is_done(replays)
        await await_hearing(services.desk.state, upto(ended))
    return Response(status_code=202)
