"""A person proves again, within a login, that they are there: with a fresh one-time code.

Holds to:

* the login is active, and so is the person
* a code works once, over all logins of the person
* five wrong codes in a row end the login. It takes the login's key to try, so nobody is locked out by somebody else:
  the person signs in again, with the password
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from interlock.domain.grants import Login
from interlock.domain.identity_events import LoginStepped, SignInRefused
from interlock.domain.signin import Attempts, LocalCredential
from interlock.errors import Refusal
from interlock.ports.identity import IssuedToken
from interlock.ports.state import UnitOfWork
from interlock.services.attempts import Count, forget
from interlock.services.desk import SYSTEM
from interlock.services.ending_rights import acting_person
from interlock.services.endings import Endings
from interlock.services.front_desk import FrontDesk
from interlock.services.logins import active_login
from interlock.services.sign_in import use_code

T = TypeVar("T")
Then = Callable[[UnitOfWork, Login, datetime], Awaitable[T]]
First = Callable[[UnitOfWork, Login], Awaitable[None]]
WRONG_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class SteppedUp:
    """The login with its fresh proof of presence, and a token that says so."""

    login: Login
    token: IssuedToken


class _WrongCodeError(Exception):
    """The one-time code is not right. Becomes a counted failure outside of the unit of work."""


async def step_up(front: FrontDesk, *, login_id: str, totp: str, address: str) -> SteppedUp:
    """Raises Refusal: ``wrong-code``, ``login-ended``, ``person-ended``."""

    async def step(work: UnitOfWork, login: Login, now: datetime) -> SteppedUp:
        stepped = replace(login, present_at=now)
        await work.save(stepped)
        work.record(LoginStepped(login=login.id, person=login.person, present_at=now))
        return SteppedUp(stepped, front.tokens.issue_for_login(stepped))

    return await with_code(front, login_id=login_id, totp=totp, address=address, then=step)


async def with_code(
    front: FrontDesk,
    *,
    login_id: str,
    totp: str,
    address: str,
    then: Then[T],
    first: First | None = None,
) -> T:
    """What a right code gives, in the unit of work that uses the code up; ``then`` records an event.

    ``first`` may refuse before the code is looked at. Raises Refusal: ``wrong-code``, ``login-ended``,
    ``person-ended``.
    """
    async with front.turnstile.passing(f"login:{login_id}"):
        try:
            return await _with_code(front, login_id, totp, then, first)
        except _WrongCodeError:
            raise await _fail(front, login_id, address) from None


async def _with_code(front: FrontDesk, login_id: str, totp: str, then: Then[T], first: First | None) -> T:
    async with front.desk.state.reading() as reading:
        person = (await active_login(reading, login_id, front.desk.clock.now())).person
    async with front.desk.deciding(person) as work:
        await work.lock(LocalCredential, person)
        now = front.desk.clock.now()
        login = await active_login(work, login_id, now)
        await acting_person(work, login.person)
        if first is not None:
            await first(work, login)
        credential = await work.local_credential(login.person)
        if credential is None or not await use_code(front, work, credential, totp, now):
            raise _WrongCodeError
        await forget(work, _count_of(login_id))
        return await then(work, login, now)


async def _fail(front: FrontDesk, login_id: str, address: str) -> Refusal:
    async with front.desk.ending(SYSTEM) as work:
        now = front.desk.clock.now()
        login = await active_login(work, login_id, now)
        subject = _count_of(login_id).subject
        kept = await work.attempts(subject)
        failures = 1 + (kept.failures if kept is not None else 0)
        await work.save(Attempts(subject, failures, now))
        work.record(SignInRefused(person=login.person, address=address, reason="the one-time code is wrong"))
        if failures >= WRONG_AT_MOST:
            await Endings(work, by=SYSTEM, reason=f"{failures} wrong one-time codes", at=now).login(login)
    if failures >= WRONG_AT_MOST:
        return Refusal(
            "login-ended",
            f"{failures} one-time codes in a row were wrong: this login is over.",
            "Type `interlock login`.",
        )
    return Refusal(
        "wrong-code", "The one-time code is wrong, or was used before.", "Wait for the next one and try again."
    )


def _count_of(login_id: str) -> Count:
    return Count(f"login:{login_id}", WRONG_AT_MOST)
