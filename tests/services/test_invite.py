"""Somebody is brought in by two, with one key; a link that goes astray, comes twice or late brings in nobody."""

import asyncio
from datetime import timedelta

from interlock.errors import Refusal
from interlock.services.arrive import Arrival, arrive, look_at_invitation
from interlock.services.contract_life import take_contract
from interlock.services.end_contract import end_contract
from interlock.services.enrol import Enrolled
from interlock.services.invite import (
    LIFETIME,
    Invited,
    confirm_invited,
    end_invitation,
    invite,
    list_invitations,
    words_of,
)
from interlock.services.offboard_person import offboard_person
from tests.services.test_sign_in import HERE, PASSWORD, THERE, Door, door
from tests.services.world import ADMIN, DBA, DEV, LEAD, MATE, OPS, company, refused, with_contract

__all__ = ["door"]

NAME, NEW = "acme-orders", "new@acme"
MINE, FOREIGN = "a" * 43, "b" * 43


async def _invite(door: Door, person: str = NEW, *, by: str = OPS, absent: bool = False) -> Invited:
    login = await door.world.sign_in(by, absent=absent)
    return await invite(door.front, login_id=login.id, contract=NAME, person=person)


async def _look(door: Door, invited: Invited, key: str = MINE, address: str = HERE) -> Arrival:
    return await look_at_invitation(door.front, code=invited.text, key=key, address=address)


async def _confirm(door: Door, invited: Invited, words: str, *, by: str = LEAD, absent: bool = False) -> None:
    login = await door.world.sign_in(by, absent=absent)
    desk = door.world.desk
    await confirm_invited(desk, login_id=login.id, invitation_id=invited.invitation.id, words=words)


async def _arrive(door: Door, invited: Invited, key: str = MINE) -> Enrolled:
    return await arrive(door.front, code=invited.text, key=key, password=PASSWORD, address=HERE)


async def test_somebody_new_comes_in_by_two(door: Door) -> None:
    invited = await _invite(door)
    arrival = await _look(door, invited)
    assert (arrival.person, arrival.sponsor, arrival.invited_by, arrival.confirmed) == (NEW, LEAD, OPS, False)
    with refused("not-confirmed"):
        await _arrive(door, invited)
    async with door.world.state.reading() as reading:
        assert await reading.person(NEW) is None
    await _confirm(door, invited, arrival.words.lower().replace("-", " "))
    assert (await _look(door, invited)).confirmed
    enrolled = await _arrive(door, invited)
    await door.sign_in(NEW, totp=door.code(enrolled.totp_secret))
    async with door.world.state.reading() as reading:
        person = await reading.person(NEW)
    assert person is not None
    assert (person.vendor, person.groups) == ("acme", frozenset())
    # The file does not name them, and does not end them either.
    await door.world.apply(company(recovery="dba"))
    async with door.world.state.reading() as reading:
        kept = await reading.person(NEW)
    assert kept is not None
    assert kept.active
    (confirmed,) = await door.world.events("invitation.confirmed")
    assert (confirmed["by"], confirmed["key"], confirmed["person"]) == (LEAD, MINE, NEW)


async def test_somebody_whom_the_file_names_comes_in_the_same_way(door: Door) -> None:
    invited = await _invite(door, DEV)
    await _confirm(door, invited, (await _look(door, invited)).words)
    await _arrive(door, invited)
    with refused("here-already"):
        await _invite(door, DEV)


async def test_a_link_that_went_astray_is_worth_nothing(door: Door) -> None:
    invited = await _invite(door)
    thief = await _look(door, invited, FOREIGN, THERE)
    with refused("other-key"):
        await _look(door, invited)
    with refused("other-key"):
        await _look(door, invited)
    (tried,) = await door.world.events("invitation.tried")
    assert tried["key"] == MINE
    # The person reads no words, or those of another link: the sponsor has none to say.
    other = await _invite(door, "other@acme")
    for words in ("", "AAAA-AAAA", (await _look(door, other, "c" * 43)).words):
        with refused("other-words"):
            await _confirm(door, invited, words)
    with refused("not-confirmed"):
        await _arrive(door, invited, FOREIGN)
    shown = await list_invitations(door.world.desk, person=LEAD)
    assert next(one for one in shown if one.id == invited.invitation.id).foreign_at is not None
    # A new link ends the one that went astray, also when that one had been confirmed.
    await _confirm(door, invited, thief.words)
    again = await _invite(door)
    with refused("bad-link"):
        await _arrive(door, invited, FOREIGN)
    assert (await _look(door, again)).words != thief.words


async def test_a_link_is_used_once_and_by_one_of_many(door: Door) -> None:
    invited = await _invite(door)
    keys = [letter * 43 for letter in "defgh"]
    looks = await asyncio.gather(*(_look(door, invited, key) for key in keys), return_exceptions=True)
    (won,) = [n for n, look in enumerate(looks) if isinstance(look, Arrival)]
    assert {one.code for one in looks if isinstance(one, Refusal)} == {"other-key"}
    await _confirm(door, invited, (await _look(door, invited, keys[won])).words)
    with refused("other-key"):
        await _arrive(door, invited, keys[won - 1])
    came = await asyncio.gather(*(_arrive(door, invited, keys[won]) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, Enrolled) for one in came) == 1
    with refused("bad-link"):
        await _look(door, invited, keys[won])


