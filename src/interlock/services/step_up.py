"""A person proves again, within a login, that they are there: with a fresh one-time code.

Holds to:

* the login is active, and so is the person
* a code works once, over all logins of the person
* five wrong codes in a row end the login. It takes the login's key to try, so nobody is locked out by somebody else:
  the person signs in again, with the password
"""

from dataclasses import dataclass, replace

from interlock.domain.grants import Login
from interlock.domain.identity_events import LoginStepped, SignInRefused
from interlock.domain.signin import Attempts, LocalCredential
from interlock.errors import Refusal
from interlock.ports.identity import IssuedToken
from interlock.services.attempts import Count, forget
from interlock.services.desk import SYSTEM
from interlock.services.ending_rights import acting_person
from interlock.services.endings import Endings
from interlock.services.front_desk import FrontDesk
from interlock.services.logins import active_login
from interlock.services.sign_in import use_code

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
    async with front.turnstile.passing(f"login:{login_id}"):
        try:
            return await _step_up(front, login_id, totp)
        except _WrongCodeError:
            raise await _fail(front, login_id, address) from None


async def _step_up(front: FrontDesk, login_id: str, totp: str) -> SteppedUp:
    async with front.desk.state.reading() as reading:
        person = (await active_login(reading, login_id, front.desk.clock.now())).person
    async with front.desk.deciding(person) as work:
        await work.lock(LocalCredential, person)
        now = front.desk.clock.now()
        login = await active_login(work, login_id, now)
        await acting_person(work, login.person)
        credential = await work.local_credential(login.person)
        if credential is None or not await use_code(front, work, credential, totp, now):
            raise _WrongCodeError
        stepped = replace(login, present_at=now)
        await work.save(stepped)
        await forget(work, _count_of(login_id))
        work.record(LoginStepped(login=login.id, person=login.person, present_at=now))
    return SteppedUp(stepped, front.tokens.issue_for_login(stepped))


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
