import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from interlock.domain.grants import Login
from interlock.errors import Refusal
from interlock.identity.authority import Authority, login_of, make_request
from interlock.identity.keys import new_key, thumbprint
from interlock.identity.passwords import Argon2Passwords
from interlock.identity.tokens import Tokens
from interlock.identity.totp import TotpCodes
from interlock.services.attempts import FREE_FOR_ADDRESS, FREE_FOR_PAIR, LONGEST_WAIT
from interlock.services.end_contract import end_contract
from interlock.services.end_login import end_login
from interlock.services.enrol import LIFETIME, enrol, issue_enrolment
from interlock.services.front_desk import FrontDesk, open_front_desk
from interlock.services.offboard_person import offboard_person
from interlock.services.sign_in import SignedIn, SignIn, asks_for_code, sign_in
from interlock.services.step_up import WRONG_AT_MOST, step_up
from tests.services.world import ADMIN, DBA, DEV, HOUR, LEAD, OPS, SECOND, World, company, refused, with_contract

PASSWORD = "correct horse battery"
HERE, THERE = "10.0.0.1", "10.0.0.2"
STEP = timedelta(seconds=30)


@dataclass
class Door:
    """The front desk with little to type."""

    world: World
    front: FrontDesk

    async def enrol(self, person: str, password: str = PASSWORD) -> str:
        """The person's TOTP secret."""
        code = await issue_enrolment(self.front, person=person, by="operator")
        enrolled = await enrol(self.front, person=person, code=code.text, password=password, address=HERE)
        return enrolled.totp_secret

    def code(self, secret: str) -> str:
        """A code that was not used: of the next step."""
        self.world.clock.advance(STEP)
        return pyotp.TOTP(secret).at(self.world.clock.now())

    async def sign_in(
        self,
        person: str = DEV,
        password: str = PASSWORD,
        totp: str | None = None,
        *,
        key: EllipticCurvePrivateKey | None = None,
        address: str = HERE,
    ) -> SignedIn:
        key = key or new_key()
        return await sign_in(self.front, SignIn(person, password, totp, make_request(key), thumbprint(key), address))

    async def fail(self, person: str = DEV, *, times: int = 1, address: str = HERE) -> None:
        for _ in range(times):
            with refused("wrong-sign-in"):
                await self.sign_in(person, "wrong password", address=address)


@pytest.fixture
async def door(world: World, tmp_path: Path) -> AsyncIterator[Door]:
    passwords = Argon2Passwords()
    authority = Authority.open(tmp_path, world.clock.now())
    tokens = Tokens(new_key(), world.clock)
    yield Door(world, open_front_desk(world.desk, passwords, TotpCodes(), authority, tokens))
    passwords.close()


async def with_mfa(door: Door, *roles: str) -> Door:
    """The same with roles that say ``mfa``."""
    before = door.world.configuration.roles
    changed = {name: replace(before[name], lending=replace(before[name].lending, mfa=True)) for name in roles}
    await door.world.apply(company(roles={**before, **changed}))
    return Door(door.world, replace(door.front, desk=door.world.desk))


async def test_a_login_is_bound_to_its_key(door: Door) -> None:
    await door.enrol(DEV)
    key = new_key()
    signed_in = await door.sign_in(key=key)
    login = await door.world.login(signed_in.login.id)
    assert login.key == thumbprint(key)
    assert login.present_at is None
    assert login.ends_at == door.world.clock.now() + 8 * HOUR
    assert login_of(_certificate(signed_in)) == login.id
    assert signed_in.token.ends_at == login.ends_at
    (event,) = await door.world.events("login.started")
    assert event["login"] == login.id
    assert event["address"] == HERE
    assert PASSWORD not in str(await door.world.events("enrolment.used"))


async def test_a_key_is_one_person_s(door: Door) -> None:
    await door.enrol(DEV)
    await door.enrol(LEAD)
    key = new_key()
    signed_in = await door.sign_in(key=key)
    with refused("key-taken"):
        await door.sign_in(LEAD, key=key)
    await end_login(door.world.desk, by=DEV, login_id=signed_in.login.id)
    with refused("key-taken"):
        await door.sign_in(LEAD, key=key)
    await door.sign_in(key=key)
    await door.sign_in(LEAD)


