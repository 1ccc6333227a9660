"""A contract's life: confirmed or paused, taken over, extended by two, warned of, and never revived by a file."""

from datetime import datetime, timedelta

from interlock.domain.people import Contract
from interlock.services.contract_life import ask_extension, confirm_contract, decide_extension, take_contract
from interlock.services.expire import expire
from interlock.services.offboard_person import offboard_person
from tests.services.world import ADMIN, BOTH, DBA, DEV, HOUR, LEAD, MATE, OPS, World, refused, with_contract

NAME = "acme-orders"
DAY = timedelta(days=1)


async def contract(world: World, name: str = NAME) -> Contract:
    async with world.state.reading() as reading:
        found = await reading.contract(name)
    assert found is not None
    return found


async def test_it_pauses_when_its_sponsor_leaves_until_another_employee_takes_it(world: World) -> None:
    login = await world.sign_in(DEV)
    grant = await world.lend("reader", login=login)
    with refused("has-sponsor"):
        await take_contract(world.desk, by=OPS, name=NAME)
    await offboard_person(world.desk, by=ADMIN, name=LEAD, reason="left")
    paused = await contract(world)
    assert not paused.running(world.clock.now())
    assert paused.paused_reason == f"its sponsor {LEAD} has left"
    assert not (await world.grant(grant.id)).active(world.clock.now())
    assert not (await world.login(login.id)).active(world.clock.now())
    for stranger in (DEV, MATE):
        with refused("not-employee"):
            await take_contract(world.desk, by=stranger, name=NAME)
    taken = await take_contract(world.desk, by=OPS, name=NAME)
    assert (taken.sponsor, taken.running(world.clock.now())) == (OPS, True)
    assert not (await world.grant(grant.id)).active(world.clock.now())
    await world.lend("reader")
    # The file still names who has left. It brings nobody back, and takes nothing from who took over.
    await world.apply()
    assert (await contract(world)).sponsor == OPS
    assert not (await contract(world, "globex-ops")).running(world.clock.now())
    with refused("has-sponsor"):
        await take_contract(world.desk, by=BOTH, name=NAME)


async def test_what_nobody_confirms_lapses(world: World) -> None:
    await world.apply(with_contract(world.configuration, NAME, review=30 * DAY, start=world.clock.now()))
    login = await world.sign_in(DEV)
    grant = await world.lend("reader", login=login)
    world.clock.advance(29 * DAY)
    await expire(world.desk)
    assert (await contract(world)).running(world.clock.now())
    with refused("not-yours"):
        await confirm_contract(world.desk, by=OPS, name=NAME)
    confirmed = await confirm_contract(world.desk, by=LEAD, name=NAME)
    assert confirmed.review_due == world.clock.now() + 30 * DAY
    fresh = await world.lend("reader", duration=HOUR)
    world.clock.advance(30 * DAY - timedelta(seconds=1))
    await expire(world.desk)
    assert (await contract(world)).running(world.clock.now())
    world.clock.advance(timedelta(seconds=1))
    ended = await expire(world.desk)
    assert NAME in {one.id for one in ended}
    assert await expire(world.desk) == ()
    assert not (await contract(world)).running(world.clock.now())
    assert not (await world.grant(grant.id)).active(world.clock.now())
    assert not (await world.grant(fresh.id)).active(world.clock.now())
    await world.apply()
    assert not (await contract(world)).running(world.clock.now())
    await confirm_contract(world.desk, by=LEAD, name=NAME)
    assert (await contract(world)).running(world.clock.now())


async def test_an_extension_takes_two(world: World) -> None:
    end = (await contract(world)).end
    until = end + 10 * DAY
    mine = await world.sign_in(LEAD)
    with refused("not-yours"):
        await ask_extension(world.desk, login_id=(await world.sign_in(OPS)).id, name=NAME, until=until, reason="more")
    for bad in (end, end - DAY, world.clock.now() + 400 * DAY):
        with refused("bad-end"):
            await ask_extension(world.desk, login_id=mine.id, name=NAME, until=bad, reason="more")
    await ask_extension(world.desk, login_id=mine.id, name=NAME, until=until, reason="more to do")

    async def decide(person: str, *, until: datetime = until, absent: bool = False, key: str | None = None) -> None:
        login = await world.sign_in(person, absent=absent, key=key)
        await decide_extension(world.desk, login_id=login.id, name=NAME, until=until, agree=True)

    with refused("self-approval"):
        await decide(LEAD)
    with refused("not-employee"):
        await decide(MATE)
    with refused("same-key"):
        await decide(OPS, key=mine.key)
    with refused("presence-needed"):
        await decide(OPS, absent=True)
    with refused("stale"):
        await decide(OPS, until=until + DAY)
    assert (await contract(world)).end == end
    await decide(OPS)
    assert (await contract(world)).end == until
    with refused("not-found"):
        await decide(DBA)
    # The file says the old end: what was agreed stays, until the file says another.
    await world.apply()
    assert (await contract(world)).end == until
    await world.apply(with_contract(world.configuration, NAME, end=end - DAY))
    assert (await contract(world)).end == end - DAY


async def test_a_no_changes_nothing_and_a_wish_grows_old(world: World) -> None:
    end = (await contract(world)).end
    mine = await world.sign_in(LEAD)
    await ask_extension(world.desk, login_id=mine.id, name=NAME, until=end + DAY, reason="more to do")
    other = await world.sign_in(OPS, absent=True)
    await decide_extension(world.desk, login_id=other.id, name=NAME, until=end + DAY, agree=False)
    assert (await contract(world)).end == end
    await ask_extension(world.desk, login_id=mine.id, name=NAME, until=end + DAY, reason="please")
    world.clock.advance(15 * DAY)
    other = await world.sign_in(OPS)
    with refused("not-found"):
        await decide_extension(world.desk, login_id=other.id, name=NAME, until=end + DAY, agree=True)


async def test_who_asked_and_left_extends_nothing(world: World) -> None:
    end = (await contract(world)).end
    mine = await world.sign_in(LEAD)
    await ask_extension(world.desk, login_id=mine.id, name=NAME, until=end + DAY, reason="more to do")
    await offboard_person(world.desk, by=ADMIN, name=LEAD, reason="left")
    await take_contract(world.desk, by=BOTH, name=NAME)
    with refused("stale"):
        login = await world.sign_in(OPS)
        await decide_extension(world.desk, login_id=login.id, name=NAME, until=end + DAY, agree=True)
    assert (await contract(world)).end == end


async def test_a_coming_end_is_said_once(world: World) -> None:
    world.clock.at = (await contract(world)).end - 13 * DAY
    await expire(world.desk)
    await expire(world.desk)
    said = await world.events("contract.ending")
    assert sorted(one["contract"] for one in said) == ["acme-orders", "globex-ops"]
    world.clock.at = (await contract(world)).end
    await expire(world.desk)
    for act in (confirm_contract, take_contract):
        with refused("over"):
            await act(world.desk, by=LEAD, name=NAME)
