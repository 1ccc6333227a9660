"""Somebody who has lost passkey, password or authenticator is let in again by two others. Never by e-mail.

Holds to:

* it is there only where the configuration names a group for it, and passwords of Interlock's own are allowed
* two different persons of that group, employees both and neither the person, each in a login of their own with a fresh
  proof of presence, give one half of a code; whoever has one half has nothing, the helper too
* a half lasts an hour and is used once, with the other, for that person; both helpers are still who they were when it
  is used
* a recovery ends what the person had: logins, passkeys, the old password and authenticator. Grants stay bound to
  the key that asked for them
* two who help together could come in as the person: each half and the recovery are in the ledger under their names
"""

import secrets
from dataclasses import replace
from datetime import timedelta

from interlock.domain.identity_events import EnrolmentUsed, PersonRecovered, RecoveryHelped
from interlock.domain.people import Person
from interlock.domain.signin import Enrolment, LocalCredential
from interlock.errors import Refusal
from interlock.ports.state import UnitOfWork
from interlock.services.ending_rights import acting_person
from interlock.services.endings import Endings
from interlock.services.enrol import Enrolled, IssuedCode, hash_of
from interlock.services.front_desk import FrontDesk, refuse_without_passwords
from interlock.services.logins import active_login, check_presence
from interlock.services.requests import check_reason

LIFETIME = timedelta(hours=1)
HELPERS = 2
"""So many others let somebody in again."""
BETWEEN = "+"
"""What stands between two halves."""


async def help_recover(front: FrontDesk, *, login_id: str, name: str, reason: str) -> IssuedCode:
    """One half, shown once. Raises Refusal (``no-recovery``, ``not-yours``, ``self-recovery``, ``presence-needed``)."""
    refuse_without_passwords(front)
    reason = check_reason(reason)
    desk = front.desk
    async with desk.state.reading() as reading:
        helper = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(helper) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        actor = await acting_person(work, login.person)
        person = await acting_person(work, name)
        _refuse_unfit(front, actor, person)
        check_presence(login, now, desk.configuration.timing.presence)
        half = secrets.token_hex(16)
        enrolment = Enrolment(_hash_of_half(half), person.name, actor.name, now, now + LIFETIME)
        await work.save(enrolment)
        work.record(RecoveryHelped(person=person.name, by=actor.name, reason=reason, expires_at=enrolment.expires_at))
    return IssuedCode(f"{half}.{front.authority.fingerprint}", person.name, enrolment)


async def recover(front: FrontDesk, *, person: str, code: str, password: str, address: str) -> Enrolled:
    """``code`` is two halves with ``+`` between them. Raises Refusal (``bad-code``, ``weak-password`` …)."""
    refuse_without_passwords(front)
    hashes = sorted({_hash_of_half(half.strip().partition(".")[0].lower()) for half in code.split(BETWEEN)})
    if len(hashes) != HELPERS:
        raise _bad_halves()
    async with front.desk.state.reading() as reading:
        if None in [await reading.enrolment(hash_hex) for hash_hex in hashes]:
            raise _bad_halves()
    password_hash = await front.passwords.hash(password)
    async with front.desk.deciding(person) as work:
        halves = [await _take_half(front, work, hash_hex, person) for hash_hex in hashes]
        helpers = sorted({half.issued_by for half in halves})
        if len(helpers) != HELPERS:
            raise _bad_halves()
        now = front.desk.clock.now()
        recovered = await acting_person(work, person)
        for name in helpers:
            _refuse_unfit(front, await acting_person(work, name), recovered)
        secret = front.codes.new_secret()
        await work.lock(LocalCredential, person)
        await work.save(LocalCredential(person, password_hash, secret, 0, now))
        work.record(PersonRecovered(person=person, helpers=tuple(helpers), address=address))
        work.record(EnrolmentUsed(person=person, address=address))
        endings = Endings(work, by=person, reason="the person was recovered", at=now)
        for login in await work.logins(active_at=now, person=person):
            await endings.login(login)
        for passkey in await work.passkeys(person):
            await endings.passkey(passkey)
    return Enrolled(person, secret, front.codes.uri(secret, person))


async def _take_half(front: FrontDesk, work: UnitOfWork, hash_hex: str, person: str) -> Enrolment:
    await work.lock(Enrolment, hash_hex)
    half, now = await work.enrolment(hash_hex), front.desk.clock.now()
    if half is None or half.person != person or half.used_at or not half.issued_at <= now < half.expires_at:
        raise _bad_halves()
    await work.save(replace(half, used_at=now))
    return half


def _refuse_unfit(front: FrontDesk, helper: Person, person: Person) -> None:
    group = front.desk.configuration.recovery
    if not group:
        raise Refusal(
            "no-recovery",
            "Nobody but the operator lets people in again here.",
            "Ask the operator for a code, or name a group under recovery in interlock.yaml.",
        )
    if helper.name == person.name:
        raise Refusal("self-recovery", "Nobody lets themself in again.", f"Ask two of the group {group}.")
    if not (helper.active and helper.is_employee and group in helper.groups):
        raise Refusal("not-yours", f"{helper.name} may not let others in again.", f"Ask two of the group {group}.")


def _hash_of_half(half: str) -> str:
    """Apart from the hash of a whole code, so that no half is ever taken for one."""
    return hash_of(f"half {half}")


def _bad_halves() -> Refusal:
    return Refusal(
        "bad-code",
        "These halves do not let this person in: one is wrong, used, older than an hour, or both are one person's.",
        "Ask two others again: interlock recover PERSON --reason TEXT",
    )
