"""What chats send when somebody presses a button under a notice. Signed by the chat's own secret, each taken once."""

import logging
from datetime import timedelta

from fastapi import APIRouter, BackgroundTasks, Request
from fastapi.responses import Response

from interlock.errors import InterlockError, NotFound, Refusal
from interlock.ports.notify import ChatNotifier, Press, Reply
from interlock.services.press_button import press_button
from interlock.web.authentication import ServicesOf
from interlock.web.models import InPath

router = APIRouter(prefix="/v1/notify")

_REMEMBERED = timedelta(minutes=15)
"""Longer than a signature is good for."""
_log = logging.getLogger("interlock.notify")


@router.post("/{notifier}/press", response_class=Response)
async def press(notifier: InPath, request: Request, services: ServicesOf, after: BackgroundTasks) -> Response:
    """200 when it was understood; the answer goes where the chat says, after it."""
    known = services.notifiers.get(notifier)
    if not isinstance(known, ChatNotifier):
        raise NotFound("There is no such chat here.", "See `notify` in interlock.yaml.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    now = services.desk.clock.now()
    pressed, mark = await known.read_press(headers, await request.body(), now)
    if not await services.proofs.replays.first_use(f"chat {notifier}", mark, now + _REMEMBERED):
        raise Refusal("replayed", "This was sent before, and was taken then.")
    reply = await press_button(services.desk, services.oauth.waiting, notifier=notifier, press=pressed)
    if reply is not None and pressed.back:
        after.add_task(_answer, known, pressed, reply)
    return Response(status_code=200)


async def _answer(chat: ChatNotifier, pressed: Press, reply: Reply) -> None:
    try:
        await chat.answer(pressed, reply)
    except InterlockError as error:
        _log.warning("What was done by a button could not be told there: %s", error)
