"""Slack: a message to each person whose account there is linked, with buttons under what waits for them.

What people wrote stands in ``plain_text`` objects, which know no markup, no mention and no link. What Slack sends is
believed only with its signature (``v0``: HMAC-SHA256 over ``v0:TIMESTAMP:BODY``) and when it is not older than five
minutes. A button carries what was shown (the request and its digest); what it may do is decided elsewhere.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from interlock.domain.notices import Later, Letter, Never, NoticeKind, Outcome, Told
from interlock.domain.plain_text import written_out
from interlock.errors import Failure, Refusal
from interlock.notify._each import send_each
from interlock.ports.notify import NotifierSettings, Press, Reply
from interlock.wire.outward import Outward, check_address

_API = "https://slack.com/api"
_BACK = "hooks.slack.com"
_WINDOW_S = 300
_LONGEST = 1900
"""A text in a section's field has 2,000 characters at most."""
_BUTTONS = {NoticeKind.ASKED, NoticeKind.HELD}
_DEAD = {
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "missing_scope",
    "no_permission",
}
_GONE = {
    "channel_not_found",
    "user_not_found",
    "user_disabled",
    "is_archived",
    "msg_too_long",
    "invalid_blocks",
    "message_not_found",
    "cant_update_message",
    "edit_window_closed",
    "cannot_dm_bot",
}


_UNSAID_S = 30.0
"""How long Slack is left alone after a 429 that does not say how long."""


class Slack:
    """Implements :class:`interlock.ports.notify.OpenNotifier` and ``ChatNotifier``."""

    def __init__(self, api: str, settings: NotifierSettings) -> None:
        self._api = api.rstrip("/")
        self._settings = settings
        self._outward = Outward("Slack", inside=settings.inside)

    async def send(self, letters: Sequence[Letter]) -> Sequence[Outcome]:
        return await send_each(letters, self._send)

    async def close(self) -> None:
        await self._outward.close()

    async def read_press(self, headers: Mapping[str, str], body: bytes, now: datetime) -> tuple[Press, str]:
        mark = check_signature(self._settings.signing_secret, headers, body, now)
        return read_press(body), mark

    async def answer(self, press: Press, reply: Reply) -> None:
        parts = urlsplit(press.back)
        ours = urlsplit(self._api)
        if parts.hostname != _BACK and not (self._settings.inside and parts.netloc == ours.netloc):
            raise Failure("Slack named another place for the answer than its own.", "Nothing was sent there.")
        message = {
            "response_type": "ephemeral",
            "replace_original": reply.over,
            "text": "Interlock",
            "blocks": _answer_blocks(reply, self._settings.console),
        }
        answered = await self._outward.post(press.back, json.dumps(message).encode(), _JSON)
        if not answered.is_success:
            raise Failure(f"Slack answers {answered.status} where it is answered.", "Nothing is lost by it.")

    async def _send(self, letter: Letter) -> Outcome:
        console = self._settings.console
        message: dict[str, Any] = {"text": "Interlock", "blocks": blocks_of(letter, console)}
        if letter.revises:
            message["channel"], _, message["ts"] = letter.revises.partition(" ")
        else:
            message |= {"channel": letter.address.rpartition(" ")[2], "unfurl_links": False, "unfurl_media": False}
        call = "chat.update" if letter.revises else "chat.postMessage"
        headers = {**_JSON, "Authorization": f"Bearer {self._settings.secret}"}
        answered = await self._outward.post(f"{self._api}/{call}", json.dumps(message).encode(), headers)
        if answered.status == 429:
            return Later("Slack asks for patience: too much was sent in a short time.", answered.wait_s or _UNSAID_S)
        if not answered.is_success:
            return Later(f"Slack answers {answered.status}.", answered.wait_s)
        try:
            said = json.loads(answered.content)
            if said["ok"] is True:
                return Told(f"{said['channel']} {said['ts']}")
            error = str(said["error"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return Later("Slack answers with what is no answer of Slack's.")
        if error in _DEAD:
            raise Failure(f"Slack does not take the token: {error}.", "Look at the app in Slack, and at its secret.")
        if error in _GONE:
            return Never(f"Slack does not take it: {error}.")
        return Later(f"Slack does not take it now: {written_out(error)[:100]}.")


_JSON = {"Content-Type": "application/json; charset=utf-8"}


def blocks_of(letter: Letter, console: str) -> list[dict[str, Any]]:
    """Block Kit: the sentence, what people wrote, and what can be done about it."""
    notice = letter.notice
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _plain(notice.sentence)}]
    if notice.fields:
        fields = [_plain(f"{label}: {value}") for label, value in notice.fields]
        blocks.append({"type": "section", "fields": fields[:10]})
    link = {
        "type": "button",
        "action_id": "open",
        "text": _plain("Open in Interlock"),
        "url": f"{console}{notice.path}",
    }
    if notice.kind not in _BUTTONS or not notice.request or letter.revises:
        return [*blocks, {"type": "actions", "block_id": "go", "elements": [link]}]
    value = json.dumps({"request": notice.request, "digest": notice.digest}, separators=(",", ":"))
    reason = {
        "type": "input",
        "block_id": "why",
        "optional": True,
        "label": _plain("Why not (needed for a no)"),
        "element": {"type": "plain_text_input", "action_id": "words", "max_length": 500},
    }
    approve = {"type": "button", "action_id": "approve", "text": _plain("Approve…"), "value": value, "style": "primary"}
    deny = {"type": "button", "action_id": "deny", "text": _plain("Deny"), "value": value, "style": "danger"}
    return [*blocks, reason, {"type": "actions", "block_id": "go", "elements": [approve, deny, link]}]


