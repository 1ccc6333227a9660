"""A statement follows a precedent only while everything holds from which the precedent was decided."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import tests.toy
from interlock.errors import Misuse
from interlock.gateway.worker import working
from interlock.ports.precedents import Precedents
from interlock.ports.protocol import Machine, Outlet, Verdict
from interlock.ports.statement import Described, Outcome, Statement
from tests.gateway.world import Gate, ToyClient, policy, surroundings, until
from tests.support.control import DeskLink

LEASE_S = 1.5
TEXT = b"get a"


class Desk:
    """The session's own outlet, of which what it gave, and how each text was described, is kept."""

    def __init__(self) -> None:
        self.precedents = Precedents()
        self.described: dict[str, Described] = {}
        self.outlet: Any = None

    def __call__(self, outlet: Outlet) -> Machine:
        self.outlet = outlet
        return tests.toy.PROTOCOL.open_machine(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outlet, name)

    def established(self) -> Precedents:
        self.precedents = self.outlet.established()
        return self.precedents

    def ask(self, number: int, statement: Statement) -> Verdict | None:
        self.described[statement.text] = statement.described
        verdict: Verdict | None = self.outlet.ask(number, statement)
        return verdict

    def follow(self, number: int, text: str = "get a") -> bool:
        return self.precedents.follow(number, self.described[text], TEXT, 0, len(TEXT), (b"a",), ())

    def end(self) -> None:
        self.precedents.ended(1, 0, 9, b"TAG", 0, 3)


class Adapter(tests.toy.ToyAdapter):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def open_machine(self, outlet: Outlet) -> Machine:
        return self._desk(outlet)


@asynccontextmanager
async def asked(folder: Path) -> AsyncIterator[tuple[Gate, Desk, ToyClient]]:
    """A session in which a read, a fenced write and a held statement were asked about."""
    desk = Desk()
    async with surroundings(folder, lease_s=LEASE_S) as gate:
        gate.lend("writer")
        async with working(gate.settings(), {"toy": Adapter(desk)}, DeskLink(gate.desk.port)) as worker:
            gate.worker, gate.address = worker, worker.addresses["toy"]
            client = await gate.enter()
            assert (await client.ask("get a")).startswith("+")
            assert (await client.ask("set a 1")).startswith("+")
            yield gate, desk, client


async def test_it_is_recorded_as_any_other(tmp_path: Path) -> None:
    async with asked(tmp_path) as (gate, desk, _client):
        assert desk.follow(70)
        desk.end()
        assert desk.follow(71)
        desk.outlet.finish(71, Outcome(error="broke"))
        assert desk.follow(72)
        desk.outlet.close("over")
        records = await gate.recording(desk.outlet.id)
    statements = [one for one in records if one["type"] == "statement" and one["text"] == "get a"]
    assert len(statements) == 4
    same = ("text", "parameters", "summary", "needs", "effect", "reason", "policies")
    assert len({repr([one[name] for name in same]) for one in statements}) == 1
    ends = {one["number"]: one for one in records if one["type"] == "outcome"}
    assert (ends[70]["rows"], ends[70]["tag"], ends[70]["error"]) == (1, "TAG", "")
    assert ends[71]["error"] == "broke"
    assert ends[72]["error"].startswith("cut off")


async def test_one_is_under_way_at_a_time_and_none_is_ended_twice(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, desk, _client):
        with pytest.raises(Misuse):
            desk.end()
        assert desk.follow(0)
        assert not desk.follow(71)
        # Another statement's end is not its end.
        desk.outlet.finish(70, Outcome())
        assert not desk.follow(71)
        desk.outlet.finish(0, Outcome())
        assert desk.follow(71)


async def test_what_has_to_be_kept_or_waits_for_a_person_is_no_precedent(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, desk, client):
        assert not desk.follow(70, "set a 1")
        await client.say("drop a")
        await until(lambda: "drop a" in desk.described)
        assert not desk.follow(71, "drop a")


async def test_nothing_is_a_precedent_under_another_policy(tmp_path: Path) -> None:
    async with asked(tmp_path) as (gate, desk, client):
        assert gate.worker is not None
        follower = gate.worker.shared.follower
        before = follower.rules
        gate.desk.change_policy(policy(gate.store.port, version=2, more="\n"))
        await until(lambda: follower.rules is not before and follower.fresh)
        assert not desk.follow(70)
        # Decided anew, it is one again.
        assert (await client.ask("get a")).startswith("+")
        assert desk.follow(71)


async def test_nothing_is_a_precedent_when_any_row_changed_or_the_lease_is_over(tmp_path: Path) -> None:
    async with asked(tmp_path) as (gate, desk, client):
        assert gate.worker is not None
        follower = gate.worker.shared.follower
        before = follower.snapshot
        gate.lend("reader", "g-2", resource="others")
        await until(lambda: follower.snapshot is not before)
        assert not desk.follow(70)
        assert (await client.ask("get a")).startswith("+")
        assert desk.follow(71)
        desk.end()
        await until(lambda: len(gate.desk.starts) == 1)
        gate.desk.shut()
        await until(lambda: not follower.fresh)
        assert not desk.follow(72)


async def test_nothing_is_a_precedent_when_the_grant_was_taken_away(tmp_path: Path) -> None:
    async with asked(tmp_path) as (gate, desk, client):
        assert desk.follow(70)
        desk.end()
        gate.desk.drop("grants", "g-1")
        assert (await client.line()).startswith("*")
        assert not desk.follow(71)
