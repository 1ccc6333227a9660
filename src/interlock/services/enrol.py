"""A person gets their first password and TOTP secret, with a one-time code that the operator handed over.

Holds to:

* a code is made on the control plane's own machine, for a person who is known and has not left; it has 128 random bits,
  is kept as its SHA-256 only, lasts a day, and every one of them is in the ledger under the person's name
* the code's text carries the authority's fingerprint, so that a client knows whom it talks to at first contact
* no code is made or taken where the configuration lets nobody have a password
* a code is used once, also when two use it in the same moment, and only for the person it was made for
* using it replaces the password and the TOTP secret and ends every login of the person: whoever had the old ones is out
* what is wrong with a code is not told: unknown, used, too old and another person's are one answer
"""

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta

from interlock.domain.identity_events import EnrolmentIssued, EnrolmentUsed
from interlock.domain.signin import Enrolment, LocalCredential
from interlock.errors import Refusal
from interlock.services.ending_rights import acting_person
from interlock.services.endings import Endings
from interlock.services.front_desk import FrontDesk, refuse_without_passwords

LIFETIME = timedelta(days=1)
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """``text`` is ``CODE.FINGERPRINT``, shown once."""

    text: str = field(repr=False)
    person: str
    enrolment: Enrolment


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The person's new TOTP secret, shown once, alone and as an ``otpauth`` URI."""

    person: str
    totp_secret: str = field(repr=False)
    totp_uri: str = field(repr=False)


async def issue_enrolment(front: FrontDesk, *, person: str, by: str) -> IssuedCode:
    """``by`` says who made the code, such as ``operator``. Raises NotFound, or Refusal (``person-ended``)."""
    refuse_without_passwords(front)
    async with front.desk.state.changing(by) as work:
        now = front.desk.clock.now()
        await acting_person(work, person)
        code = secrets.token_hex(16)
        enrolment = Enrolment(hash_of(code), person, by, now, now + LIFETIME)
        await work.save(enrolment)
        work.record(EnrolmentIssued(person=person, by=by, expires_at=enrolment.expires_at))
    return IssuedCode(f"{code}.{front.authority.fingerprint}", person, enrolment)


async def enrol(front: FrontDesk, *, person: str, code: str, password: str, address: str) -> Enrolled:
    """``code`` with or without the fingerprint behind it. Raises Refusal (``bad-code``, ``weak-password``)."""
    refuse_without_passwords(front)
    if len(code) > _LONGEST_TEXT:
        raise _bad_code()
    hash_hex = hash_of(code.strip().partition(".")[0].lower())
    async with front.desk.state.reading() as reading:
        _check(await reading.enrolment(hash_hex), person, front)
    password_hash = await front.passwords.hash(password)
    async with front.desk.ending(person) as work:
        await work.lock(Enrolment, hash_hex)
        await work.lock(LocalCredential, person)
        now = front.desk.clock.now()
        enrolment = _check(await work.enrolment(hash_hex), person, front)
        await acting_person(work, person)
        secret = front.codes.new_secret()
        await work.save(replace(enrolment, used_at=now))
        await work.save(LocalCredential(person, password_hash, secret, 0, now))
        work.record(EnrolmentUsed(person=person, address=address))
        endings = Endings(work, by=person, reason="the person enrolled anew", at=now)
        for login in await work.logins(active_at=now, person=person):
            await endings.login(login)
    return Enrolled(person, secret, front.codes.uri(secret, person))


def hash_of(code: str) -> str:
    """SHA-256 (hex). The code has 128 random bits: a slow hash would protect nothing more."""
    return hashlib.sha256(code.encode(errors="replace")).hexdigest()


def _check(enrolment: Enrolment | None, person: str, front: FrontDesk) -> Enrolment:
    if enrolment is None or enrolment.person != person or enrolment.used_at is not None:
        raise _bad_code()
    if not enrolment.issued_at <= front.desk.clock.now() < enrolment.expires_at:
        raise _bad_code()
    return enrolment


def _bad_code() -> Refusal:
    return Refusal(
        "bad-code",
        "This code does not enrol this person: it is wrong, used, older than a day, or somebody else's.",
        "Ask the operator of the control plane for a new one (`interlock enrol PERSON`).",
    )
