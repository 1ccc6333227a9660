"""A person's passkeys: added, used to sign in, used to prove presence for one request, ended.

Holds to:

* each ceremony has a challenge of its own, lasts two minutes, and is finished once, by the very key that began it
* a passkey is added in a login whose proof of presence is fresh (a one-time code, or another passkey): a password alone
  adds none. One authenticator's credential is one person's
* the authenticator verified the person, each time; a signature counter that goes back ends the passkey: it was copied
* who signs in with a passkey has proved presence; the rules of sign-in on persons, contracts and keys hold
* for an approval the challenge is made of the request's digest: the passkey signs what the person was shown, and the
  signature serves nothing else; one for a connection serves that connection alone (``give_pass``). Who has a passkey
  approves and connects with it, and not with a code that serves everything
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from interlock.domain.grants import Login
from interlock.domain.identity_events import LoginStepped, PasskeyAdded, PasskeyUsed
from interlock.domain.oauth import Passkey
from interlock.domain.plain_text import written_out
from interlock.errors import NotFound, Refusal
from interlock.ports.identity import IssuedToken, PasskeyChecking
from interlock.ports.state import UnitOfWork, WaitingRoom
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.endings import Endings
from interlock.services.front_desk import FrontDesk
from interlock.services.logins import active_login, check_presence
from interlock.services.sign_in import end_of_login, person_who_may, start_login

CEREMONY_LIFETIME = timedelta(minutes=2)
MOST_PASSKEYS = 10
REQUEST = "request"
"""What a signature over a digest is for, unless told."""


@dataclass(frozen=True, slots=True)
class PasskeyDesk:
    """What the ceremonies work with."""

    front: FrontDesk
    checking: PasskeyChecking
    waiting: WaitingRoom

    @property
    def desk(self) -> Desk:
        return self.front.desk


@dataclass(frozen=True, slots=True)
class Ceremony:
    """``id`` names it; ``options`` are for the browser's ``navigator.credentials``."""

    id: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a browser brings back."""

    ceremony: str
    credential: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Touch:
    """What a browser brought back for one ceremony, which is over; ``purpose`` is what it was for."""

    shown: Shown
    challenge: bytes
    purpose: str


async def begin_adding(keys: PasskeyDesk, *, login_id: str) -> Ceremony:
    """Raises Refusal (``presence-needed``, ``too-many-passkeys``)."""
    desk = keys.desk
    async with desk.state.reading() as reading:
        now = desk.clock.now()
        login = await active_login(reading, login_id, now)
        check_presence(login, now, desk.configuration.timing.presence)
        known = [passkey.id for passkey in await reading.passkeys(login.person)]
    if len(known) >= MOST_PASSKEYS:
        raise Refusal("too-many-passkeys", f"Nobody has more than {MOST_PASSKEYS} passkeys.", "End one first.")
    challenge = secrets.token_bytes(32)
    options = keys.checking.registration_options(challenge, login.person, known)
    return await _begin(keys, "add", login.key, challenge, options, f"ceremony {login.person}")


async def add_passkey(keys: PasskeyDesk, *, login_id: str, shown: Shown, name: str) -> Passkey:
    """Raises Refusal (``wrong-passkey``, ``passkey-taken``)."""
    desk = keys.desk
    name = written_out(name.strip())[:100] or "passkey"
    async with desk.state.reading() as reading:
        login = await active_login(reading, login_id, desk.clock.now())
    challenge = await _finish(keys, "add", login.key, shown)
    made = keys.checking.check_registration(shown.credential, challenge)
    async with desk.deciding(login.person) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        await acting_person(work, login.person)
        check_presence(login, now, desk.configuration.timing.presence)
        if await work.passkey(made.id) is not None:
            raise Refusal("passkey-taken", "This passkey is known already.", "Use another authenticator.")
        passkey = Passkey(made.id, login.person, made.public_key, made.uses, name, now)
        await work.save(passkey)
        work.record(PasskeyAdded(person=login.person, passkey=passkey.id, name=name))
    return passkey


async def begin_sign_in(keys: PasskeyDesk, *, key: str, network: str) -> Ceremony:
    """Names nobody: the authenticator finds the credential. ``key`` is the thumbprint that the call was proved with."""
    challenge = secrets.token_bytes(32)
    return await _begin(keys, "sign-in", key, challenge, keys.checking.assertion_options(challenge, []), network)


async def sign_in_with_passkey(keys: PasskeyDesk, *, key: str, shown: Shown, address: str) -> tuple[Login, IssuedToken]:
    """A login with the key of the call, with a proof of presence of now."""
    desk = keys.desk
    challenge = await _finish(keys, "sign-in", key, shown)
    async with desk.state.reading() as reading:
        passkey = await reading.passkey(_id_of(shown))
    if passkey is None:
        raise _unknown()
    async with desk.deciding(passkey.person) as work:
        now = desk.clock.now()
        copied = await _use(keys, work, passkey.id, shown, challenge, "sign-in", now)
        if not copied:
            contracts = await work.contracts()
            person = await person_who_may(work, passkey.person, contracts, now)
            ends_at = end_of_login(person, contracts, now, desk.configuration.timing.login)
            login = await start_login(
                work, person=person.name, key=key, ends_at=ends_at, present_at=now, address=address, now=now
            )
    if copied:
        raise refuse_copied()
    return login, keys.front.tokens.issue_for_login(login)


async def begin_presence(keys: PasskeyDesk, *, login_id: str, digest: str, of: str = REQUEST) -> Ceremony:
    """``digest`` is that of what is proved (``of``: a request to be approved, a connection); empty for presence in this
    login, which approves and connects nothing."""
    desk = keys.desk
    async with desk.state.reading() as reading:
        login = await active_login(reading, login_id, desk.clock.now())
        known = [passkey.id for passkey in await reading.passkeys(login.person)]
    if not known:
        raise Refusal("no-passkey", f"{login.person} has no passkey.", "Use a one-time code, or add a passkey.")
    purpose = _purpose(login, digest, of)
    challenge = hashlib.sha256(b"interlock presence\0" + secrets.token_bytes(32) + purpose.encode()).digest()
    options = keys.checking.assertion_options(challenge, known)
    return await _begin(keys, purpose, login.key, challenge, options, f"ceremony {login.person}")


async def finish_presence(keys: PasskeyDesk, *, login_id: str, digest: str, shown: Shown, of: str) -> Touch:
    """The ceremony that was begun for exactly this, ended. Raises Refusal (``ceremony-over``)."""
    async with keys.desk.state.reading() as reading:
        login = await active_login(reading, login_id, keys.desk.clock.now())
    purpose = _purpose(login, digest, of)
    return Touch(shown, await _finish(keys, purpose, login.key, shown), purpose)


async def use_touch(keys: PasskeyDesk, work: UnitOfWork, login: Login, touch: Touch, now: datetime) -> str | None:
    """The passkey of the login's person that signed, written down as used.

    None: it was copied, and has ended. The caller keeps that, gives nothing for it, and raises :func:`refuse_copied`.
    """
    passkey = await _own(work, login, touch.shown)
    copied = await _use(keys, work, passkey, touch.shown, touch.challenge, touch.purpose, now)
    return None if copied else passkey


async def step_up_with_passkey(keys: PasskeyDesk, *, login_id: str, shown: Shown) -> tuple[Login, IssuedToken]:
    """A fresh proof of presence within a login."""
    desk = keys.desk
    async with desk.state.reading() as reading:
        login = await active_login(reading, login_id, desk.clock.now())
    challenge = await _finish(keys, _purpose(login, "", REQUEST), login.key, shown)
    async with desk.deciding(login.person) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        await acting_person(work, login.person)
        passkey = await _own(work, login, shown)
        copied = await _use(keys, work, passkey, shown, challenge, f"login {login.id}", now)
        if not copied:
            login = replace(login, present_at=now)
            await work.save(login)
            work.record(LoginStepped(login=login.id, person=login.person, present_at=now))
    if copied:
        raise refuse_copied()
    return login, keys.front.tokens.issue_for_login(login)


async def prove_for_request(keys: PasskeyDesk, *, login_id: str, digest: str, shown: Shown) -> datetime:
    """When the person's passkey signed for exactly this digest: now. Raises Refusal."""
    desk = keys.desk
    async with desk.state.reading() as reading:
        person = (await active_login(reading, login_id, desk.clock.now())).person
    touch = await finish_presence(keys, login_id=login_id, digest=digest, shown=shown, of=REQUEST)
    async with desk.deciding(person) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        passkey = await use_touch(keys, work, login, touch, now)
    if passkey is None:
        raise refuse_copied()
    return now


