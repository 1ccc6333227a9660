"""What a worker is told: everything once, then what changed, and beats that mean something."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from interlock.domain.codec import from_plain, to_plain
from interlock.domain.snapshot import HeldRequest, Snapshot, UpstreamCredential
from interlock.errors import Failure
from interlock.policy.configuration import Timing
from interlock.ports.control import SessionEnd
from interlock.ports.state import Entity
from interlock.services import feed
from interlock.services.credentials import Credentials
from interlock.services.cut_session import cut_session
from interlock.services.deny_request import deny_request
from interlock.services.end_contract import end_contract
from interlock.services.end_grant import end_grant
from interlock.services.feed import Message, follow
from interlock.services.feed_changes import credentials_message
from interlock.services.offboard_person import offboard_person
from interlock.services.report_sessions import report_sessions
from interlock.services.take_hold import take_hold
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.services.world import ADMIN, DBA, DEV, GATEWAY, LEAD, World, company
from tests.support.clock import NOON


class NotedVault:
    """A vault of secrets that the test knows."""

    scheme = "env"

    def __init__(self, **secrets: str) -> None:
        self.secrets = secrets

    async def fetch(self, reference: str) -> str:
        if reference not in self.secrets:
            raise Failure(f"The secret {reference} is not there.", "Put it there.")
        return self.secrets[reference]


def credentials(world: World, **secrets: str) -> Credentials:
    vault = NotedVault(**(secrets or {"ORDERS": "s3cret"}))
    return Credentials(world.configuration.resources, {vault.scheme: vault})


class Follower:
    """Collects what the feed says, and keeps a snapshot's maps as a worker would. Nothing may be missing in between."""

    def __init__(self, messages: AsyncIterator[Message]) -> None:
        self._messages = messages
        self.maps: dict[str, dict[str, Any]] = {}
        self.version = 0

    async def until(self, wanted: Callable[[Message], bool]) -> Message:
        async with asyncio.timeout(10):
            async for message in self._messages:
                self._keep(message)
                if wanted(message):
                    return message
        raise AssertionError("the feed ended")

    async def change(self) -> Message:
        return await self.until(lambda message: message["type"] == "change")

    def _keep(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "snapshot":
            self.maps = {name: dict(rows) for name, rows in message["snapshot"].items() if isinstance(rows, dict)}
            self.version = message["snapshot"]["version"]
            return
        assert message["version" if message["type"] == "beat" else "after"] == self.version
        assert message["version"] >= self.version
        self.version = message["version"]
        for name, rows in message.get("put", {}).items():
            self.maps[name].update(rows)
        for name, keys in message.get("drop", {}).items():
            for key in keys:
                self.maps[name].pop(key, None)


@asynccontextmanager
async def following(world: World, **secrets: str) -> AsyncIterator[Follower]:
    messages = follow(world.desk, credentials(world, **secrets), lasts=world.lasts)
    follower = Follower(messages)
    try:
        first = await follower.until(lambda message: True)
        assert first["type"] == "snapshot"
        yield follower
    finally:
        with suppress(Failure):
            await messages.aclose()


async def test_the_snapshot_holds_what_is_not_over(world: World) -> None:
    session, grant, login = await world.session_with()
    gone = await world.lend("reader", duration=timedelta(minutes=1))
    ended = await world.lend("reader")
    await end_grant(world.desk, by=DEV, grant_id=ended.id, reason="enough")
    await end_contract(world.desk, by=LEAD, contract_name="globex-ops", reason="over")
    await offboard_person(world.desk, by=ADMIN, name="ops", reason="left")
    hold = await world.hold(session)
    await cut_session(world.desk, by=LEAD, session_id=session, reason="stop")
    world.clock.advance(timedelta(minutes=1))
    messages = follow(world.desk, credentials(world), lasts=world.lasts)
    first = await anext(messages)
    await messages.aclose()
    assert first["lease_s"] == 10
    snapshot = from_plain(Snapshot, first["snapshot"])
    assert to_plain(snapshot) == first["snapshot"]
    async with world.state.reading() as reading:
        assert snapshot.version == await reading.ledger_head()
    assert snapshot.policy.yaml == world.configuration.text
    assert set(snapshot.people) == set(world.configuration.people) - {"ops"}
    assert set(snapshot.contracts) == {"acme-orders"}
    assert snapshot.grants == {grant.id: grant}
    assert gone.id not in snapshot.grants
    assert snapshot.logins[login.id] == login
    assert snapshot.credentials["orders"] == UpstreamCredential("orders_app", "s3cret")
    assert snapshot.held == {hold.request: HeldRequest(hold.request, "open")}
    assert snapshot.cuts == {session: "lead cut this session: stop"}


async def test_ends_arrive_as_drops(world: World) -> None:
    async with following(world) as follower:
        login = await world.sign_in(DEV)
        assert login.id in (await follower.change())["put"]["logins"]
        grant = await world.lend("reader", login=login)
        await follower.until(lambda message: grant.id in message.get("put", {}).get("grants", {}))
        await end_grant(world.desk, by=DEV, grant_id=grant.id, reason="enough")
        assert (await follower.change())["drop"] == {"grants": [grant.id]}
        await end_contract(world.desk, by=LEAD, contract_name="acme-orders", reason="done")
        message = await follower.change()
        assert message["drop"]["contracts"] == ["acme-orders"]
        assert login.id in message["drop"]["logins"]
        await offboard_person(world.desk, by=ADMIN, name=DEV, reason="left")
        assert (await follower.change())["drop"]["people"] == [DEV]
        assert follower.maps["grants"] == {}
        assert DEV not in follower.maps["people"]


async def test_a_hold_is_told_from_open_to_its_end(world: World) -> None:
    session, _, _ = await world.session_with()
    async with following(world) as follower:
        hold, denied = await world.hold(session), await world.hold(session, text="drop table orders")
        await follower.until(lambda message: denied.request in message.get("put", {}).get("held", {}))
        await world.approve(DBA, await world.request(hold.request))
        await follower.until(lambda message: "held" in message.get("put", {}))
        assert follower.maps["held"][hold.request]["state"] == "approved"
        await take_hold(world.desk, gateway=GATEWAY, request_id=hold.request, digest=hold.digest)
        assert (await follower.change())["drop"] == {"held": [hold.request]}
        await deny_request(world.desk, by=DBA, request_id=denied.request, reason="all of them?")
        message = await follower.change()
        assert message["put"]["held"][denied.request] == {
            "id": denied.request,
            "state": "denied",
            "sentence": "dba denied it: all of them?",
        }
        await report_sessions(
            world.desk,
            world.master,
            gateway=GATEWAY,
            starts=(),
            ends=(SessionEnd(session, world.clock.now(), "left", 1, ""),),
        )
        assert (await follower.change())["drop"] == {"cuts": [session], "held": [denied.request]}
        assert follower.maps["held"] == {}


async def test_a_follower_that_comes_back_hears_how_its_hold_ended(world: World) -> None:
    session, _, _ = await world.session_with()
    hold = await world.hold(session)
    await deny_request(world.desk, by=DBA, request_id=hold.request, reason="no")
    async with following(world) as follower:
        assert follower.maps["held"][hold.request]["state"] == "denied"
    world.clock.advance(timedelta(minutes=10))
    async with following(world) as follower:
        assert follower.maps["held"] == {}


async def test_a_cut_travels(world: World) -> None:
    session, _, _ = await world.session_with()
    async with following(world) as follower:
        await cut_session(world.desk, by=LEAD, session_id=session, reason="stop")
        assert (await follower.change())["put"] == {"cuts": {session: "lead cut this session: stop"}}


async def test_beats_come_in_time_and_say_what_was_heard(world: World) -> None:
    world.configuration = company(timing=Timing(lease=timedelta(seconds=0.4)))
    await world.apply()
    async with following(world) as follower:
        started = asyncio.get_running_loop().time()
        for _ in range(4):
            beat = await follower.until(lambda message: message["type"] == "beat")
            assert beat == {"type": "beat", "version": follower.version, "at": to_plain(world.clock.now())}
        assert asyncio.get_running_loop().time() - started < 5
        await world.sign_in(DEV)
        async with world.state.reading() as reading:
            head = await reading.ledger_head()
        await follower.until(lambda message: message["type"] == "beat" and message["version"] >= head)
        assert len(follower.maps["logins"]) == 1


class DeafState(PostgresState):
    """A state whose news of changes never arrives, as when a connection hangs."""

    async def changes(self, after: int) -> AsyncGenerator[tuple[int, Sequence[Entity]], None]:
        yield after, ()
        await asyncio.Event().wait()


async def test_a_feed_that_hears_of_no_changes_does_not_beat(state_database: StateAddress) -> None:
    state = DeafState(state_database.url)
    world = World(state, configuration=company(timing=Timing(lease=timedelta(seconds=0.2))))
    await world.apply()
    async with following(world) as follower:
        await follower.until(lambda message: message["type"] == "beat")
        await world.sign_in(DEV)
        before = follower.version
        async with state.reading() as reading:
            head = await reading.ledger_head()
        assert head > before
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await follower.until(lambda message: True)
    await state.close()


async def test_another_policy_ends_the_feed(world: World) -> None:
    async with following(world) as follower:
        old = world.configuration
        await world.apply(company(people={**old.people}, roles={}))
        with pytest.raises(Failure, match="active policy"):
            await follower.change()
        world.configuration = old
    with pytest.raises(Failure, match="active policy"):
        await anext(follow(world.desk, credentials(world), lasts=world.lasts))


async def test_a_secret_that_cannot_be_fetched_is_left_out(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with following(world, OTHER="x") as follower:
        assert follower.maps["credentials"] == {}
    assert "The credential of orders cannot be fetched" in caplog.text
    no_vault = Credentials(world.configuration.resources, {})
    assert await no_vault.fetch_all() == {}


def test_fresh_credentials_are_told_and_old_ones_are_not() -> None:
    before = {"a": UpstreamCredential("u", "1"), "b": UpstreamCredential("u", "1")}
    after = {"a": UpstreamCredential("u", "2"), "b": UpstreamCredential("u", "1")}
    assert credentials_message(7, NOON, before, before) is None
    message = credentials_message(7, NOON, before, after)
    assert message is not None
    assert (message["put"], message["drop"]) == ({"credentials": {"a": {"user": "u", "secret": "2"}}}, {})


async def test_what_does_not_concern_gateways_is_not_told(world: World) -> None:
    async with following(world) as follower:
        request = await world.ask("reader", login=await world.sign_in(DEV))
        await follower.change()
        await deny_request(world.desk, by=DBA, request_id=request.id, reason="s3cret reason")
        async with world.state.reading() as reading:
            head = await reading.ledger_head()
        assert head > follower.version
        # Asked for after the denial, so it was sent with the denial heard.
        beat = await follower.until(lambda message: True)
        assert (beat["type"], beat["version"]) == ("beat", follower.version)
        await world.sign_in(DEV)
        change = await follower.change()
        assert (change["after"], change["version"] > head) == (beat["version"], True)


async def test_fresh_credentials_are_linked_to_what_was_told_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_REFRESH_S", 0.2)
    vault = NotedVault(ORDERS="old")
    messages = follow(world.desk, Credentials(world.configuration.resources, {vault.scheme: vault}), lasts=world.lasts)
    follower = Follower(messages)
    await follower.until(lambda message: message["type"] == "snapshot")
    for secret in ("new", "newer"):
        await world.ask("reader", login=await world.sign_in(DEV))
        vault.secrets["ORDERS"] = secret
        await follower.until(lambda message: "credentials" in message.get("put", {}))
        assert follower.maps["credentials"]["orders"]["secret"] == secret
    await messages.aclose()
