"""A witness over HTTP: ``POST /add-checkpoint``, and its key. No sign-in: signatures are all it believes."""

import asyncio
import time

from fastapi import FastAPI, Request, Response

from interlock.errors import Failure
from interlock.ledger.notes import LONGEST_NOTE_BYTES
from interlock.ledger.witnessing import PLAIN, Answer, Witness


def build_witness(witness: Witness, key: str) -> FastAPI:
    """The application. ``key`` is the witness's own, as it is told."""
    api = FastAPI(
        title="Interlock witness",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    one_at_a_time = asyncio.Lock()

    @api.post("/add-checkpoint")
    async def add_checkpoint(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_NOTE_BYTES:
                return Response("This is too long for a checkpoint.\n", 413, media_type=PLAIN)
        async with one_at_a_time:
            try:
                answer = await asyncio.to_thread(witness.add_checkpoint, bytes(body), int(time.time()))
            except Failure as error:
                answer = Answer(500, f"{error}\n")
        return Response(answer.text, answer.status, media_type=answer.content_type)

    @api.get("/key")
    async def own_key() -> Response:
        return Response(f"{key}\n", media_type=PLAIN)

    return api