async def test_the_request_and_the_proof_must_be_of_one_key(door: Door) -> None:
    await door.enrol(DEV)
    wish = SignIn(DEV, PASSWORD, None, make_request(new_key()), thumbprint(new_key()), HERE)
    with refused("key-mismatch"):
        await sign_in(door.front, wish)
    assert not await door.world.events("sign-in.refused"), "nothing was tried"


async def test_a_login_never_outlasts_the_contract(door: Door) -> None:
    end = door.world.clock.now() + HOUR
    configuration = with_contract(door.world.configuration, "acme-orders", end=end)
    await door.world.apply(configuration)
    door = Door(door.world, replace(door.front, desk=door.world.desk))
    await door.enrol(DEV)
    signed_in = await door.sign_in()
    assert signed_in.login.ends_at == end
    assert _certificate(signed_in).not_valid_after_utc < end
    door.world.clock.at = end
    with refused("no-contract"):
        await door.sign_in()


async def test_nobody_signs_in_without_a_contract_or_after_leaving(door: Door) -> None:
    for person in (DEV, OPS):
        await door.enrol(person)
    signed_in = await door.sign_in()
    await end_contract(door.world.desk, by=LEAD, contract_name="acme-orders", reason="over")
    assert (await door.world.login(signed_in.login.id)).ended_at is not None
    with refused("no-contract"):
        await door.sign_in()
    await offboard_person(door.world.desk, by=ADMIN, name=OPS, reason="left")
    with refused("person-ended"):
        await door.sign_in(OPS)


async def test_wrong_and_unknown_are_one_answer(door: Door) -> None:
    await door.enrol(DEV)
    said = set()
    for person in (DEV, LEAD, "nobody@example.com", "x" * 254):
        with pytest.raises(Refusal) as met:
            await door.sign_in(person, "wrong password")
        said.add((met.value.code, str(met.value)))
    assert len(said) == 1
    people = {event["person"] for event in await door.world.events("sign-in.refused")}
    assert people == {DEV, LEAD, ""}, "what was typed as an unknown name is not kept"


async def test_a_code_is_asked_for_when_a_role_in_reach_says_mfa(door: Door) -> None:
    secret = await door.enrol(DEV)
    door = await with_mfa(door, "reader")
    with refused("totp-needed"):
        await door.sign_in()
    with refused("wrong-sign-in"):
        await door.sign_in(totp="000000")
    signed_in = await door.sign_in(totp=door.code(secret))
    assert signed_in.login.present_at == door.world.clock.now()


async def test_reach_is_what_can_be_lent_or_approved(door: Door) -> None:
    door = await with_mfa(door, "writer", "outside")
    configuration = door.world.configuration
    async with door.world.state.reading() as reading:
        people = {person.name: person for person in await reading.people()}
        contracts = await reading.contracts()
    now = door.world.clock.now()

    def asked(name: str, *roles: str) -> bool:
        return asks_for_code(people[name], [configuration.roles[role] for role in roles], contracts, now)

    assert asked(DEV, "writer"), "in the scope of the contract"
    assert not asked(DEV, "outside")
    assert asked(LEAD, "outside"), "employees may ask for anything"
    assert asked("rival@globex", "writer"), "in the group that approves it"
    assert not asked(DEV, "reader"), "this one does not say mfa"


async def test_a_code_works_once_over_all_logins(door: Door) -> None:
    secret = await door.enrol(DEV)
    code = door.code(secret)
    signed_in = await door.sign_in(totp=code)
    with refused("wrong-sign-in"):
        await door.sign_in(totp=code)
    with refused("wrong-code"):
        await step_up(door.front, login_id=signed_in.login.id, totp=code, address=HERE)


async def test_two_sign_ins_with_one_code_in_one_moment(door: Door) -> None:
    secret = await door.enrol(DEV)
    code = door.code(secret)
    answers = await asyncio.gather(
        *(door.sign_in(totp=code, address=f"10.0.1.{n}") for n in range(4)), return_exceptions=True
    )
    assert sum(isinstance(answer, SignedIn) for answer in answers) == 1


