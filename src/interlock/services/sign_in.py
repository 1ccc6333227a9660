"""A person signs in with one key, and gets a certificate and a token that only that key can use.

Holds to, in this order:

0. the configuration lets people have passwords here: where there is a provider only when it says so
1. the certificate request, where there is one, was signed with the very key that the call was proved with
2. nobody has failed too often from here (``attempts``); who waits is not even looked at
3. the password is right. A person who does not exist costs the same work and gets the same answer
4. a one-time code is given when any role within the person's reach says ``mfa``, as somebody to whom it is lent or as
   somebody who approves it; a code that is given is checked in any case, and works once
5. an employee is employed, a contractor has a running contract: looked at in the unit of work that makes the login
6. a key is one person's: with which anybody else ever signed in, nobody signs in. Else one machine, or one human with
   several accounts, would count as several persons
7. the login lasts ``timing.login``, eight hours at most, and never past the contract's end
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from interlock.domain.grants import Login
from interlock.domain.identity_events import LoginStarted
from interlock.domain.people import Contract, Person
from interlock.domain.roles import ApprovalRule, Role
from interlock.domain.signin import LocalCredential
from interlock.errors import Refusal
from interlock.ports.identity import IssuedToken
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.attempts import Count, forget, network_of, too_many
from interlock.services.endings import may_be_signed_in
from interlock.services.front_desk import FrontDesk, refuse_without_passwords
from interlock.services.ids import new_id

LONGEST_LOGIN = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A try to sign in. ``key`` is the thumbprint that the call was proved with, ``totp`` None when not given."""

    person: str
    password: str = field(repr=False)
    totp: str | None = field(repr=False)
    csr: str | None
    key: str
    address: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The login, its client certificate (None when none was asked for), the authority's (PEM), and its access token."""

    login: Login
    token: IssuedToken
    certificate: str | None
    authority: str


class _WrongCodeError(Exception):
    """The one-time code is not right. Becomes a counted failure outside of the unit of work."""


async def sign_in(front: FrontDesk, wish: SignIn) -> SignedIn:
    """Raises Refusal: ``key-mismatch``, ``too-many-attempts``, ``wrong-sign-in``, ``totp-needed``, ``no-contract`` …"""
    refuse_without_passwords(front)
    if wish.csr is not None and front.authority.key_of_request(wish.csr) != wish.key:
        raise Refusal(
            "key-mismatch",
            "The certificate request was signed with another key than the call was proved with.",
            "Use one key for both.",
        )
    async with front.turnstile.passing(network_of(wish.address)):
        async with front.desk.state.reading() as reading:
            person = await reading.person(wish.person)
            # Asked for unknown persons too: one question fewer would be heard as a quicker answer.
            credential = await reading.local_credential(wish.person)
            counts = front.tries.counts(wish.person, wish.address, known=person is not None)
            await front.tries.check(reading, counts)
        kept = None if credential is None else credential.password_hash
        if not await front.passwords.verify(wish.password, kept) or credential is None:
            why = "the password is wrong" if kept else "the person is unknown or has no password"
            raise await _fail(front, wish, counts, "" if person is None else person.name, why)
        try:
            return await _open_login(front, wish, credential, counts[0])
        except _WrongCodeError:
            raise await _fail(front, wish, counts, credential.person, "the one-time code is wrong") from None


async def _fail(front: FrontDesk, wish: SignIn, counts: tuple[Count, ...], person: str, why: str) -> Refusal:
    until = await front.tries.note(counts, person=person, address=wish.address, reason=why)
    now = front.desk.clock.now()
    if until is not None and until > now:
        return too_many(until - now)
    return Refusal(
        "wrong-sign-in",
        "The person, the password or the one-time code is wrong.",
        "Try again; if the password is lost, ask the operator for a new code (`interlock enrol PERSON`).",
    )


async def _open_login(front: FrontDesk, wish: SignIn, verified: LocalCredential, pair: Count) -> SignedIn:
    desk = front.desk
    async with desk.deciding(verified.person) as work:
        await work.lock(LocalCredential, verified.person)
        now = desk.clock.now()
        credential = await work.local_credential(verified.person)
        if credential is None or credential.password_hash != verified.password_hash:
            raise Refusal("changed-meanwhile", "The password was changed meanwhile.", "Sign in with the new one.")
        contracts = await work.contracts()
        person = await person_who_may(work, verified.person, contracts, now)
        await _refuse_shared_key(work, person=wish.person, key=wish.key)
        present_at = await _prove_presence(front, work, credential, wish.totp, now)
        if present_at is None and asks_for_code(person, desk.configuration.roles.values(), contracts, now):
            raise Refusal(
                "totp-needed",
                "A one-time code is needed: a role within your reach asks for it.",
                "Give the six digits that your authenticator shows.",
            )
        await forget(work, pair)
        login = await start_login(
            work,
            person=person.name,
            key=wish.key,
            ends_at=end_of_login(person, contracts, now, desk.configuration.timing.login),
            present_at=present_at,
            address=wish.address,
            now=now,
        )
        certificate = None if wish.csr is None else front.authority.issue_client(wish.csr, login=login, at=now)
        return SignedIn(login, front.tokens.issue_for_login(login), certificate, front.authority.pem)