async def test_who_may_not_give_a_link(door: Door) -> None:
    with refused("sponsor-confirms"):
        await _invite(door, by=LEAD)
    with refused("not-employee"):
        await _invite(door, by=MATE)
    with refused("presence-needed"):
        await _invite(door, absent=True)
    for name in ("", "x y", "../x", "x" * 65, "a\n@acme", DEV.upper()):
        with refused("bad-name"):
            await _invite(door, name)
    for name in (DBA, "rival@globex"):
        with refused("not-covered"):
            await _invite(door, name)
    await offboard_person(door.world.desk, by=ADMIN, name=DEV, reason="left")
    with refused("person-ended"):
        await _invite(door, DEV)
    await door.world.apply(with_contract(door.world.configuration, NAME, people=frozenset({MATE})))
    object.__setattr__(door.front, "desk", door.world.desk)
    with refused("not-covered"):
        await _invite(door)


async def test_under_a_contract_that_lets_nobody_be_invited_nobody_is(door: Door) -> None:
    """Neither with a link, nor with one that was given, opened or confirmed before."""
    given, opened, confirmed = [await _invite(door, f"{name}@acme") for name in "abc"]
    words = [(await _look(door, one, key * 43)).words for one, key in ((opened, "x"), (confirmed, "y"))]
    await _confirm(door, confirmed, words[1])
    await door.world.apply(company(recovery="dba", uninvited=frozenset({NAME})))
    object.__setattr__(door.front, "desk", door.world.desk)
    with refused("no-invitations"):
        await _invite(door)
    with refused("no-invitations"):
        await _confirm(door, opened, words[0])
    with refused("no-invitations"):
        await _arrive(door, confirmed, "y" * 43)
    with refused("no-invitations"):
        await _confirm(door, given, "AAAA-AAAA")


async def test_who_may_not_confirm(door: Door) -> None:
    invited = await _invite(door)
    with refused("not-opened"):
        await _confirm(door, invited, words_of(invited.invitation))
    words = (await _look(door, invited)).words
    for other in (DBA, ADMIN, MATE):
        with refused("not-yours"):
            await _confirm(door, invited, words, by=other)
    with refused("presence-needed"):
        await _confirm(door, invited, words, absent=True)
    # Who gave the link takes the contract over: still two, never one.
    await offboard_person(door.world.desk, by=ADMIN, name=LEAD, reason="left")
    with refused("over"):
        await _confirm(door, invited, words, by=OPS)


async def test_who_gave_the_link_does_not_confirm_it_as_the_new_sponsor(door: Door) -> None:
    invited = await _invite(door)
    words = (await _look(door, invited)).words
    await offboard_person(door.world.desk, by=ADMIN, name=LEAD, reason="left")
    await take_contract(door.world.desk, by=OPS, name=NAME)
    with refused("self-approval"):
        await _confirm(door, invited, words, by=OPS)
    async with door.world.state.reading() as reading:
        assert await reading.person(NEW) is None


async def test_the_sponsor_does_not_confirm_a_key_of_their_own_or_of_a_colleague(door: Door) -> None:
    invited = await _invite(door)
    for name in (LEAD, DBA):
        theirs = await door.world.sign_in(name)
        with refused("key-taken"):
            await _look(door, invited, theirs.key)
    # A key that somebody signs in with after it was bound.
    words = (await _look(door, invited)).words
    await door.world.sign_in(DBA, key=MINE)
    with refused("same-key"):
        await _confirm(door, invited, words)


async def test_a_link_grows_old_and_ends(door: Door) -> None:
    old, ended, orphan = await _invite(door), await _invite(door, "b@acme"), await _invite(door, "c@acme", by=DBA)
    words = [(await _look(door, one, key * 43)).words for one, key in ((old, "x"), (ended, "y"), (orphan, "z"))]
    with refused("not-found"):
        await end_invitation(door.world.desk, by=DBA, invitation_id=ended.invitation.id, reason="no")
    await end_invitation(door.world.desk, by=LEAD, invitation_id=ended.invitation.id, reason="not needed")
    with refused("over"):
        await _confirm(door, ended, words[1])
    with refused("bad-link"):
        await _look(door, ended, "y" * 43)
    await offboard_person(door.world.desk, by=ADMIN, name=DBA, reason="left")
    with refused("over"):
        await _confirm(door, orphan, words[2])
    await _confirm(door, old, words[0])
    door.world.clock.advance(LIFETIME)
    with refused("bad-link"):
        await _arrive(door, old, "x" * 43)


async def test_no_contract_no_arrival(door: Door) -> None:
    invited = await _invite(door)
    await _confirm(door, invited, (await _look(door, invited)).words)
    await end_contract(door.world.desk, by=LEAD, contract_name=NAME, reason="over")
    with refused("bad-link"):
        await _arrive(door, invited)
    with refused("over"):
        await _invite(door, "later@acme")
    door.world.clock.advance(timedelta(days=200))
    with refused("bad-link"):
        await _look(door, invited)


async def test_a_confirmed_person_who_left_meanwhile_does_not_arrive(door: Door) -> None:
    invited = await _invite(door)
    await _confirm(door, invited, (await _look(door, invited)).words)
    await offboard_person(door.world.desk, by=LEAD, name=NEW, reason="a mistake")
    with refused("person-ended"):
        await _arrive(door, invited)
