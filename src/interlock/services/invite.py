"""A person of a contract is brought in: one employee gives the link, the sponsor confirms who came with it.

Holds to:

* two bring somebody in, never one: who gives the link is an employee, present, and not the contract's sponsor; who
  confirms is the sponsor, present, and not who gave the link. A new person is a new voice, so nobody makes one alone
* the person comes from the contract's vendor and is among those it covers; who has left never comes back under that
  name, another spelling of a known name is nobody, and who has come in already recovers instead (``recover``)
* a link has 128 random bits, is kept as its SHA-256 only, lasts a week, and a new one ends the last
* the sponsor says the words that the person sees on their own screen: they are made of the key that is bound to the
  link. A link that went astray shows other words, or none. The key is nobody else's, the sponsor's neither
* a contract that has ended or pauses brings nobody in; neither does a link of somebody who has left meanwhile, nor one
  of a contract under which the policy lets nobody be invited
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from interlock.domain.identity_events import InvitationConfirmed, InvitationEnded, PersonInvited
from interlock.domain.people import Contract, Invitation, Person
from interlock.domain.rights_events import PersonAdded
from interlock.errors import NotFound, Refusal
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.enrol import hash_of
from interlock.services.front_desk import FrontDesk
from interlock.services.ids import new_id
from interlock.services.logins import active_login, check_presence
from interlock.services.requests import check_reason

LIFETIME = timedelta(days=7)
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+@-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Invited:
    """``text`` is ``CODE.FINGERPRINT``, what stands in the link behind the ``#``; shown once."""

    text: str = field(repr=False)
    invitation: Invitation


async def invite(front: FrontDesk, *, login_id: str, contract: str, person: str) -> Invited:
    """Raises Refusal: ``sponsor-confirms``, ``not-employee``, ``not-covered``, ``here-already``, ``bad-name`` …"""
    desk = front.desk
    async with desk.state.reading() as reading:
        by = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(by) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        actor = await acting_person(work, by)
        if not actor.is_employee:
            raise Refusal("not-employee", f"{by} comes from {actor.vendor}: employees invite.", "Ask one.")
        found = await contract_that_runs(work, contract, now)
        check_invites(desk, found)
        if found.sponsor == by:
            raise Refusal(
                "sponsor-confirms",
                f"{by} answers for {contract} and confirms who comes; another employee gives the link.",
                f"Ask a colleague: interlock contract invite {contract} {person}",
            )
        await check_invitable(work, found, person)
        check_presence(login, now, desk.configuration.timing.presence)
        for other in await work.invitations(person=person):
            if other.open(now):
                await _end(work, other, now, "a newer one was given")
        code = secrets.token_hex(16)
        while await work.invitation(number := new_id("i")) is not None:
            continue
        invitation = Invitation(number, hash_of(code), contract, person, by, now, min(now + LIFETIME, found.end))
        await work.save(invitation)
        work.record(
            PersonInvited(
                invitation=invitation.id, contract=contract, person=person, by=by, expires_at=invitation.expires_at
            )
        )
    return Invited(f"{code}.{front.authority.fingerprint}", invitation)


async def confirm_invited(desk: Desk, *, login_id: str, invitation_id: str, words: str) -> Invitation:
    """``words`` are what the person said that their screen shows.

    Raises Refusal: ``not-yours``, ``other-words``, ``self-approval``, ``presence-needed``, ``over`` …
    """
    async with desk.state.reading() as reading:
        by = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(by) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        await acting_person(work, by)
        found = await work.invitation(invitation_id)
        if found is None:
            raise NotFound(f"There is no invitation {invitation_id}.", "See: interlock contract invitations")
        contract = await contract_that_runs(work, found.contract, now)
        check_invites(desk, contract)
        _check_confirmable(found, contract, by, words, now)
        await _check_both(work, found, login.key)
        await check_invitable(work, contract, found.person)
        present_at = check_presence(login, now, desk.configuration.timing.presence)
        made = await work.person(found.person) is None
        if made:
            await work.save(Person(found.person, vendor=contract.vendor))
            work.record(PersonAdded(person=found.person, vendor=contract.vendor, groups=()))
        confirmed = replace(found, confirmed_by=by, confirmed_at=now, made=made)
        await work.save(confirmed)
        work.record(
            InvitationConfirmed(
                invitation=found.id,
                contract=found.contract,
                person=found.person,
                by=by,
                key=found.key or "",
                present_at=present_at,
            )
        )
    return confirmed


async def end_invitation(desk: Desk, *, by: str, invitation_id: str, reason: str) -> Invitation:
    """Who gave it, the contract's sponsor, and administrators. Raises Refusal (``not-yours``, ``over``)."""
    reason = check_reason(reason)
    async with desk.ending(by) as work:
        now = desk.clock.now()
        actor = await acting_person(work, by)
        found = await work.invitation(invitation_id)
        if found is None or not await _may_see(work, actor, found):
            raise NotFound(f"There is no invitation {invitation_id} of yours.", "See: interlock contract invitations")
        if not found.open(now):
            raise Refusal("over", f"{invitation_id} opens nothing any more.", "See: interlock contract invitations")
        return await _end(work, found, now, reason)


