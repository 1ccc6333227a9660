"""An end is certain when every gateway worker that may go on has applied it, and not before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

import pytest

from interlock.services.feed import follow
from interlock.services.hearing import await_hearing, longest_after
from interlock.services.offboard_person import offboard_person
from interlock.services.offboarding_report import Report, report_offboarding
from interlock.store.followings import PostgresFollowings
from interlock.store.home import StateAddress
from tests.services.test_feed import credentials
from tests.services.world import ADMIN, DEV, World

LONG = timedelta(minutes=1)


@pytest.fixture
async def followings(state_database: StateAddress) -> AsyncIterator[PostgresFollowings]:
    """One control plane's way to say who follows; there may be several."""
    opened = PostgresFollowings(state_database.url)
    yield opened
    await opened.close()


async def _offboard(world: World) -> int:
    done = await offboard_person(world.desk, by=ADMIN, name=DEV, reason="left")
    return max(one.position for one in done.ended)


async def _report(world: World) -> Report:
    return await report_offboarding(world.desk, reader=ADMIN, name=DEV)


async def test_a_worker_that_may_go_on_remains_until_it_has_applied_the_end(
    world: World, followings: PostgresFollowings
) -> None:
    await followings.lasts("gw1", "worker-0", LONG)
    assert await world.head() > 0
    end = await _offboard(world)
    report = await _report(world)
    assert report.remains == ("gateway gw1 (worker worker-0), which has not said that it heard",)
    assert not report.done
    assert report.made_at < report.certain_from <= report.made_at + LONG
    # what was before the end, and the middle of the act, is not the end
    for before in (1, end - 1):
        await followings.applied("gw1", "worker-0", before)
        assert not (await _report(world)).done
    await followings.applied("gw1", "worker-0", end)
    report = await _report(world)
    assert report.done
    assert report.certain_from == report.made_at
    assert [(one.gateway, one.worker, one.heard) for one in report.gateways] == [("gw1", "worker-0", True)]


async def test_each_worker_of_each_gateway_speaks_for_itself(world: World, followings: PostgresFollowings) -> None:
    for gateway, worker in (("gw1", "worker-0"), ("gw1", "worker-1"), ("gw2", "worker-0")):
        await followings.lasts(gateway, worker, LONG)
    end = await _offboard(world)
    await followings.applied("gw1", "worker-0", end)
    # nobody, and another gateway's name for a worker of this one
    await followings.applied("gw3", "worker-1", end)
    await followings.applied("gw2", "worker-1", end)
    assert [one.partition(",")[0] for one in (await _report(world)).remains] == [
        "gateway gw1 (worker worker-1)",
        "gateway gw2 (worker worker-0)",
    ]


async def test_an_end_that_is_not_there_yet_cannot_be_said_to_be_applied(
    world: World, followings: PostgresFollowings
) -> None:
    """A gateway that lies ahead: all that will ever end is said to have been cut."""
    await followings.lasts("gw1", "worker-0", LONG)
    head = await world.head()
    for version in (head + 1, head + 1000, 2**62):
        await followings.applied("gw1", "worker-0", version)
    await _offboard(world)
    assert not (await _report(world)).done


async def test_a_worker_that_is_dead_remains_until_its_lease_is_over(
    world: World, followings: PostgresFollowings
) -> None:
    await followings.lasts("gw1", "worker-0", timedelta(seconds=0.5))
    end = await _offboard(world)
    assert not (await _report(world)).done
    assert not await await_hearing(world.state, end, 0.05)
    assert await await_hearing(world.state, end, 5)
    assert (await _report(world)).done


async def test_what_was_promised_is_not_taken_back(world: World, followings: PostgresFollowings) -> None:
    """Another feed of the same worker, or another control plane, knows of a shorter time."""
    await followings.lasts("gw1", "worker-0", LONG)
    await followings.lasts("gw1", "worker-0", timedelta(seconds=0))
    await _offboard(world)
    assert not (await _report(world)).done


async def test_a_worker_that_follows_anew_has_not_heard_by_that(world: World, followings: PostgresFollowings) -> None:
    """It lost its feed, and still goes on by what it was told; only a new process knows nothing older."""
    await followings.lasts("gw1", "worker-0", LONG)
    await _offboard(world)
    await followings.lasts("gw1", "worker-0", LONG)
    await followings.lasts("gw1", "worker-1", LONG)
    heard = {one.worker: one.heard for one in (await _report(world)).gateways}
    assert heard == {"worker-0": False, "worker-1": True}


async def test_the_wait_ends_with_the_last_word(world: World, followings: PostgresFollowings) -> None:
    await followings.lasts("gw1", "worker-0", LONG)
    end = await _offboard(world)
    waiting = asyncio.create_task(await_hearing(world.state, end, 10))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await followings.applied("gw1", "worker-0", end)
    assert await asyncio.wait_for(waiting, 5)


async def test_nothing_is_told_before_it_is_known_who_may_go_on(world: World, followings: PostgresFollowings) -> None:
    """The attack: somebody is offboarded between the snapshot's making and its arrival. Whoever holds it is named."""
    lease = world.configuration.timing.lease

    async def lasts(longest: timedelta) -> None:
        assert longest == longest_after(lease) > 2 * lease
        await followings.lasts("gw1", "worker-0", longest)

    async with aclosing(follow(world.desk, credentials(world), lasts=lasts)) as messages:
        first = await anext(messages)
        assert DEV in first["snapshot"]["people"]
        end = await _offboard(world)
        assert not (await _report(world)).done
        async for message in messages:
            if DEV in message.get("drop", {}).get("people", ()):
                assert message["version"] >= end
                break
        # told is not applied
        assert not (await _report(world)).done


async def test_a_feed_of_which_nothing_can_be_made_known_tells_nothing(world: World) -> None:
    async def lasts(longest: timedelta) -> None:
        raise ConnectionError

    messages = follow(world.desk, credentials(world), lasts=lasts)
    with pytest.raises(ConnectionError):
        await anext(messages)


async def test_each_beat_makes_it_known_again_first(world: World) -> None:
    async with aclosing(follow(world.desk, credentials(world), lasts=world.lasts)) as messages:
        await anext(messages)
        known = len(world.lasting)
        async for message in messages:
            if message["type"] == "beat":
                assert len(world.lasting) > known
                break


async def test_a_worker_that_leaves_in_order_is_waited_for_no_more(
    world: World, followings: PostgresFollowings
) -> None:
    for gateway, worker in (("gw1", "worker-0"), ("gw1", "worker-1"), ("gw2", "worker-0")):
        await followings.lasts(gateway, worker, LONG)
    await _offboard(world)
    await followings.leaves("gw1", "worker-0")
    # Nobody leaves for another gateway, nor for a worker that is not there.
    await followings.leaves("gw3", "worker-1")
    await followings.leaves("gw2", "worker-1")
    assert [(one.gateway, one.worker) for one in (await _report(world)).gateways] == [
        ("gw1", "worker-1"),
        ("gw2", "worker-0"),
    ]


async def test_who_left_and_is_told_again_is_waited_for_again(world: World, followings: PostgresFollowings) -> None:
    """A goodbye that was a lie, or came while a feed was still read: whoever is told something may go on by it."""
    await followings.lasts("gw1", "worker-0", LONG)
    await followings.leaves("gw1", "worker-0")
    await followings.lasts("gw1", "worker-0", LONG)
    await _offboard(world)
    assert not (await _report(world)).done