async def test_failures_make_the_next_one_wait_longer_and_longer(door: Door) -> None:
    await door.enrol(DEV)
    await door.fail(times=FREE_FOR_PAIR - 1)
    waits = []
    for _ in range(12):
        with refused("too-many-attempts"):
            await door.sign_in(password="wrong password")
        start = door.world.clock.now()
        async with door.world.state.reading() as reading:
            kept = await reading.attempts(f"person:{DEV} address:{HERE}")
        assert kept is not None
        assert kept.blocked_until is not None
        with refused("too-many-attempts"):
            await door.sign_in()
        waits.append(kept.blocked_until - start)
        door.world.clock.at = kept.blocked_until
    assert waits[:4] == [timedelta(seconds=s) for s in (5, 10, 20, 40)]
    assert max(waits) == waits[-1] == LONGEST_WAIT
    await door.sign_in()


async def test_an_attacker_locks_nobody_out_elsewhere(door: Door) -> None:
    """Nor for ever at the victim's own address."""
    await door.enrol(DEV)
    await door.fail(times=FREE_FOR_PAIR - 1, address=THERE)
    with refused("too-many-attempts"):
        await door.sign_in(password="wrong password", address=THERE)
    with refused("too-many-attempts"):
        await door.sign_in(address=THERE)
    await door.sign_in(address=HERE)
    door.world.clock.advance(LONGEST_WAIT)
    await door.sign_in(address=THERE)


async def test_while_one_waits_nothing_is_counted(door: Door) -> None:
    await door.enrol(DEV)
    await door.fail(times=FREE_FOR_PAIR - 1)
    for _ in range(5):
        with refused("too-many-attempts"):
            await door.sign_in(password="wrong password")
    assert len(await door.world.events("sign-in.refused")) == FREE_FOR_PAIR


async def test_an_address_that_tries_many_persons_waits_for_all(door: Door) -> None:
    await door.enrol(DEV)
    for n in range(FREE_FOR_ADDRESS - 1):
        await door.fail(f"invented{n}@example.com")
    with refused("too-many-attempts"):
        await door.sign_in("another@example.com", "wrong password")
    with refused("too-many-attempts"):
        await door.sign_in()
    await door.sign_in(address=THERE)


async def test_known_and_unknown_persons_wait_alike(door: Door) -> None:
    await door.enrol(DEV)
    for person, address in ((DEV, HERE), ("nobody@example.com", THERE)):
        await door.fail(person, times=FREE_FOR_PAIR - 1, address=address)
        with refused("too-many-attempts"):
            await door.sign_in(person, "wrong password", address=address)


async def test_ones_own_success_does_not_pay_for_guessing_at_others(door: Door) -> None:
    await door.enrol(DEV)
    for n in range(FREE_FOR_ADDRESS - 1):
        await door.fail(f"invented{n}@example.com")
        if n % 5 == 0:
            await door.sign_in(DEV)
    with refused("too-many-attempts"):
        await door.sign_in("another@example.com", "wrong password")


async def test_a_success_forgets_the_failures_of_its_pair(door: Door) -> None:
    await door.enrol(DEV)
    for _ in range(3):
        await door.fail(times=FREE_FOR_PAIR - 1)
        await door.sign_in()


async def test_an_ipv6_host_counts_as_its_network(door: Door) -> None:
    await door.enrol(DEV)
    for n in range(FREE_FOR_PAIR - 1):
        await door.fail(address=f"2001:db8::{n}")
    with refused("too-many-attempts"):
        await door.sign_in(password="wrong password", address="2001:db8::ffff")
    await door.sign_in(address="2001:db8:0:1::1")


async def test_many_tries_in_one_moment_are_not_more_than_many_one_by_one(door: Door) -> None:
    await door.enrol(DEV)
    tries = (door.sign_in(password="wrong password") for _ in range(30))
    await asyncio.gather(*tries, return_exceptions=True)
    assert len(await door.world.events("sign-in.refused")) <= FREE_FOR_PAIR


async def test_a_clock_set_back_locks_nobody_out(door: Door) -> None:
    await door.enrol(DEV)
    await door.fail(times=FREE_FOR_PAIR - 1)
    with refused("too-many-attempts"):
        await door.sign_in(password="wrong password")
    door.world.clock.advance(-HOUR)
    await door.sign_in()


