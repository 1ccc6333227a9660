"""Interrupts reach the session that the key belongs to, on whichever worker it is, and no other."""

import asyncio
from pathlib import Path

import pytest

from interlock.errors import Failure, Misuse
from interlock.gateway.interrupts import Allowance, Interrupts
from tests.gateway.world import ToyClient, gateway, inner_worker, outer_worker, surroundings, until


def _interrupts(run: Path, index: int, *, per_s: float = 100, per_address_per_s: float = 100) -> Interrupts:
    return Interrupts(run, index, per_s=per_s, per_address_per_s=per_address_per_s)


async def test_a_key_interrupts_its_session_across_workers(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as gate, outer_worker(gate, 3) as other, inner_worker(gate, 4):
        gate.lend("reader")
        client = await gate.enter(address=other.address)
        bystander = await gate.enter(address=other.address)
        key = (await client.ask("KEY"))[1:]
        assert key.startswith("03")
        await bystander.say("wait 1500")
        await client.say("wait 60000")
        await until(lambda: len(gate.store.lines) == 2)
        assert gate.worker is not None
        stranger = await ToyClient.open(*gate.worker.addresses["toy"])
        await stranger.say(f"INTERRUPT {key}")
        assert await stranger.line() == ""
        assert await client.line() == "+stopped"
        assert await bystander.line() == "+waited"
        stranger.close()


async def test_a_key_is_dead_with_its_session(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        key = (await client.ask("KEY"))[1:]
        client.close()
        await until(lambda: gate.desk.ends)
        await (await gate.connect()).say(f"INTERRUPT {key}")
        assert await (await gate.enter()).ask("get a") == "+(nothing)"


async def test_keys_are_known_by_nothing_but_themselves(tmp_path: Path) -> None:
    one, two = _interrupts(tmp_path, 1), _interrupts(tmp_path, 2)
    heard: list[str] = []
    key = one.mint(8, lambda: heard.append("first"))
    other = one.mint(256, lambda: heard.append("second"))
    assert len(key) == 8
    assert len(other) == 256
    two.interrupt(key[:-1] + bytes([key[-1] ^ 1]), "address")
    two.interrupt(key[:-1], "address")
    two.interrupt(b"", "address")
    two.interrupt(bytes([9]) + key[1:], "address")
    await asyncio.sleep(0.05)
    assert not heard
    two.interrupt(key, "address")
    one.interrupt(other, "address")
    await until(lambda: sorted(heard) == ["first", "second"])
    one.forget(key)
    one.interrupt(key, "address")
    two.close()
    one.close()
    assert len(heard) == 2
    assert not _sockets(tmp_path)


def _sockets(run: Path) -> list[Path]:
    return list(run.iterdir())


async def test_guesses_are_bounded(tmp_path: Path) -> None:
    one = _interrupts(tmp_path, 1, per_s=8, per_address_per_s=3)
    heard: list[int] = []
    key = one.mint(16, lambda: heard.append(1))
    for address in ("a", "a", "a", "a", "a", "b", "b", "b", "b", "c", "c", "c"):
        one.interrupt(key, address)
    assert len(heard) == 8
    one.close()


def test_an_allowance_comes_back_with_time() -> None:
    now = [0.0]
    allowance = Allowance(2, lambda: now[0])
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    now[0] = 0.5
    assert [allowance.take() for _ in range(2)] == [True, False]


async def test_keys_that_could_be_guessed_are_not_made(tmp_path: Path) -> None:
    one = _interrupts(tmp_path, 1)
    with pytest.raises(Misuse):
        one.mint(7, lambda: None)
    one.close()
    with pytest.raises(Misuse):
        _interrupts(tmp_path, 256)
    with pytest.raises(Failure, match="cannot be made"):
        _interrupts(tmp_path / "nowhere", 1)
