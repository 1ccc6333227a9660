"""Webhooks and Teams: what is sent, how it is signed, what becomes of it when it is not taken."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from interlock.app.discovery import find_notifiers
from interlock.domain.notices import Later, Letter, Never, Notice, NoticeKind, Told
from interlock.domain.sensitivity import Sensitivity
from interlock.errors import Failure
from interlock.notify.teams import card_of
from interlock.notify.webhook import body_of, signature_of
from interlock.ports.notify import NotifierSettings, OpenNotifier
from interlock.services.notices import cut_down
from interlock.store.outbox import PostgresOutbox
from tests.notify.chats import KEY, OLDER, Hook, Workflow
from tests.notify.posts import CONSOLE, channel_of, settled, telling
from tests.services.world import BOTH, DBA, DBA2, DEV, RIVAL, World
from tests.sinks.test_sinks import serving

EVIL = "**bold** [link](https://thief.example) <at>everyone</at> <script>alert(1)</script>\r\n# head"
PATH = "/workflows/1/triggers/manual/paths/invoke?sig=s3cret"


def letter(*fields: tuple[str, str], tell: tuple[str, ...] = ("lead",)) -> Letter:
    notice = Notice(7, datetime.now(UTC), NoticeKind.ASKED, "A request waits", fields, "/decide/r-1", "r-1", "ab")
    return Letter("n", "", notice, tell)


def opened(kind: str, to: str = "", *, inside: bool = True, **secrets: str) -> OpenNotifier:
    return find_notifiers()[kind].open(NotifierSettings("n", to, inside=inside, console=CONSOLE, **secrets))


async def test_a_webhook_is_signed_sent_again_and_follows_nobody(house: World, outbox: PostgresOutbox) -> None:
    hook = Hook(statuses=[307])
    async with serving(hook.api) as address:
        hooked = channel_of("webhook", f"{address}/in", secret=f"whsec_{KEY}")
        async with telling(house, outbox, hooked):
            request = await house.ask()
            await settled(house, outbox)
            assert (hook.statuses, hook.got) == ([], [])
            house.clock.advance(timedelta(seconds=5))
            await settled(house, outbox)
            hook.statuses = [400]
            await house.ask("friendly")
            await house.approve(DBA, request)
            await settled(house, outbox)
    assert hook.elsewhere == 0
    (message, asked), (_, answered) = hook.got
    assert asked["type"] == "interlock.asked"
    assert message == f"interlock-{asked['data']['entry']}"
    assert asked["data"]["url"] == f"{CONSOLE}/decide/{request.id}"
    assert asked["data"]["tell"] == sorted([BOTH, DBA, DBA2, RIVAL])
    assert (asked["data"]["who"], asked["data"]["role"], asked["data"]["reason"]) == (DEV, "reader", "a task")
    # 400 says that it will never take that one: what comes after is told all the same
    assert answered["type"] == "interlock.answered"


async def test_while_a_key_is_replaced_both_hold_and_a_changed_body_holds_with_neither() -> None:
    new, old = Hook(KEY), Hook(OLDER)
    for hook in (new, old):
        async with serving(hook.api) as address:
            notifier = opened("webhook", f"{address}/in", secret=KEY, older_secret=OLDER)
            assert await notifier.send([letter()]) == [Told()]
            await notifier.close()
    body = body_of(letter(("who", "dev")), CONSOLE)
    at = str(int(datetime.now(UTC).timestamp()))
    headers = {
        "webhook-id": "interlock-7",
        "webhook-timestamp": at,
        "webhook-signature": signature_of(base64.b64decode(KEY), "interlock-7", at, body),
    }
    assert new.verifies(headers, body)
    assert not old.verifies(headers, body)
    assert not new.verifies(headers, body.replace(b"dev", b"eve"))
    assert not new.verifies({**headers, "webhook-id": "interlock-8"}, body)
    assert not new.verifies({**headers, "webhook-timestamp": str(int(at) - 1)}, body)


@pytest.mark.parametrize(("status", "outcome"), [(400, Never), (410, Never), (429, Later), (500, Later), (302, Later)])
async def test_what_a_webhook_answers(status: int, outcome: type) -> None:
    hook = Hook(statuses=[status])
    async with serving(hook.api) as address:
        notifier = opened("webhook", f"{address}/in", secret=KEY)
        (found,) = await notifier.send([letter()])
        await notifier.close()
    assert isinstance(found, outcome)
    assert hook.elsewhere == 0


async def test_a_place_inside_is_called_only_where_the_policy_says_so() -> None:
    hook = Hook()
    async with serving(hook.api) as address:
        port = address.rpartition(":")[2]
        notifier = opened("webhook", f"https://localhost:{port}/in", inside=False, secret=KEY)
        with pytest.raises(Failure, match="does not lie on the public internet"):
            await notifier.send([letter()])
        await notifier.close()
    assert hook.got == []


def test_what_is_shown_in_public_names_nobody_and_says_nothing_that_was_written() -> None:
    full = letter(("who", DEV), ("resource", "orders"), ("role", "reader"), ("reason", "for eve"), ("by", "lead"))
    told = json.loads(body_of(cut_down(full, Sensitivity.PUBLIC), CONSOLE))
    assert told["data"].keys() == {"entry", "sentence", "resource", "role", "url", "tell"}
    assert told["data"]["tell"] == []
    assert cut_down(full, Sensitivity.SENSITIVE) == full


async def test_a_card_reaches_teams_by_its_workflow(house: World, outbox: PostgresOutbox) -> None:
    workflow = Workflow(answers=[(429, ""), (200, "Webhook message delivery failed with error: HTTP error 429")])
    async with (
        serving(workflow.api) as address,
        telling(house, outbox, channel_of("teams", secret=f"{address}{PATH}")),
    ):
        request = await house.ask()
        for left in (1, 0):
            await settled(house, outbox)
            assert len(workflow.answers) == left
            house.clock.advance(timedelta(seconds=5))
        await settled(house, outbox)
    (message,) = workflow.got
    assert message["type"] == "message"
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    # it leads there, and does nothing by itself
    assert card["actions"] == [
        {"type": "Action.OpenUrl", "title": "Open in Interlock", "url": f"{CONSOLE}/decide/{request.id}"}
    ]


def test_what_people_wrote_is_no_markup_in_a_card() -> None:
    card = card_of(letter(("reason", EVIL)), CONSOLE)["attachments"][0]["content"]
    marked = [block["text"] for block in card["body"] if block["type"] == "TextBlock"]
    assert marked == ["A request waits"]
    (run,) = [
        run["text"]
        for block in card["body"]
        if block["type"] == "RichTextBlock"
        for run in block["inlines"]
        if "bold" in run["text"]
    ]
    assert run == EVIL.replace("\r", "\\x0d").replace("\n", "\\n")
    assert {run["type"] for block in card["body"] for run in block.get("inlines", ())} == {"TextRun"}


@pytest.mark.parametrize(("status", "said"), [(401, "answers 401"), (404, "answers 404")])
async def test_a_workflow_that_is_off_is_said_and_its_address_is_not(status: int, said: str) -> None:
    workflow = Workflow(answers=[(status, "")])
    async with serving(workflow.api) as address:
        notifier = opened("teams", secret=f"{address}{PATH}")
        with pytest.raises(Failure, match=said) as failed:
            await notifier.send([letter()])
        await notifier.close()
    assert "s3cret" not in str(failed.value)


@pytest.mark.parametrize(
    ("kind", "to", "secret"),
    [
        ("webhook", "http://chat.example/in", KEY),
        ("webhook", "ftp://chat.example/in", KEY),
        ("webhook", "https://us:pw@chat.example/in", KEY),
        ("webhook", "https://chat.example/in", ""),
        ("webhook", "https://chat.example/in", "short"),
        ("webhook", "https://chat.example:99999/in", KEY),
        ("teams", "", ""),
        ("teams", "https://prod.logic.azure.com/pw", ""),
        ("teams", "", "http://prod.logic.azure.com/pw"),
        ("slack", "http://slack.example/api", "xoxb"),
        ("slack", "", "xoxb"),
    ],
)
def test_every_kind_refuses_what_it_cannot_do_safely(kind: str, to: str, secret: str) -> None:
    with pytest.raises(Failure, match=r"[.]") as refused:
        opened(kind, to, inside=True, secret=secret)
    assert "pw" not in str(refused.value)
