"""Slack: what is sent, and what is believed of what comes back. What a press does is in tests/web/test_chats.py."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from interlock.domain.identity_events import ChatLinked
from interlock.domain.notices import ChatLink, Later, Letter, Never, Notice, NoticeKind, Told
from interlock.errors import Failure, Refusal
from interlock.notify.slack import Slack, blocks_of, check_signature, read_press
from interlock.ports.notify import NotifierSettings, Press, Reply
from interlock.services.deny_request import deny_request
from interlock.store.outbox import PostgresOutbox
from tests.notify.chats import SIGNING, TOKEN, SlackServer, check_blocks, pressed, signed, typed
from tests.notify.posts import CONSOLE, channel_of, settled, telling
from tests.services.world import BOTH, DBA, DBA2, DEV, RIVAL, World
from tests.sinks.test_sinks import serving

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
EVIL = "<!channel> <https://thief.example|your bank> *bold* @here :tada: &lt;\r\n> quote"


def letter(*fields: tuple[str, str], kind: NoticeKind = NoticeKind.ASKED) -> Letter:
    notice = Notice(7, NOW, kind, "A request waits", fields, "/decide/r-1", "r-1", "ab" * 32)
    return Letter("slack", DBA, notice, address="T1 U1")


def slack(address: str = "") -> Slack:
    api = f"{address}/api" if address else "https://slack.com/api"
    inside = bool(address)
    settings = NotifierSettings("slack", api, TOKEN, "", SIGNING, inside=inside, console=CONSOLE)
    return Slack(api, settings)


async def link(house: World, person: str, user: str) -> None:
    async with house.state.changing(person) as work:
        await work.save(ChatLink("n", f"T1 {user}", person, person, house.clock.now()))
        work.record(ChatLinked(person=person, notifier="n", subject=f"T1 {user}", shown=person))


async def test_those_who_have_linked_an_account_are_told_and_told_again_when_it_is_over(
    house: World, outbox: PostgresOutbox
) -> None:
    server = SlackServer()
    for person, user in ((DBA, "U1"), (BOTH, "U2"), (DEV, "U3")):
        await link(house, person, user)
    async with serving(server.api) as address:
        channel = channel_of("slack", f"{address}/api", secret=TOKEN, signing_secret=SIGNING)
        async with telling(house, outbox, channel):
            request = await house.ask()
            await settled(house, outbox)
            assert sorted(message["channel"] for message in server.posted) == ["U1", "U2"]
            await deny_request(house.desk, by=DBA2, request_id=request.id, reason="not today")
            await settled(house, outbox)
    # the requester hears of it in a new message, the judges in the old ones, which lose their buttons
    assert [message["channel"] for message in server.posted[2:]] == ["U3"]
    assert sorted((message["channel"], message["ts"]) for message in server.updated) == [
        ("DU1", "2.000100"),
        ("DU2", "1.000100"),
    ]
    for message in server.updated:
        assert "Denied" in json.dumps(message["blocks"])
        assert "approve" not in json.dumps(message["blocks"])
    # who has linked no account is no trouble
    assert await outbox.troubles(house.clock.now()) == []
    assert RIVAL not in json.dumps(server.posted)


def test_what_people_wrote_is_no_markup_and_no_mention() -> None:
    blocks = blocks_of(letter(("who", EVIL), ("reason", EVIL * 100)), CONSOLE)
    check_blocks(blocks)
    assert blocks[1]["fields"][0] == {
        "type": "plain_text",
        "text": "who: " + EVIL.replace("\r", "\\x0d").replace("\n", "\\n"),
        "emoji": False,
    }


def test_only_what_waits_has_buttons_and_they_carry_what_was_shown() -> None:
    asked = blocks_of(letter(), CONSOLE)[-1]["elements"]
    assert [one["action_id"] for one in asked] == ["approve", "deny", "open"]
    assert json.loads(asked[0]["value"]) == {"request": "r-1", "digest": "ab" * 32}
    assert asked[2]["url"] == f"{CONSOLE}/decide/r-1"
    for kind in set(NoticeKind) - {NoticeKind.ASKED, NoticeKind.HELD}:
        assert [one["action_id"] for one in blocks_of(letter(kind=kind), CONSOLE)[-1]["elements"]] == ["open"]


@pytest.mark.parametrize(
    ("status", "said", "outcome"),
    [
        (200, {"ok": False, "error": "user_not_found"}, Never),
        (200, {"ok": False, "error": "ratelimited"}, Later),
        (200, {"ok": False, "error": "internal_error"}, Later),
        (200, {"okay": True}, Later),
        (500, {}, Later),
    ],
)
async def test_what_slack_answers(status: int, said: dict[str, object], outcome: type) -> None:
    server = SlackServer(failing=[(status, said)])
    async with serving(server.api) as address:
        notifier = slack(address)
        found = await notifier.send([letter(), letter()])
        await notifier.close()
    assert isinstance(found[0], outcome)
    assert found[1] == Told("DU1 1.000100")


@pytest.mark.parametrize(("status", "error"), [(200, "token_revoked"), (200, "invalid_auth")])
async def test_what_stops_them_all_is_a_failure_that_holds_no_token(status: int, error: str) -> None:
    server = SlackServer(failing=[(status, {"ok": False, "error": error})])
    async with serving(server.api) as address:
        notifier = slack(address)
        with pytest.raises(Failure) as failed:
            await notifier.send([letter(), letter()])
        await notifier.close()
    assert server.posted == []
    assert TOKEN not in str(failed.value)


BODY = typed("link ABCDE-FGHJK", "https://hooks.slack.com/actions/T1/1/2")


def test_what_slack_has_signed_is_believed() -> None:
    headers = signed(BODY, at=NOW.timestamp())
    assert check_signature(SIGNING, headers, BODY, NOW) == headers["x-slack-signature"]
    # the example of Slack's own documentation
    example = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name="
        b"foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F"
        b"hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015."
        b"47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    mark = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    given = {"x-slack-request-timestamp": "1531420618", "x-slack-signature": mark}
    assert check_signature(SIGNING, given, example, datetime.fromtimestamp(1531420618, UTC)) == mark


@pytest.mark.parametrize(
    "change",
    [
        {"x-slack-signature": ""},
        {"x-slack-signature": "v0="},
        {"x-slack-signature": "v0=" + "0" * 64},
        {"x-slack-signature": "v1=" + "0" * 64},
        {"x-slack-signature": "ü" * 67},
        {"x-slack-request-timestamp": ""},
        {"x-slack-request-timestamp": "٠" * 10},
        {"x-slack-request-timestamp": "1e9"},
        {"x-slack-request-timestamp": str(int(NOW.timestamp()) + 1)},
    ],
)
def test_a_forged_signature_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(Refusal) as refused:
        check_signature(SIGNING, {**signed(BODY, at=NOW.timestamp()), **change}, BODY, NOW)
    assert refused.value.code == "not-signed"


@pytest.mark.parametrize("away", [timedelta(seconds=301), timedelta(seconds=-301), timedelta(days=9999)])
def test_a_signature_is_good_for_five_minutes(away: timedelta) -> None:
    headers = signed(BODY, at=NOW.timestamp())
    with pytest.raises(Refusal):
        check_signature(SIGNING, headers, BODY, NOW + away)


def test_another_body_or_another_secret_is_refused() -> None:
    headers = signed(BODY, at=NOW.timestamp())
    for secret, body in ((SIGNING, BODY + b"&user_id=U2"), ("another", BODY)):
        with pytest.raises(Refusal):
            check_signature(secret, headers, body, NOW)


def test_a_press_and_a_command_are_read() -> None:
    message = {"blocks": blocks_of(letter(), CONSOLE)}
    back = "https://hooks.slack.com/actions/T1/1/2"
    assert read_press(pressed(message, "deny", back, words="no")) == Press(
        "deny", "T1 U1", "name of U1", "r-1", "ab" * 32, "no", back
    )
    assert read_press(BODY) == Press("link", "T1 U1", "name of U1", words="ABCDE-FGHJK", back=back)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload=[]",
        b"payload=%7B%22type%22%3A%22view_submission%22%7D",
        b"payload=" + b"%5B" * 5000,
        b"payload=%7B%22type%22%3A%22block_actions%22%2C%22actions%22%3A%5B%5D%7D",
        b"\xff\xfe",
        b"text=link",
    ],
)
def test_what_is_no_press_is_refused_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        read_press(body)
    assert refused.value.code == "no-press"


@pytest.mark.parametrize(
    "back",
    [
        "https://thief.example/actions/T1/1/2",
        "https://hooks.slack.com@thief.example/",
        "http://hooks.slack.com/actions/T1/1/2",
        "https://hooks.slack.com.thief.example/",
        "http://127.0.0.1:1/api",
        "file:///etc/passwd",
        "",
    ],
)
async def test_an_answer_goes_to_slack_and_to_nobody_else(back: str) -> None:
    notifier = slack()
    with pytest.raises(Failure):
        await notifier.answer(Press("deny", "T1 U1", "x", back=back), Reply("secret of somebody"))
    await notifier.close()


@pytest.mark.parametrize(
    ("status", "said", "wait_s"),
    [
        (429, "7", 7.0),
        (429, "", 30.0),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", 30.0),
        (429, "99999", 3600.0),
        (429, "-1", 30.0),
        (503, "7", 7.0),
        (503, "", 0.0),
    ],
)
async def test_slack_is_left_alone_for_as_long_as_it_asks(status: int, said: str, wait_s: float) -> None:
    fine, busy = letter(), (status, {"ok": False, "error": "ratelimited"})
    server = SlackServer(headers={"Retry-After": said} if said else {})
    async with serving(server.api) as address:
        notifier = slack(address)
        assert await notifier.send([fine]) == [Told("DU1 1.000100")]
        server.failing.append(busy)
        found = await notifier.send([fine, fine, fine])
        await notifier.close()
    assert isinstance(found[0], Later)
    assert found[0].wait_s == wait_s
    if wait_s:
        assert found == [found[0]] * 3, "the others are not tried, and wait as long"
        assert len(server.posted) == 1
    assert TOKEN not in repr(found)


async def test_what_was_sent_before_it_was_too_much_is_told_once() -> None:
    server = SlackServer(headers={"Retry-After": "5"})
    async with serving(server.api) as address:
        notifier = slack(address)
        first, second = letter(), letter()
        sent = [await notifier.send([first])]
        server.failing.append((429, {"ok": False, "error": "ratelimited"}))
        sent.append(await notifier.send([second, first]))
        await notifier.close()
    assert [type(one) for batch in sent for one in batch] == [Told, Later, Later]


async def test_patience_is_kept_for_all_letters_and_nothing_is_told_twice(house: World, outbox: PostgresOutbox) -> None:
    """The part of the control plane that tells: after a 429 nothing goes to Slack until the time is over."""
    await link(house, DBA, "U1")
    await link(house, BOTH, "U2")
    server = SlackServer(headers={"Retry-After": "1"}, failing=[(429, {"ok": False, "error": "ratelimited"})])
    async with serving(server.api) as address:
        channel = channel_of("slack", f"{address}/api", secret=TOKEN, signing_secret=SIGNING)
        async with telling(house, outbox, channel):
            await house.ask()
            await settled(house, outbox)
            assert (len(server.refused), server.posted) == (1, [])
            # The letters are due again, and the channel waits yet.
            house.clock.advance(timedelta(seconds=2))
            await settled(house, outbox)
    assert len(server.refused) == 1
    assert sorted(message["channel"] for message in server.posted) == ["U1", "U2"]
    assert min(server.times) - server.refused[0] >= 1.0
