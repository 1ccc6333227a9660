"""A gateway presents a short-lived password and learns whom it stands for.

Holds to:

* a password is taken as often as it was issued for and not once more, also when two gateways present it in the same
  moment; all of its connections come from the address of the first
* it opens the one resource it was issued for, and nothing once 60 seconds have passed
* the login that it was issued to, and the person, are still active
* a password that is refused is not spent, so that a mistyped resource costs nothing
"""

from dataclasses import replace
from datetime import datetime

from interlock.domain.signin import ConnectionPassword
from interlock.domain.work_events import PasswordUsed
from interlock.errors import Refusal
from interlock.ports.control import PasswordHolder
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.issue_password import hash_of
from interlock.services.logins import active_login

_REMEDY = "Type `interlock connect RESOURCE --print` for a new one."


async def take_password(desk: Desk, *, gateway: str, password: str, resource: str, address: str) -> PasswordHolder:
    """``gateway`` is the gateway's name, ``address`` the client's as the gateway sees it.

    Raises Refusal (``bad-password``, ``login-ended``, ``person-ended``).
    """
    hash_hex = hash_of(password)
    async with desk.state.changing(f"gateway:{gateway}") as work:
        await work.lock(ConnectionPassword, hash_hex)
        now = desk.clock.now()
        issued = await work.connection_password(hash_hex)
        if issued is None:
            raise _bad("does not exist")
        _check(issued, resource, address, now)
        login = await active_login(work, issued.login, now)
        await acting_person(work, login.person)
        used = replace(issued, used_at=now, used=issued.used + 1, address=address)
        await work.save(used)
        left = used.connections - used.used
        work.record(PasswordUsed(person=login.person, login=login.id, resource=resource, address=address, left=left))
    return PasswordHolder(login.person, login.id)


def _check(issued: ConnectionPassword, resource: str, address: str, now: datetime) -> None:
    """Raises Refusal (``bad-password``)."""
    if issued.used >= issued.connections:
        times = "" if issued.connections == 1 else f" for all of its {issued.connections} connections"
        raise _bad(f"has been used{times}")
    if not issued.issued_at <= now < issued.expires_at:
        raise _bad("is older than 60 seconds")
    if issued.resource != resource:
        raise _bad(f"is not for {resource}")
    if issued.address not in (None, address):
        raise _bad("was first used from another address")


def _bad(why: str) -> Refusal:
    return Refusal("bad-password", f"This password {why}.", _REMEDY)
