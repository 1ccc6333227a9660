"""Two others let somebody in again; one alone, the person, a contractor and two halves of one do not."""

import asyncio

from interlock.domain.identity_events import PasskeyAdded
from interlock.domain.oauth import Passkey
from interlock.services.enrol import Enrolled, IssuedCode, enrol
from interlock.services.offboard_person import offboard_person
from interlock.services.recover import LIFETIME, help_recover, recover
from tests.services.test_sign_in import HERE, Door, door
from tests.services.world import ADMIN, DBA, DBA2, DEV, MATE, OPS, company, refused

__all__ = ["door"]

NEW = "an entirely new password"


async def _help(door: Door, helper: str, person: str = DEV, *, absent: bool = False) -> IssuedCode:
    login = await door.world.sign_in(helper, absent=absent)
    return await help_recover(door.front, login_id=login.id, name=person, reason="met in person")


async def _recover(door: Door, *halves: IssuedCode, person: str = DEV) -> Enrolled:
    code = "+".join(half.text for half in halves)
    return await recover(door.front, person=person, code=code, password=NEW, address=HERE)


async def _configured(door: Door, group: str = "dba", **changes: bool) -> None:
    await door.world.apply(company(recovery=group, **changes))
    object.__setattr__(door.front, "desk", door.world.desk)


async def test_two_others_let_somebody_in_and_what_was_lost_opens_nothing(door: Door) -> None:
    await _configured(door)
    old = await door.enrol(DEV)
    before = await door.sign_in()
    async with door.world.state.changing(DEV) as work:
        await work.save(Passkey("aWQ", DEV, "a2V5", 0, "lost laptop", door.world.clock.now()))
        work.record(PasskeyAdded(person=DEV, passkey="aWQ", name="lost laptop"))
    first, second = await _help(door, DBA), await _help(door, DBA2)
    enrolled = await _recover(door, first, second)
    assert (await door.world.login(before.login.id)).ended_at is not None
    with refused("wrong-sign-in"):
        await door.sign_in(totp=door.code(old))
    await door.sign_in(password=NEW, totp=door.code(enrolled.totp_secret))
    async with door.world.state.reading() as reading:
        assert all(passkey.ended_at is not None for passkey in await reading.passkeys(DEV))
    (recovered,) = await door.world.events("person.recovered")
    assert recovered["helpers"] == sorted([DBA, DBA2])
    assert {event["by"] for event in await door.world.events("recovery.helped")} == {DBA, DBA2}
    with refused("bad-code"):
        await _recover(door, first, second)


async def test_one_half_or_two_of_one_helper_or_of_another_person_are_nothing(door: Door) -> None:
    await _configured(door)
    mine, mine_too, other = await _help(door, DBA), await _help(door, DBA), await _help(door, DBA2, MATE)
    for halves in ((mine,), (mine, mine), (mine, mine_too), (mine, other), (mine, mine_too, other)):
        with refused("bad-code"):
            await _recover(door, *halves)
    with refused("bad-code"):
        await enrol(door.front, person=DEV, code=mine.text, password=NEW, address=HERE)
    # None of that has spent them.
    await _recover(door, mine, await _help(door, DBA2))


async def test_who_may_not_help(door: Door) -> None:
    with refused("no-recovery"):
        await _help(door, DBA)
    await _configured(door)
    with refused("self-recovery"):
        await _help(door, DBA, DBA)
    for nobody in (OPS, MATE):
        with refused("not-yours"):
            await _help(door, nobody, DBA)
    with refused("presence-needed"):
        await _help(door, DBA, absent=True)
    await _configured(door, passwords=False)
    with refused("no-passwords"):
        await _help(door, DBA)


async def test_a_half_lasts_an_hour_and_its_helper_must_still_be_there(door: Door) -> None:
    await _configured(door)
    first, second = await _help(door, DBA), await _help(door, DBA2)
    await offboard_person(door.world.desk, by=ADMIN, name=DBA2, reason="left")
    with refused("person-ended"):
        await _recover(door, first, second)
    door.world.clock.advance(LIFETIME)
    with refused("bad-code"):
        await _recover(door, first, second)


async def test_of_many_at_once_one_recovers(door: Door) -> None:
    await _configured(door)
    first, second = await _help(door, DBA), await _help(door, DBA2)
    answers = await asyncio.gather(*(_recover(door, first, second) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(answer, Enrolled) for answer in answers) == 1