async def start_login(
    work: UnitOfWork,
    *,
    person: str,
    key: str,
    ends_at: datetime,
    present_at: datetime | None,
    address: str,
    now: datetime,
    workload: str = "",
    rule: str = "",
) -> Login:
    """A login, however the person proved who they are. Raises Refusal (``key-taken``)."""
    await _refuse_shared_key(work, person=person, key=key, workload=workload)
    login = Login(
        id=await _unused_login_id(work),
        person=person,
        key=key,
        signed_in_at=now,
        ends_at=ends_at,
        present_at=present_at,
        workload=workload,
        rule=rule,
    )
    await work.save(login)
    work.record(
        LoginStarted(
            login=login.id,
            person=login.person,
            key=login.key,
            ends_at=login.ends_at,
            present_at=login.present_at,
            address=address,
            workload=workload,
        )
    )
    return login


async def person_who_may(reading: Reading, name: str, contracts: Sequence[Contract], now: datetime) -> Person:
    """The person, if they may be signed in now. Raises Refusal (``person-ended``, ``no-contract``)."""
    person = await reading.person(name)
    if person is None or not person.active:
        raise Refusal("person-ended", f"{name} has been offboarded.", "Ask an administrator if that was a mistake.")
    if not may_be_signed_in(person, contracts, now):
        raise Refusal(
            "no-contract",
            f"No contract with {person.vendor} that covers {name} is running.",
            "Ask the sponsor of your contract.",
        )
    return person


async def _refuse_shared_key(reading: Reading, *, person: str, key: str, workload: str = "") -> None:
    """A key is one person's, or the jobs' of one workload, and never both."""
    if any((login.person, login.workload) != (person, workload) for login in await reading.logins(key=key)):
        raise Refusal(
            "key-taken",
            "Somebody else has signed in with this very key: one key is one person's.",
            "Sign in with a key of your own, in a folder of your own: export INTERLOCK_HOME=FOLDER",
        )


async def _prove_presence(
    front: FrontDesk, work: UnitOfWork, credential: LocalCredential, code: str | None, now: datetime
) -> datetime | None:
    if code is None:
        return None
    if not await use_code(front, work, credential, code, now):
        raise _WrongCodeError
    return now


async def use_code(front: FrontDesk, work: UnitOfWork, credential: LocalCredential, code: str, now: datetime) -> bool:
    """Whether the one-time code is right; if so, neither it nor an earlier one will be again.

    The caller has locked the credential and records an event of its own.
    """
    if credential.totp_secret is None:
        return False
    step = front.codes.step_of(credential.totp_secret, code, at=now, after=credential.totp_last_step)
    if step is None:
        return False
    await work.save(replace(credential, totp_last_step=step))
    return True


def asks_for_code(person: Person, roles: Iterable[Role], contracts: Sequence[Contract], now: datetime) -> bool:
    """Whether a role that says ``mfa`` is within the person's reach: could be lent to them, or approved by them."""
    mine = [c for c in contracts if c.covers(person) and c.running(now)]
    sponsored = [c for c in contracts if c.sponsor == person.name and c.running(now)]
    for role in roles:
        if not role.lending.mfa:
            continue
        lendable = person.is_employee or any(role.name in c.roles for c in mine)
        rules = (*role.lending.approvals, *(role.hold.approvals if role.hold is not None else ()))
        if lendable or any(_speaks_of(rule, person, role, sponsored) for rule in rules):
            return True
    return False


def _speaks_of(rule: ApprovalRule, person: Person, role: Role, sponsored: Sequence[Contract]) -> bool:
    in_group = rule.group is not None and rule.group in person.groups
    named = person.name in rule.people
    sponsors = rule.sponsor and any(role.name in c.roles for c in sponsored)
    return in_group or named or sponsors


def end_of_login(person: Person, contracts: Sequence[Contract], now: datetime, longest: timedelta) -> datetime:
    """The last moment of a login that starts now: never past the contract's end."""
    end = now + min(longest, LONGEST_LOGIN)
    if person.is_employee:
        return end
    return min(end, max(c.end for c in contracts if c.covers(person) and c.running(now)))


async def _unused_login_id(work: UnitOfWork) -> str:
    while await work.login(login_id := new_id("l")) is not None:
        continue
    return login_id