def _answer_blocks(reply: Reply, console: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _plain(reply.sentence)}]
    if reply.path:
        link = {
            "type": "button",
            "action_id": "open",
            "text": _plain("Go on in Interlock"),
            "url": f"{console}{reply.path}",
        }
        blocks.append({"type": "actions", "block_id": "go", "elements": [link]})
    return blocks


def _plain(text: str) -> dict[str, Any]:
    shown = written_out(text)
    return {"type": "plain_text", "text": shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…", "emoji": False}


def check_signature(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """The signature, which no other message has. Raises Refusal (``not-signed``)."""
    at, given = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    # the digits of ASCII alone: int() would take others too
    if not (at.isascii() and at.isdigit() and len(at) <= 12) or abs(now.timestamp() - int(at)) > _WINDOW_S:
        raise _unsigned()
    signed = hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(f"v0={signed}".encode(), given.encode(errors="replace")):
        raise _unsigned()
    return given


def read_press(body: bytes) -> Press:
    """What a signed body says. Raises Refusal (``no-press``)."""
    try:
        form = {name: values[0] for name, values in parse_qs(body.decode(), strict_parsing=True).items()}
        if "payload" in form:
            return _pressed(json.loads(form["payload"]))
        return _typed(form)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise Refusal("no-press", "This is nothing that Slack sends for a button or a command.") from error


def _pressed(payload: Mapping[str, Any]) -> Press:
    """A ``block_actions`` payload. A button that is a link sends one too, which means nothing."""
    if payload["type"] != "block_actions":
        raise KeyError("type")
    action, user = payload["actions"][0], payload["user"]
    what = str(action["action_id"])
    value = json.loads(action["value"]) if what in ("approve", "deny") else {}
    typed = payload.get("state", {}).get("values", {}).get("why", {}).get("words", {}).get("value")
    return Press(
        what,
        f"{user['team_id'] if 'team_id' in user else payload['team']['id']} {user['id']}",
        str(user.get("username") or user.get("name") or user["id"])[:100],
        str(value.get("request", "")),
        str(value.get("digest", "")),
        str(typed or ""),
        str(payload["response_url"]),
    )


def _typed(form: Mapping[str, str]) -> Press:
    """A slash command: ``/interlock link CODE``."""
    what, _, rest = form.get("text", "").strip().partition(" ")
    subject = f"{form['team_id']} {form['user_id']}"
    return Press(what.lower(), subject, form["user_name"][:100], words=rest.strip(), back=form["response_url"])


def _unsigned() -> Refusal:
    return Refusal("not-signed", "Slack did not sign this, or signed it too long ago.")


class SlackNotifier:
    name = "slack"
    reaches = "chat"

    def open(self, settings: NotifierSettings) -> Slack:
        api = settings.to or _API
        check_address(api, "Slack", inside=settings.inside)
        if not settings.secret or not settings.signing_secret:
            raise Failure(
                f"The notifier {settings.name} has no token or no signing secret.",
                "Write secret: (the bot's token, xoxb-…) and signing_secret: (of the app's Basic Information).",
            )
        return Slack(api, settings)


NOTIFIER = SlackNotifier()
