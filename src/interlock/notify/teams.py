"""Microsoft Teams: a card to a channel or chat, by the webhook of a workflow there ("When a Teams webhook request is
received"). It has links and no buttons that do something: Teams does not say who pressed.

The webhook's address is a secret (its ``sig`` lets whoever knows it write there), and stands where secrets do. What
people wrote stands in ``TextRun`` elements, which know no markdown.
"""

import json
from collections.abc import Sequence
from typing import Any

from interlock.domain.notices import Later, Letter, Never, Notice, Outcome, Told
from interlock.domain.plain_text import written_out
from interlock.errors import Failure
from interlock.notify._each import send_each
from interlock.ports.notify import NotifierSettings
from interlock.wire.outward import Answered, Outward, check_address

_LONGEST = 1000


class Teams:
    """Implements :class:`interlock.ports.notify.OpenNotifier`. ``url`` is the workflow's."""

    def __init__(self, url: str, settings: NotifierSettings) -> None:
        self._url = url
        self._console = settings.console
        self._outward = Outward(f"The workflow of the notifier {settings.name}", inside=settings.inside)

    async def send(self, letters: Sequence[Letter]) -> Sequence[Outcome]:
        return await send_each(letters, self._send)

    async def close(self) -> None:
        await self._outward.close()

    async def _send(self, letter: Letter) -> Outcome:
        body = json.dumps(card_of(letter, self._console)).encode()
        answer = await self._outward.post(self._url, body, {"Content-Type": "application/json"})
        return _outcome(answer)


def _outcome(answer: Answered) -> Outcome:
    if answer.status == 400:
        return Never("Teams does not take the card.")
    if answer.status in (401, 403, 404, 410):
        raise Failure(
            f"The workflow in Teams answers {answer.status}.", "Look whether it is on, and its address right."
        )
    # what goes on from there to Teams may be refused within an answer that says 200
    if not answer.is_success or b"HTTP error 4" in answer.content:
        return Later(f"The workflow in Teams answers {answer.status}.", answer.wait_s)
    return Told()


def card_of(letter: Letter, console: str) -> dict[str, Any]:
    """The message that a workflow posts: one Adaptive Card 1.4."""
    notice = letter.notice
    body: list[dict[str, Any]] = [
        {"type": "TextBlock", "text": notice.sentence, "weight": "Bolder", "size": "Medium", "wrap": True}
    ]
    body += [_line(label, value) for label, value in notice.fields]
    if letter.tell:
        body.append(_line("for", ", ".join(letter.tell)))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": "Open in Interlock", "url": _url(notice, console)}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _line(label: str, value: str) -> dict[str, Any]:
    plain = written_out(value)
    shown = plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"
    runs = [{"type": "TextRun", "text": f"{label}: ", "isSubtle": True}, {"type": "TextRun", "text": shown}]
    return {"type": "RichTextBlock", "inlines": runs}


def _url(notice: Notice, console: str) -> str:
    return f"{console}{notice.path}"


class TeamsNotifier:
    name = "teams"
    reaches = ""

    def open(self, settings: NotifierSettings) -> Teams:
        what = f"The workflow of the notifier {settings.name}"
        url = settings.secret.strip()
        if not url or settings.to:
            raise Failure(
                f"{what} has its address in the wrong place.",
                "It is a secret: write secret: env:NAME (the address is in there), and no to.",
            )
        check_address(url, what, inside=settings.inside)
        return Teams(url, settings)


NOTIFIER = TeamsNotifier()
