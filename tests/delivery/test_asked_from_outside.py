"""Who asks the gate from outside: GitLab's external status checks, and whatever speaks signed webhooks."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from interlock.errors import Failure, Refusal
from interlock.forges.webhook import WebhookForge, key_of, signature_of
from interlock.ports.forge import Deploying, ForgeSettings
from interlock.services.forge_news import answer_checks, hear_news
from tests.delivery.shop import Shop, login
from tests.services.world import DBA, DEV, OPS, World
from tests.support.forges import PROJECT, SECRET, ForgeDouble, Message, serving


async def hear(shop: Shop, message: Message) -> None:
    """As the router does it."""
    headers, body = message
    news = shop.delivery.forges["hub"].read_news(headers, body)
    await hear_news(shop.delivery, forge="hub", news=news)
    assert await answer_checks(shop.delivery, "hub", news) == []


async def test_gitlab_waits_for_our_word_on_a_merge_request(world: World, tmp_path: Path) -> None:
    with serving(ForgeDouble("gitlab")) as forge:
        shop = await Shop.open(world, tmp_path, forge, checks=True)
        head = await shop.write(DEV)
        pull = forge.open(head, login(DEV))
        await hear(shop, forge.asks_status(pull))
        forge.review(pull, login(DBA))
        await hear(shop, forge.reviewed(pull))
        forge.ran("ci", "runner[bot]", head)
        await shop.tell(forge.checked(head))
        await hear(shop, forge.asks_status(pull))
        path = f"/api/v4/projects/{PROJECT}/merge_requests/{pull.number}/status_check_responses"
        told = [one for one in forge.answers if one["path"] == path]
        assert {(one["sha"], one["external_status_check_id"]) for one in told} == {(head, 7)}
        assert [one["status"] for one in told] == ["failed", "passed", "passed"] or told[-1]["status"] == "passed"
        assert told[0]["status"] == "failed"
        # Taken back, it is failed again; and whoever does not know the secret asks nothing.
        pull.words[-1].dismissed = True
        await hear(shop, forge.reviewed(pull))
        assert [one for one in forge.answers if one["path"] == path][-1]["status"] == "failed"
        headers, body = forge.asks_status(pull)
        for made in ("", "0" * 64, headers["x-gitlab-signature"][:-1] + "é"):
            with pytest.raises(Refusal):
                shop.delivery.forges["hub"].read_news({"x-gitlab-signature": made}, body)
        with pytest.raises(Refusal):
            shop.delivery.forges["hub"].read_news(headers, body + b" ")
        await shop.close()


class Receiver:
    """What a deployment tool would run: it keeps what it is sent, and answers ``statuses`` in turn, then 204."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    receiver = Receiver(*statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 -- as in the base class
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/answers"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def signed(kind: str, told: Mapping[str, str], *, at: int | None = None, secret: str = SECRET) -> Message:
    number = "msg_1"
    body = json.dumps({"type": kind, "data": {"project": PROJECT, **told}}).encode()
    stamp = str(int(time.time()) if at is None else at)
    made = signature_of(key_of(secret), number, stamp, body)
    return {"webhook-id": number, "webhook-timestamp": stamp, "webhook-signature": f"v1,AAAA {made}"}, body


async def test_anything_asks_by_a_signed_webhook_and_is_told_by_one(shop: Shop) -> None:
    merged = await shop.change()
    with receiving(503, 302) as receiver:
        asker = WebhookForge(ForgeSettings("hub", receiver.url, SECRET))
        real = shop.delivery.forges["hub"]
        forges = dict(shop.delivery.forges)
        forges["hub"] = asker
        object.__setattr__(shop.delivery, "forges", forges)
        ask = signed("gate.ask", {"environment": "production", "commit": merged, "by": login(OPS)})
        heard = await hear_news(shop.delivery, forge="hub", news=asker.read_news(*ask))
        assert heard.verdict is not None
        assert heard.verdict.open
        # Twice not taken (a redirect is not followed either), then taken: one message, each time signed for its moment.
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
        assert len(receiver.got) == 3
        headers, body = receiver.got[-1]
        made = signature_of(key_of(SECRET), headers["webhook-id"], headers["webhook-timestamp"], body)
        assert headers["webhook-signature"] == made
        told = json.loads(body)
        assert (told["type"], told["data"]["open"], told["data"]["question"]) == ("gate.answered", True, "msg_1")
        assert (told["data"]["commit"], told["data"]["environment"]) == (merged, "production")
        ask = signed("gate.ask", {"environment": "production", "commit": merged, "by": login(DEV)})
        await hear_news(shop.delivery, forge="hub", news=asker.read_news(*ask))
        assert json.loads(receiver.got[-1][1])["data"]["open"] is False
        await asker.close()
        object.__setattr__(shop.delivery, "forges", {"hub": real})


async def test_what_is_not_signed_old_or_strange_asks_nothing() -> None:
    forge = WebhookForge(ForgeSettings("hub", "", SECRET))
    good = {"environment": "production", "commit": "0" * 40, "by": "x"}
    headers, body = signed("gate.ask", good)
    assert forge.read_news(headers, body).deploying is not None
    # The same message with another number, another time or another body is another message, which nobody signed.
    for changed in (
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": str(int(time.time()) + 1)},
        {"webhook-signature": ""},
    ):
        with pytest.raises(Refusal):
            forge.read_news({**headers, **changed}, body)
    with pytest.raises(Refusal):
        forge.read_news(headers, body.replace(b"production", b"staging"))
    for message in (
        signed("gate.ask", good, at=int(time.time()) - 400),
        signed("gate.ask", good, at=int(time.time()) + 400),
        signed("gate.ask", good, secret="another secret, long enough"),
        signed("gate.open", good),
        signed("gate.ask", {}),
    ):
        with pytest.raises(Refusal):
            forge.read_news(*message)
    for stamp in ("", "9" * 30, "-1", "1e3", "٣"):
        with pytest.raises(Refusal):
            forge.read_news({**headers, "webhook-timestamp": stamp}, body)
    await forge.close()


async def test_who_does_not_answer_is_a_failure_and_no_yes() -> None:
    with receiving(500, 500, 500, 500) as receiver:
        forge = WebhookForge(ForgeSettings("hub", receiver.url, "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"))
        asked = Deploying("production", "0" * 40, "", None, "msg_9", receiver.url)
        with pytest.raises(Failure, match="answered 500"):
            await forge.answer(PROJECT, asked, allowed=True, sentence="x")
        assert len(receiver.got) == 4
        await forge.close()
