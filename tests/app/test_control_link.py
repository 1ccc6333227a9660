"""The gateway's way to the control plane: tokens renewed in time, a no told from a fault."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from interlock.app.control_link import ControlLink
from interlock.errors import Failure, Refusal


@dataclass
class Auth:
    token: str | None = None


@dataclass
class ScriptedApi:
    """Answers each path with what stands next in its script; an exception is raised."""

    script: dict[str, list[Any]]
    auth: Auth = field(default_factory=Auth)
    calls: list[tuple[str, str | None]] = field(default_factory=list)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        self.calls.append((path.rpartition("/")[2], self.auth.token))
        answer = self.script[path.rpartition("/")[2]].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @asynccontextmanager
    async def streaming(self, path: str, **_query: str) -> AsyncIterator[AsyncIterator[Mapping[str, Any]]]:
        answer = self.script[path.rpartition("/")[2]].pop(0)
        if isinstance(answer, Exception):
            raise answer

        async def messages() -> AsyncIterator[Mapping[str, Any]]:
            for message in answer:
                yield message

        yield messages()


TOKEN_OVER = Refusal("token-over", "The access token is over.")


async def test_one_token_serves_many_calls() -> None:
    api = ScriptedApi({"token": [{"token": "t1"}], "withdraw": [{}, {}]})
    link = ControlLink(api)
    await link.withdraw_hold("r-1", "x")
    await link.withdraw_hold("r-1", "x")
    assert api.calls == [("token", None), ("withdraw", "t1"), ("withdraw", "t1")]


async def test_a_token_that_is_over_is_renewed_once() -> None:
    api = ScriptedApi({"token": [{"token": "t1"}, {"token": "t2"}], "take": [TOKEN_OVER, {}]})
    await ControlLink(api).take_hold("r-1", "digest")
    assert api.calls == [("token", None), ("take", "t1"), ("token", "t1"), ("take", "t2")]


async def test_a_no_to_the_person_stays_a_no() -> None:
    api = ScriptedApi({"token": [{"token": "t1"}], "take": [Refusal("password-used", "It was used before.")]})
    with pytest.raises(Refusal, match="It was used before"):
        await ControlLink(api).take_password("secret", "orders", "127.0.0.1")


@pytest.mark.parametrize("code", ["no-gateway", "proof-replay", "wrong-scope", "token-over"])
async def test_a_no_to_the_gateway_is_a_fault(code: str) -> None:
    refusal = Refusal(code, "No.")
    api = ScriptedApi({"token": [{"token": "t1"}, {"token": "t2"}], "take": [refusal, refusal]})
    with pytest.raises(Failure, match="turns this gateway away: No"):
        await ControlLink(api).take_hold("r-1", "digest")


async def test_a_gateway_that_is_not_let_in_gets_no_feed() -> None:
    api = ScriptedApi({"token": [Refusal("no-gateway", "Let it join first.")]})
    with pytest.raises(Failure, match="Let it join first"):
        await anext(ControlLink(api).feed())


async def test_the_feed_is_passed_on() -> None:
    api = ScriptedApi({"token": [{"token": "t1"}], "feed": [[{"type": "snapshot"}, {"type": "beat"}]]})
    assert [message["type"] async for message in ControlLink(api).feed()] == ["snapshot", "beat"]


async def test_a_feed_whose_token_is_over_starts_with_a_fresh_one() -> None:
    api = ScriptedApi({"token": [{"token": "t1"}, {"token": "t2"}], "feed": [TOKEN_OVER, [{"type": "beat"}]]})
    link = ControlLink(api)
    with pytest.raises(Failure):
        await anext(link.feed())
    assert [message["type"] async for message in link.feed()] == ["beat"]
    assert api.auth.token == "t2"
