"""A proof of presence for one connection: what it opens, and everything that it does not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest

from interlock.domain.grants import Grant, Login
from interlock.domain.identity_events import LoginStarted
from interlock.errors import NotFound, Refusal
from interlock.identity.authority import Authority
from interlock.identity.keys import new_key
from interlock.identity.passkeys import Passkeys
from interlock.identity.passwords import Argon2Passwords
from interlock.identity.tokens import Tokens
from interlock.identity.totp import TotpCodes
from interlock.ports.control import PassTaken, Wanted
from interlock.services.ask_pass import PassView, PassWish, ask_pass, show_pass, withdraw_pass
from interlock.services.end_contract import end_contract
from interlock.services.end_grant import end_grant
from interlock.services.enrol import enrol, issue_enrolment
from interlock.services.front_desk import open_front_desk
from interlock.services.give_pass import OF, begin_touch, give_by_code, give_by_touch
from interlock.services.issue_password import issue_password
from interlock.services.list_resources import list_resources
from interlock.services.offboard_person import offboard_person
from interlock.services.passkeys import (
    PasskeyDesk,
    Shown,
    add_passkey,
    begin_adding,
    begin_presence,
    prove_for_request,
    step_up_with_passkey,
)
from interlock.services.step_up import WRONG_AT_MOST, step_up
from interlock.services.take_pass import take_pass
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from interlock.store.waiting import MOST_OF_ONE_NETWORK, PostgresWaitingRoom
from tests.services.world import ADMIN, DBA, DEV, GATEWAY, LEAD, MATE, OPS, SECOND, TICK, World, company, refused
from tests.support.authenticator import Authenticator

HERE, THERE = "10.0.0.1", "203.0.113.9"
ORIGIN = "https://localhost:8443"
RACES = 40


@dataclass
class Door:
    """A desk whose role ``reader`` asks for presence, and one person at it."""

    world: World
    keys: PasskeyDesk
    secret: str = ""

    @property
    def waiting(self) -> Any:
        return self.keys.waiting

    def code(self) -> str:
        """A code that was not used: of the next step."""
        self.world.clock.advance(timedelta(seconds=30))
        return pyotp.TOTP(self.secret).at(self.world.clock.now())

    async def come(self, role: str = "reader", *approvers: str) -> tuple[Login, Grant]:
        login = await self.world.sign_in(DEV)
        return login, await self.world.lend(role, *approvers, login=login)

    async def ask(self, login: Login, *, resource: str = "orders", **more: Any) -> PassView:
        return await ask_pass(self.world.desk, self.waiting, PassWish(login.id, resource, address=HERE, **more))

    async def give(self, login: Login, asked: PassView, totp: str | None = None) -> None:
        await give_by_code(self.keys, login_id=login.id, pass_id=asked.id, totp=totp or self.code(), address=HERE)

    async def given(self, login: Login, **more: Any) -> PassView:
        asked = await self.ask(login, **more)
        await self.give(login, asked)
        return asked

    async def take(
        self, login: Login, *grants: Grant, resource: str = "orders", address: str = HERE, password: str = ""
    ) -> PassTaken:
        wanted = Wanted(login.id, resource, tuple(grant.id for grant in grants), address, password)
        return await take_pass(self.world.desk, gateway=GATEWAY, wanted=wanted)

    async def passkey(self, login: Login) -> Authenticator:
        """The person adds a passkey in this login."""
        made = Authenticator(ORIGIN, "localhost")
        begun = await begin_adding(self.keys, login_id=login.id)
        shown = Shown(begun.id, made.register(begun.options))
        await add_passkey(self.keys, login_id=login.id, shown=shown, name="software")
        return made

    async def touch(self, login: Login, asked: PassView, authenticator: Authenticator) -> None:
        begun = await begin_touch(self.keys, login_id=login.id, pass_id=asked.id)
        shown = Shown(begun.id, authenticator.touch(begun.options))
        await give_by_touch(self.keys, login_id=login.id, pass_id=asked.id, shown=shown)


@pytest.fixture
async def door(world: World, state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[Door]:
    roles = {
        name: replace(role, lending=replace(role.lending, mfa=name in ("reader", "writer")))
        for name, role in company().roles.items()
    }
    await world.apply(company(roles=roles))
    passwords = Argon2Passwords()
    authority = Authority.open(tmp_path, world.clock.now())
    front = open_front_desk(world.desk, passwords, TotpCodes(), authority, Tokens(new_key(), world.clock))
    waiting = PostgresWaitingRoom(state_database.url, clock=world.clock)
    code = await issue_enrolment(front, person=DEV, by="operator")
    enrolled = await enrol(front, person=DEV, code=code.text, password="correct horse battery", address=HERE)
    yield Door(world, PasskeyDesk(front, Passkeys(ORIGIN), waiting), enrolled.totp_secret)
    passwords.close()
    await waiting.close()


async def test_it_opens_one_connection_and_the_ledger_says_who_was_there_by_what(door: Door) -> None:
    login, grant = await door.come()
    asked = await door.given(login)
    taken = await door.take(login, grant)
    assert (taken.id, taken.present_at, taken.grants) == (asked.id, door.world.clock.now(), (grant.id,))
    (given,) = await door.world.events("pass.given")
    assert {name: given[name] for name in ("presence", "person", "login", "key", "resource", "grants", "how")} == {
        "presence": asked.id,
        "person": DEV,
        "login": login.id,
        "key": login.key,
        "resource": "orders",
        "grants": [grant.id],
        "how": "one-time code",
    }
    assert given["digest"] == asked.digest
    (used,) = await door.world.events("pass.used")
    assert (used["presence"], used["address"], used["left"]) == (asked.id, HERE, 0)


async def test_a_login_with_fresh_presence_is_not_enough(door: Door) -> None:
    login, grant = await door.come()
    assert (await door.world.login(login.id)).present_at == door.world.clock.now()
    await step_up(door.keys.front, login_id=login.id, totp=door.code(), address=HERE)
    with refused("presence-needed"):
        await door.take(login, grant)


async def test_what_is_asked_for_opens_nothing(door: Door) -> None:
    login, grant = await door.come()
    asked = await door.ask(login)
    with refused("presence-needed"):
        await door.take(login, grant)
    assert not await door.world.events("pass.given")
    door.world.clock.advance(timedelta(minutes=5) + SECOND)
    with pytest.raises(NotFound):
        await door.give(login, asked)


async def test_it_is_spent_once(door: Door) -> None:
    login, grant = await door.come()
    await door.given(login)
    await door.take(login, grant)
    with pytest.raises(Refusal, match=rf"was used from {HERE} at .* Type: interlock connect orders") as caught:
        await door.take(login, grant)
    assert caught.value.code == "presence-needed"


async def test_of_two_gateways_that_try_at_once_one_gets_it(door: Door) -> None:
    """Many times, with everything that may be interleaved between two control planes' transactions."""
    login, grant = await door.come()
    for _ in range(RACES):
        asked = await door.ask(login)
        await door.give(login, asked)
        wanted = Wanted(login.id, "orders", (grant.id,), HERE)
        tries = (take_pass(door.world.desk, gateway=name, wanted=wanted) for name in ("gw1", "gw2"))
        results = await asyncio.gather(*tries, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["PassTaken", "Refusal"], results
    assert len(await door.world.events("pass.used")) == RACES


async def test_for_several_as_many_get_in_as_it_is_for(door: Door) -> None:
    login, grant = await door.come()
    await door.given(login, connections=7)
    results = await asyncio.gather(*(door.take(login, grant) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(result, PassTaken) for result in results) == 7
    assert sorted(event["left"] for event in await door.world.events("pass.used")) == list(range(7))


@pytest.mark.parametrize("connections", [-1, 0, 101])
async def test_it_is_for_a_bounded_number(door: Door, connections: int) -> None:
    login, _ = await door.come()
    with refused("too-many"):
        await door.ask(login, connections=connections)


async def test_all_of_its_connections_come_from_one_address(door: Door) -> None:
    login, grant = await door.come()
    await door.given(login, connections=3)
    await door.take(login, grant)
    with refused("presence-needed"):
        await door.take(login, grant, address=THERE)
    await door.take(login, grant)


async def test_it_is_for_one_resource(door: Door) -> None:
    login, grant = await door.come()
    other = await door.world.lend("reader", login=login, resource="stock")
    await door.given(login)
    with refused("presence-needed"):
        await door.take(login, other, resource="stock")
    with refused("presence-needed"):
        await door.take(login, other)
    await door.take(login, grant)


async def test_it_is_for_the_roles_that_it_names(door: Door) -> None:
    login, reader = await door.come()
    await door.given(login)
    writer = await door.world.lend("writer", DBA, LEAD, login=login)
    with refused("presence-needed"):
        await door.take(login, writer)
    with refused("presence-needed"):
        await door.take(login, reader, writer)
    await door.given(login, role="reader")
    with refused("presence-needed"):
        await door.take(login, writer)
    await door.take(login, reader)


async def test_it_is_for_the_key_that_asked(door: Door) -> None:
    """Another login of the same person, with another key, has nothing of it; neither has another person."""
    login, grant = await door.come()
    await door.given(login)
    other, theirs = await door.come()
    with refused("presence-needed"):
        await door.take(other, theirs)
    with refused("presence-needed"):
        await door.take(other, grant)
    mate = await door.world.sign_in(MATE)
    with refused("presence-needed"):
        await door.take(mate, grant)
    await door.take(login, grant)


async def test_another_person_neither_sees_nor_gives_it(door: Door) -> None:
    login, _ = await door.come()
    asked = await door.ask(login)
    mate = await door.world.sign_in(MATE)
    with pytest.raises(NotFound):
        await show_pass(door.world.desk, door.waiting, person=MATE, pass_id=asked.id)
    with pytest.raises(NotFound):
        await door.give(mate, asked)
    await door.give(login, asked)
    with pytest.raises(NotFound):
        await show_pass(door.world.desk, door.waiting, person=MATE, pass_id=asked.id)


async def test_it_lives_for_a_minute(door: Door) -> None:
    login, grant = await door.come()
    await door.given(login)
    door.world.clock.advance(timedelta(seconds=60) - TICK)
    await door.take(login, grant)
    await door.given(login)
    door.world.clock.advance(timedelta(seconds=60))
    with refused("presence-needed"):
        await door.take(login, grant)


async def test_a_clock_that_went_back_does_not_help(door: Door) -> None:
    login, grant = await door.come()
    await door.given(login)
    door.world.clock.advance(-SECOND)
    with refused("presence-needed"):
        await door.take(login, grant)


async def test_for_several_it_lives_as_long_as_presence_is_fresh(door: Door) -> None:
    login, grant = await door.come()
    await door.given(login, connections=2)
    door.world.clock.advance(timedelta(minutes=5) - TICK)
    await door.take(login, grant)
    door.world.clock.advance(TICK)
    with refused("presence-needed"):
        await door.take(login, grant)


async def test_it_dies_with_its_grant_and_serves_no_later_one(door: Door) -> None:
    login, grant = await door.come()
    await door.given(login)
    await end_grant(door.world.desk, by=DEV, grant_id=grant.id, reason="enough")
    with refused("presence-needed"):
        await door.take(login, grant)
    again = await door.world.lend("reader", login=login)
    with refused("presence-needed"):
        await door.take(login, again)


async def test_a_grant_that_ends_meanwhile_gets_none(door: Door) -> None:
    login, grant = await door.come()
    asked = await door.ask(login)
    await end_grant(door.world.desk, by=DEV, grant_id=grant.id, reason="enough")
    with refused("over"):
        await door.give(login, asked)
    with refused("no-grant"):
        await door.ask(login)


async def test_whoever_waits_is_told_when_what_it_was_to_rest_on_ends(door: Door) -> None:
    async def look(asked: PassView) -> PassView:
        return await show_pass(door.world.desk, door.waiting, person=DEV, pass_id=asked.id)

    login, grant = await door.come()
    asked = await door.ask(login)
    assert (await look(asked)).given is None
    roles = {name: role for name, role in door.world.configuration.roles.items() if name != "reader"}
    kept, door.world.configuration = door.world.configuration, company(roles=roles)
    with refused("over"):
        await look(asked)
    door.world.configuration = kept
    assert (await look(asked)).given is None
    await end_grant(door.world.desk, by=DEV, grant_id=grant.id, reason="enough")
    with refused("over"):
        await look(asked)
    await door.world.lend("reader", login=login)
    with refused("over"):
        await look(asked)
    await offboard_person(door.world.desk, by=ADMIN, name=DEV, reason="left")
    with refused("login-ended"):
        await look(asked)


async def test_who_gives_up_waiting_is_let_in_by_no_later_touch(door: Door) -> None:
    login, grant = await door.come()
    authenticator = await door.passkey(login)
    asked, other = await door.ask(login), await door.ask(login)
    begun = await begin_touch(door.keys, login_id=login.id, pass_id=asked.id)
    with pytest.raises(NotFound):
        await withdraw_pass(door.waiting, person=MATE, pass_id=asked.id)
    await withdraw_pass(door.waiting, person=DEV, pass_id=asked.id)
    shown = Shown(begun.id, authenticator.touch(begun.options))
    with pytest.raises(NotFound):
        await give_by_touch(door.keys, login_id=login.id, pass_id=asked.id, shown=shown)
    with refused("presence-needed"):
        await door.take(login, grant)
    await door.touch(login, other, authenticator)
    assert await door.take(login, grant)


async def test_as_many_wait_at_once_as_there_is_room_for(door: Door) -> None:
    """The attack: somebody asks a thousand times and gives none. Others, and who gives up one, still get in."""
    login, _ = await door.come()
    asked = []
    with refused("too-many-waiting"):
        for _ in range(1000):
            asked.append(await door.ask(login))  # noqa: PERF401 -- what was asked for before the refusal is wanted
    assert len(asked) == MOST_OF_ONE_NETWORK
    await withdraw_pass(door.waiting, person=DEV, pass_id=asked[0].id)
    assert await door.ask(login)
    with refused("too-many-waiting"):
        await door.ask(login)
    mate = await door.world.sign_in(MATE)
    await door.world.lend("reader", person=MATE, login=mate)
    assert await door.ask(mate)


async def test_it_dies_with_the_login_and_the_person(door: Door) -> None:
    login, grant = await door.come()
    await door.given(login)
    await end_contract(door.world.desk, by=LEAD, contract_name="acme-orders", reason="done")
    with refused("login-ended"):
        await door.take(login, grant)
    await offboard_person(door.world.desk, by=ADMIN, name=DEV, reason="left")
    with refused("login-ended"):
        await door.take(login, grant)


async def test_a_job_asks_for_none_and_spends_none(door: Door) -> None:
    login, grant = await door.come()
    job = replace(login, workload="deploy-shop")
    async with door.world.state.changing(DEV) as work:
        await work.save(job)
        work.record(
            LoginStarted(login=job.id, person=DEV, key=job.key, ends_at=job.ends_at, present_at=None, address=HERE)
        )
    with refused("job"):
        await door.ask(job)
    with refused("job"):
        await door.take(job, grant)


async def test_a_code_gives_one_pass_and_nothing_else(door: Door) -> None:
    """Neither two passes, nor a pass and an approval: one memory of what was used."""
    login, _ = await door.come()
    code = door.code()
    await door.give(login, await door.ask(login), code)
    second = await door.ask(login)
    with refused("wrong-code"):
        await door.give(login, second, code)
    with refused("wrong-code"):
        await step_up(door.keys.front, login_id=login.id, totp=code, address=HERE)
    code = door.code()
    await step_up(door.keys.front, login_id=login.id, totp=code, address=HERE)
    with refused("wrong-code"):
        await door.give(login, second, code)


async def test_a_code_for_two_passes_at_once_gives_one(door: Door) -> None:
    login, _ = await door.come()
    for _ in range(20):
        code, asked = door.code(), [await door.ask(login) for _ in range(3)]
        results = await asyncio.gather(*(door.give(login, one, code) for one in asked), return_exceptions=True)
        assert sum(result is None for result in results) == 1, results


async def test_a_pass_is_given_once(door: Door) -> None:
    login, grant = await door.come()
    asked = await door.given(login)
    with refused("given"):
        await door.give(login, asked)
    await door.take(login, grant)
    with refused("given"):
        await door.give(login, asked)


async def test_wrong_codes_end_the_login(door: Door) -> None:
    login, _ = await door.come()
    asked = await door.ask(login)
    for _ in range(WRONG_AT_MOST - 1):
        with refused("wrong-code"):
            await door.give(login, asked, "000000")
    with refused("login-ended"):
        await door.give(login, asked, "000000")
    assert not await door.world.events("pass.given")


async def test_a_pass_is_no_presence_for_anything_else(door: Door) -> None:
    login = await door.world.sign_in(DEV, absent=True)
    await door.world.lend("reader", login=login)
    await door.given(login)
    assert (await door.world.login(login.id)).present_at is None


async def test_the_passkey_signs_this_connection_in_a_browser_of_the_person(door: Door) -> None:
    login, grant = await door.come()
    browser = await door.world.sign_in(DEV)
    authenticator = await door.passkey(browser)
    asked = await door.ask(login)
    assert asked.by_passkey
    await door.touch(browser, asked, authenticator)
    await door.take(login, grant)
    (given,) = await door.world.events("pass.given")
    (used,) = await door.world.events("passkey.used")
    assert given["how"] == f"passkey {used['passkey']}"
    assert used["purpose"] == f"connection {asked.digest}"
    with refused("presence-needed"):
        await door.take(browser, grant)


async def test_who_has_a_passkey_proves_with_it(door: Door) -> None:
    login, _ = await door.come()
    await door.passkey(login)
    code = door.code()
    with refused("passkey-needed"):
        await door.give(login, await door.ask(login), code)
    await step_up(door.keys.front, login_id=login.id, totp=code, address=HERE)


async def test_a_touch_for_one_connection_serves_no_other_and_no_approval(door: Door) -> None:
    login, _ = await door.come()
    authenticator = await door.passkey(login)
    first, second = await door.ask(login), await door.ask(login)
    keys = door.keys
    begun = await begin_touch(keys, login_id=login.id, pass_id=first.id)
    shown = Shown(begun.id, authenticator.touch(begun.options))
    with refused("ceremony-over"):
        await give_by_touch(keys, login_id=login.id, pass_id=second.id, shown=shown)
    for digest in (first.digest, ""):
        begun = await begin_touch(keys, login_id=login.id, pass_id=first.id)
        shown = Shown(begun.id, authenticator.touch(begun.options))
        with refused("ceremony-over"):
            if digest:
                await prove_for_request(keys, login_id=login.id, digest=digest, shown=shown)
            else:
                await step_up_with_passkey(keys, login_id=login.id, shown=shown)
    # … nor does one for an approval, or for the login, serve a connection, whatever digest it was begun with.
    for of in ("request", OF):
        digest = first.digest if of == "request" else ""
        begun = await begin_presence(keys, login_id=login.id, digest=digest, of=of)
        shown = Shown(begun.id, authenticator.touch(begun.options))
        with refused("ceremony-over"):
            await give_by_touch(keys, login_id=login.id, pass_id=first.id, shown=shown)
    assert not await door.world.events("pass.given")


async def test_a_touch_is_used_once_and_by_the_browser_that_began_it(door: Door) -> None:
    login, _ = await door.come()
    authenticator = await door.passkey(login)
    browser = await door.world.sign_in(DEV)
    asked = await door.ask(login)
    begun = await begin_touch(door.keys, login_id=login.id, pass_id=asked.id)
    shown = Shown(begun.id, authenticator.touch(begun.options))
    with refused("ceremony-over"):
        await give_by_touch(door.keys, login_id=browser.id, pass_id=asked.id, shown=shown)
    await door.touch(login, asked, authenticator)
    with refused("given"):
        await give_by_touch(door.keys, login_id=login.id, pass_id=asked.id, shown=shown)


async def test_an_unverified_touch_a_foreign_passkey_and_a_copied_one_give_nothing(door: Door) -> None:
    login, _ = await door.come()
    authenticator = await door.passkey(login)
    asked = await door.ask(login)
    authenticator.verified = False
    with refused("wrong-passkey"):
        await door.touch(login, asked, authenticator)
    authenticator.verified = True
    with refused("wrong-passkey"):
        await door.touch(login, asked, replace(authenticator, id=b"another" * 4))
    with refused("wrong-passkey"):
        await door.touch(login, asked, Authenticator(ORIGIN, "localhost", id=authenticator.id))
    await door.touch(login, asked, authenticator)
    authenticator.uses = 0
    with refused("passkey-copied"):
        await door.touch(login, await door.ask(login), authenticator)
    assert len(await door.world.events("pass.given")) == 1
    assert len(await door.world.events("passkey.ended")) == 1


async def test_the_digest_follows_everything_that_is_proved(door: Door) -> None:
    login, _ = await door.come()
    await door.world.lend("writer", DBA, LEAD, login=login)
    asked = await door.ask(login)
    assert {one["role"] for one in asked.content["grants"]} == {"reader", "writer"}
    for name in ("person", "login", "key", "resource", "grants", "connections", "with", "lasts_s"):
        assert name in asked.content
    wishes: tuple[dict[str, Any], ...] = ({"role": "reader"}, {"connections": 2}, {"password": True}, {})
    others = [await door.ask(login, **wish) for wish in wishes]
    assert len({asked.digest, *(one.digest for one in others)}) == 5


async def test_a_password_goes_with_a_pass_of_its_own(door: Door) -> None:
    """The console's terminal, and clients without certificates: bound to that one, and useless to a certificate."""
    login, grant = await door.come()
    desk = door.world.desk
    with refused("presence-needed"):
        await issue_password(desk, login_id=login.id, resource="orders")
    for_certificate = await door.given(login)
    with refused("presence-needed"):
        await issue_password(desk, login_id=login.id, resource="orders", presence=for_certificate.id)
    await door.take(login, grant)
    asked = await door.given(login, password=True)
    with refused("presence-needed"):
        await door.take(login, grant)
    with refused("presence-needed"):
        await door.take(login, grant, password="-")
    issued = await issue_password(desk, login_id=login.id, resource="orders", presence=asked.id)
    with refused("presence-needed"):
        await door.take(login, grant)
    with refused("presence-needed"):
        await door.take(login, grant, password="another")
    await door.take(login, grant, password=issued.password)
    with refused("presence-needed"):
        await door.take(login, grant, password=issued.password)
    with refused("presence-needed"):
        await issue_password(desk, login_id=login.id, resource="orders", presence=asked.id)


async def test_a_password_takes_no_pass_that_is_used_over_too_small_or_anothers(door: Door) -> None:
    login, _ = await door.come()
    await door.world.lend("reader", login=login, resource="stock")
    desk = door.world.desk
    asked = await door.given(login, password=True)
    with refused("presence-needed"):
        await issue_password(desk, login_id=login.id, resource="orders", presence=asked.id, connections=2)
    with refused("presence-needed"):
        await issue_password(desk, login_id=login.id, resource="stock", presence=asked.id)
    other, _ = await door.come()
    with refused("presence-needed"):
        await issue_password(desk, login_id=other.id, resource="orders", presence=asked.id)
    asked = await door.given(login, password=True)
    door.world.clock.advance(timedelta(seconds=60))
    with refused("presence-needed"):
        await issue_password(desk, login_id=login.id, resource="orders", presence=asked.id)
    issued = await issue_password(
        desk, login_id=login.id, resource="orders", presence=(await door.given(login, password=True)).id
    )
    assert issued.connections == 1


async def test_a_role_that_does_not_ask_needs_none(door: Door) -> None:
    login, _ = await door.come("pair", DBA, OPS)
    (orders,) = [one for one in await list_resources(door.world.desk, login_id=login.id) if one.grants]
    assert not orders.presence.needed
    await issue_password(door.world.desk, login_id=login.id, resource="orders")


async def test_a_list_says_whether_one_is_needed_and_how_many_are_left(door: Door) -> None:
    login, grant = await door.come()

    async def left() -> tuple[bool, int]:
        (orders,) = [one for one in await list_resources(door.world.desk, login_id=login.id) if one.grants]
        return orders.presence.needed, orders.presence.left

    assert await left() == (True, 0)
    await door.given(login, connections=3)
    await door.take(login, grant)
    assert await left() == (True, 2)
    door.world.clock.advance(timedelta(minutes=5))
    assert await left() == (True, 0)
