"""Somebody comes with the link of an invitation: first with a key, then, once the sponsor has confirmed, to stay.

Holds to:

* the first key that shows the link is bound to it, also when two come in the same moment; no other key learns anything
  or goes on, and that one tried is written down, once
* a key with which somebody else has signed in is not taken: one key is one person's
* before the sponsor has confirmed, the link opens nothing: it shows the words to read to them, and that is all
* it is used once; then it is over. So it is when it was ended, grew old, or its contract ended or pauses
* unknown, ended, used and old links are one answer
"""

from dataclasses import dataclass, replace
from datetime import datetime

from interlock.domain.identity_events import InvitationOpened, InvitationTried, InvitationUsed
from interlock.domain.people import Contract, Invitation
from interlock.domain.signin import LocalCredential
from interlock.errors import NotFound, Refusal
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.ending_rights import acting_person
from interlock.services.enrol import Enrolled, hash_of
from interlock.services.front_desk import FrontDesk, refuse_without_passwords
from interlock.services.invite import check_invitable, check_invites, contract_that_runs, words_of

_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the person who came with the link is shown. ``with_password`` says whether they choose one to go on."""

    person: str
    contract: str
    vendor: str
    sponsor: str
    invited_by: str
    words: str
    confirmed: bool
    with_password: bool
    expires_at: datetime


async def look_at_invitation(front: FrontDesk, *, code: str, key: str, address: str) -> Arrival:
    """``key`` is the thumbprint that the call was proved with; the first one is bound.

    Raises Refusal (``bad-link``, ``other-key``, ``key-taken``).
    """
    hash_hex = _hash(code)
    async with front.desk.state.reading() as reading:
        found, contract = await _usable(front, reading, hash_hex)
        if found.key == key:
            return _shown(front, found, contract)
        if found.key is not None and found.foreign_at is not None:
            raise _other_key()
    async with front.desk.ending(found.person) as work:
        found, contract = await _usable(front, work, hash_hex)
        opened, ours = await _bind(front, work, found, key, address)
    if not ours:
        raise _other_key()
    return _shown(front, opened, contract)


async def arrive(front: FrontDesk, *, code: str, key: str, password: str, address: str) -> Enrolled:
    """The confirmed person sets a password and gets a TOTP secret.

    Raises Refusal (``bad-link``, ``other-key``, ``not-confirmed``, ``no-passwords``, ``weak-password``).
    """
    refuse_without_passwords(front)
    hash_hex = _hash(code)
    async with front.desk.state.reading() as reading:
        before, contract = await _usable(front, reading, hash_hex)
        _check_confirmed(before, contract, key)
    password_hash = await front.passwords.hash(password)
    async with front.desk.deciding(before.person) as work:
        found, contract = await _usable(front, work, hash_hex)
        _check_confirmed(found, contract, key)
        now = front.desk.clock.now()
        await acting_person(work, found.person)
        check_invites(front.desk, contract)
        await check_invitable(work, contract, found.person)
        await work.lock(LocalCredential, found.person)
        secret = front.codes.new_secret()
        await work.save(LocalCredential(found.person, password_hash, secret, 0, now))
        await work.save(replace(found, used_at=now))
        work.record(InvitationUsed(invitation=found.id, person=found.person, address=address))
    return Enrolled(found.person, secret, front.codes.uri(secret, found.person))


async def _bind(
    front: FrontDesk, work: UnitOfWork, found: Invitation, key: str, address: str
) -> tuple[Invitation, bool]:
    """Bind the key, or note that a second one came; False then."""
    now = front.desk.clock.now()
    if found.key is not None:
        if found.key != key and found.foreign_at is None:
            await work.save(replace(found, foreign_at=now))
            work.record(InvitationTried(invitation=found.id, person=found.person, key=key, address=address))
        return found, found.key == key
    if any(login.person != found.person for login in await work.logins(key=key)):
        raise Refusal(
            "key-taken",
            "Somebody else has signed in with this very key: one key is one person's.",
            "Open the link in a browser, or with a home, of your own.",
        )
    opened = replace(found, key=key, opened_at=now, address=address)
    await work.save(opened)
    work.record(InvitationOpened(invitation=found.id, person=found.person, key=key, address=address))
    return opened, True


async def _usable(front: FrontDesk, reading: Reading, hash_hex: str) -> tuple[Invitation, Contract]:
    now = front.desk.clock.now()
    found = await reading.invitation_of(hash_hex)
    if found is None or not found.open(now):
        raise _bad_link()
    try:
        return found, await contract_that_runs(reading, found.contract, now)
    except (NotFound, Refusal):
        raise _bad_link() from None


def _check_confirmed(found: Invitation, contract: Contract, key: str) -> None:
    if found.key != key:
        raise _other_key()
    if found.confirmed_at is None:
        raise Refusal(
            "not-confirmed",
            f"{contract.sponsor} has not confirmed you yet.",
            f"Read them these words: {words_of(found)}",
        )


def _shown(front: FrontDesk, found: Invitation, contract: Contract) -> Arrival:
    return Arrival(
        person=found.person,
        contract=contract.name,
        vendor=contract.vendor,
        sponsor=contract.sponsor,
        invited_by=found.invited_by,
        words=words_of(found),
        confirmed=found.confirmed_at is not None,
        with_password=front.desk.configuration.passwords,
        expires_at=found.expires_at,
    )


def _hash(code: str) -> str:
    if len(code) > _LONGEST_TEXT:
        raise _bad_link()
    return hash_of(code.strip().partition(".")[0].lower())


def _bad_link() -> Refusal:
    return Refusal(
        "bad-link",
        "This link opens nothing: it is wrong, used, ended, older than a week, or its contract does not run.",
        "Ask who gave it to you for a new one.",
    )


def _other_key() -> Refusal:
    return Refusal(
        "other-key",
        "This link was opened before, with another key: on another machine, or by somebody else.",
        "If that was not you, tell the sponsor of your contract now, and ask for a new link.",
    )