async def list_invitations(desk: Desk, *, person: str) -> Sequence[Invitation]:
    """Those that can be gone on with, that the person gave, answers for, or oversees as an administrator."""
    async with desk.state.reading() as reading:
        actor = await acting_person(reading, person)
        now = desk.clock.now()
        return [one for one in await reading.invitations() if one.open(now) and await _may_see(reading, actor, one)]


def words_of(invitation: Invitation) -> str:
    """What the person reads to the sponsor: forty bits of the invitation and the key that is bound to it."""
    digest = hashlib.sha256(f"interlock invitation\0{invitation.id}\0{invitation.key}".encode()).digest()
    letters = base64.b32encode(digest).decode()[:8]
    return f"{letters[:4]}-{letters[4:]}"


async def contract_that_runs(reading: Reading, name: str, now: datetime) -> Contract:
    """Raises NotFound, or Refusal (``over``) for one that has ended or pauses."""
    contract = await reading.contract(name)
    if contract is None:
        raise NotFound(f"There is no contract {name}.", "See `interlock contracts`.")
    if contract.ended_at is not None or now >= contract.end or contract.paused_at is not None:
        raise Refusal("over", f"The contract {name} has ended, or pauses.", "See `interlock contracts`.")
    return contract


def check_invites(desk: Desk, contract: Contract) -> None:
    """Raises Refusal (``no-invitations``) where the policy says that nobody is invited under ``contract``."""
    if contract.name in desk.configuration.uninvited:
        raise Refusal(
            "no-invitations",
            f"Nobody is invited under {contract.name}: interlock.yaml says so.",
            "Its people come in through your identity provider, or with the operator's code: interlock enrol PERSON",
        )


async def check_invitable(reading: Reading, contract: Contract, name: str) -> None:
    """Raises Refusal unless ``name`` may come in under ``contract`` and has not."""
    if _PERSON.fullmatch(name) is None:
        raise Refusal("bad-name", "That is no name of a person.", "Give an e-mail address.")
    person = await reading.person(name)
    if person is None:
        same = next((p.name for p in await reading.people() if p.name.lower() == name.lower()), None)
        if same is not None:
            # One human in two spellings would be two voices.
            raise Refusal("bad-name", f"{name} is another spelling of {same}, who is known here.", f"Invite {same}.")
    elif not person.active:
        raise Refusal(
            "person-ended",
            f"{name} has been offboarded, and never comes back under that name.",
            "Ask an administrator if that was a mistake.",
        )
    if not contract.covers(person or Person(name, vendor=contract.vendor)):
        raise Refusal(
            "not-covered",
            f"{contract.name} does not cover {name}.",
            "It covers people of its vendor, or those whom it names: see interlock.yaml.",
        )
    if person is not None and await _came_in(reading, name):
        raise Refusal(
            "here-already", f"{name} has come in already.", "What was lost is recovered: interlock recover PERSON"
        )


async def _came_in(reading: Reading, name: str) -> bool:
    if await reading.local_credential(name) is not None or await reading.passkeys(name):
        return True
    return bool(await reading.logins(person=name))


def _check_confirmable(found: Invitation, contract: Contract, by: str, words: str, now: datetime) -> None:
    if contract.sponsor != by:
        raise Refusal("not-yours", f"{contract.sponsor} answers for {contract.name}.", f"Ask {contract.sponsor}.")
    if by in (found.invited_by, found.person):
        raise Refusal(
            "self-approval", "Who gave the link does not confirm who came with it.", "Another employee gives a new one."
        )
    if not found.open(now) or found.confirmed_at is not None:
        raise Refusal("over", f"{found.id} is used, over, or confirmed already.", "See: interlock contract invitations")
    if found.key is None:
        raise Refusal(
            "not-opened", f"{found.person} has not opened the link yet.", "Wait until they read you the words."
        )
    if not secrets.compare_digest(_letters(words).encode(), _letters(words_of(found)).encode()):
        raise Refusal(
            "other-words",
            f"These are not the words that belong to the key of {found.id}.",
            "If the person reads them so, somebody else has their link: "
            f"interlock contract uninvite {found.id}, and give a new one.",
        )


async def _check_both(work: UnitOfWork, found: Invitation, key: str) -> None:
    inviter = await work.person(found.invited_by)
    if inviter is None or not inviter.active or not inviter.is_employee:
        raise Refusal("over", f"{found.invited_by}, who gave the link, has left.", "Another employee gives a new one.")
    if found.key == key or any(login.person != found.person for login in await work.logins(key=found.key)):
        raise Refusal(
            "same-key",
            "The link was opened with a key that is somebody else's.",
            "Each opens it on a machine of theirs.",
        )


async def _may_see(reading: Reading, actor: Person, found: Invitation) -> bool:
    if is_administrator(actor) or actor.name == found.invited_by:
        return True
    contract = await reading.contract(found.contract)
    return contract is not None and contract.sponsor == actor.name


async def _end(work: UnitOfWork, found: Invitation, now: datetime, reason: str) -> Invitation:
    ended = replace(found, ended_at=now)
    await work.save(ended)
    work.record(InvitationEnded(invitation=found.id, person=found.person, reason=reason))
    return ended


def _letters(words: str) -> str:
    return "".join(letter for letter in words.upper() if letter.isascii() and letter.isalnum())[:16]