async def list_passkeys(desk: Desk, *, person: str) -> tuple[Passkey, ...]:
    async with desk.state.reading() as reading:
        return tuple(await reading.passkeys(person))


async def end_passkey(desk: Desk, *, by: str, passkey_id: str, reason: str) -> Passkey:
    """A person ends their own. Raises NotFound."""
    async with desk.ending(by) as work:
        passkey = await work.passkey(passkey_id)
        if passkey is None or passkey.person != by or passkey.ended_at is not None:
            raise NotFound("There is no such passkey of yours.", "See the page /sign-in.")
        await Endings(work, by=by, reason=reason, at=desk.clock.now()).passkey(passkey)
    return passkey


async def _begin(
    keys: PasskeyDesk, purpose: str, key: str, challenge: bytes, options: Mapping[str, Any], origin: str
) -> Ceremony:
    number = secrets.token_urlsafe(24)
    kept = {"purpose": purpose, "key": key, "challenge": base64.b64encode(challenge).decode()}
    until = keys.desk.clock.now() + CEREMONY_LIFETIME
    await keys.waiting.put(f"ceremony {number}", kept, until=until, origin=origin)
    return Ceremony(number, options)


async def _finish(keys: PasskeyDesk, purpose: str, key: str, shown: Shown) -> bytes:
    """The challenge, once."""
    kept = await keys.waiting.take(f"ceremony {shown.ceremony}")
    if kept is None or (kept["purpose"], kept["key"]) != (purpose, key):
        raise Refusal("ceremony-over", "This ceremony is over, or was begun for something else.", "Begin again.")
    return base64.b64decode(str(kept["challenge"]))