async def test_an_enrolment_code_works_once_for_its_person_for_a_day(door: Door) -> None:
    issued = await issue_enrolment(door.front, person=DEV, by="operator")
    code, _, fingerprint = issued.text.partition(".")
    assert fingerprint == door.front.authority.fingerprint
    assert code not in repr(issued)
    for person, text in ((OPS, issued.text), (DEV, "0" * 32), (DEV, "x" * 500), ("nobody", code)):
        with refused("bad-code"):
            await enrol(door.front, person=person, code=text, password=PASSWORD, address=HERE)
    with refused("weak-password"):
        await enrol(door.front, person=DEV, code=code, password="short", address=HERE)
    await enrol(door.front, person=DEV, code=f" {code.upper()}.{fingerprint}", password=PASSWORD, address=HERE)
    with refused("bad-code"):
        await enrol(door.front, person=DEV, code=code, password=PASSWORD, address=HERE)
    late = await issue_enrolment(door.front, person=DEV, by="operator")
    door.world.clock.advance(LIFETIME)
    with refused("bad-code"):
        await enrol(door.front, person=DEV, code=late.text, password=PASSWORD, address=HERE)


async def test_a_code_used_twice_in_one_moment(door: Door) -> None:
    issued = await issue_enrolment(door.front, person=DEV, by="operator")
    tries = (
        enrol(door.front, person=DEV, code=issued.text, password=PASSWORD + str(n), address=HERE) for n in range(4)
    )
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1


async def test_enrolling_anew_ends_what_came_before(door: Door) -> None:
    first = await door.enrol(DEV)
    signed_in = await door.sign_in()
    await door.enrol(DEV, "another long password")
    assert (await door.world.login(signed_in.login.id)).ended_at is not None
    with refused("wrong-sign-in"):
        await door.sign_in()
    with refused("wrong-sign-in"):
        await door.sign_in(password="another long password", totp=door.code(first))
    await door.sign_in(password="another long password")


async def test_no_code_for_who_is_unknown_or_has_left(door: Door) -> None:
    with refused("not-found"):
        await issue_enrolment(door.front, person="nobody", by="operator")
    issued = await issue_enrolment(door.front, person=DEV, by="operator")
    await offboard_person(door.world.desk, by=ADMIN, name=DEV, reason="left")
    with refused("person-ended"):
        await issue_enrolment(door.front, person=DEV, by="operator")
    with refused("person-ended"):
        await enrol(door.front, person=DEV, code=issued.text, password=PASSWORD, address=HERE)


async def test_stepping_up_makes_presence_fresh(door: Door) -> None:
    secret = await door.enrol(DBA)
    login = (await door.sign_in(DBA)).login
    request = await door.world.ask()
    with refused("presence-needed"):
        await door.world.approve(DBA, request, login=login)
    stepped = await step_up(door.front, login_id=login.id, totp=door.code(secret), address=HERE)
    assert stepped.login.present_at == door.world.clock.now()
    await door.world.approve(DBA, request, login=login)


async def test_wrong_codes_end_the_login_and_lock_nobody_out(door: Door) -> None:
    secret = await door.enrol(DEV)
    login = (await door.sign_in()).login
    for _ in range(WRONG_AT_MOST - 1):
        with refused("wrong-code"):
            await step_up(door.front, login_id=login.id, totp="000000", address=HERE)
    with refused("login-ended"):
        await step_up(door.front, login_id=login.id, totp="000000", address=HERE)
    with refused("login-ended"):
        await step_up(door.front, login_id=login.id, totp=door.code(secret), address=HERE)
    await door.sign_in(totp=door.code(secret))


async def test_stepping_up_starts_the_count_again(door: Door) -> None:
    secret = await door.enrol(DEV)
    login = (await door.sign_in()).login
    for _ in range(2):
        for _ in range(WRONG_AT_MOST - 1):
            with refused("wrong-code"):
                await step_up(door.front, login_id=login.id, totp="000000", address=HERE)
        await step_up(door.front, login_id=login.id, totp=door.code(secret), address=HERE)


async def test_signing_out_ends_ones_own_login_and_only_that(door: Door) -> None:
    await door.enrol(DEV)
    mine: Login = (await door.sign_in()).login
    with refused("not-found"):
        await end_login(door.world.desk, by=OPS, login_id=mine.id)
    await end_login(door.world.desk, by=DEV, login_id=mine.id)
    with refused("login-ended"):
        await end_login(door.world.desk, by=DEV, login_id=mine.id)
    door.world.clock.advance(SECOND)
    with refused("login-ended"):
        await step_up(door.front, login_id=mine.id, totp="000000", address=HERE)


def _certificate(signed_in: SignedIn) -> x509.Certificate:
    assert signed_in.certificate is not None
    return x509.load_pem_x509_certificate(signed_in.certificate.encode())