async def _use(
    keys: PasskeyDesk, work: UnitOfWork, passkey_id: str, shown: Shown, challenge: bytes, purpose: str, now: datetime
) -> bool:
    """Check the signature and write its use down. True: the passkey was copied, and has ended; the caller refuses."""
    passkey = await work.passkey(passkey_id)
    if passkey is None or passkey.ended_at is not None:
        raise _unknown()
    # The counter is compared here: a copy is an event, not only a refusal.
    uses = keys.checking.check_assertion(shown.credential, challenge, passkey.public_key, 0)
    if (uses or passkey.uses) and uses <= passkey.uses:
        reason = "its counter went back: it was copied"
        await Endings(work, by=passkey.person, reason=reason, at=now).passkey(passkey)
        return True
    await work.save(replace(passkey, uses=uses, used_at=now))
    work.record(PasskeyUsed(person=passkey.person, passkey=passkey.id, purpose=purpose))
    return False


async def _own(work: UnitOfWork, login: Login, shown: Shown) -> str:
    passkey = await work.passkey(_id_of(shown))
    if passkey is None or passkey.person != login.person:
        raise _unknown()
    return passkey.id


def _id_of(shown: Shown) -> str:
    found = shown.credential.get("id")
    return found if isinstance(found, str) and len(found) <= 1400 else ""


def _purpose(login: Login, digest: str, of: str) -> str:
    return f"{of} {digest}" if digest else f"login {login.id}"


def _unknown() -> Refusal:
    return Refusal("wrong-passkey", "This passkey is not known here, or has been ended.", "Sign in another way.")


def refuse_copied() -> Refusal:
    return Refusal(
        "passkey-copied", "This passkey exists twice: its counter went back. It has been ended.", "Add a new one."
    )
