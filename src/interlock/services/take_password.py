"""A gateway presents a password for one connection and learns whom it stands for.

Holds to:

* a password is taken exactly once, also when two gateways present it in the same moment
* it opens the one resource it was issued for, and nothing once 60 seconds have passed
* the login that it was issued to, and the person, are still active
* a password that is refused is not spent, so that a mistyped resource costs nothing
"""

from dataclasses import replace

from interlock.domain.events import PasswordUsed
from interlock.domain.signin import ConnectionPassword
from interlock.errors import Refusal
from interlock.ports.control import PasswordHolder
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.issue_password import hash_of
from interlock.services.logins import active_login

_REMEDY = "Type `interlock connect RESOURCE --print` for a new one."


async def take_password(desk: Desk, *, gateway: str, password: str, resource: str) -> PasswordHolder:
    """``gateway`` is the gateway's name. Raises Refusal (``bad-password``, ``login-ended``, ``person-ended``)."""
    hash_hex = hash_of(password)
    async with desk.state.changing(f"gateway:{gateway}") as work:
        await work.lock(ConnectionPassword, hash_hex)
        now = desk.clock.now()
        issued = await work.connection_password(hash_hex)
        if issued is None:
            raise Refusal("bad-password", "This password for one connection does not exist.", _REMEDY)
        if issued.used_at is not None:
            raise Refusal("bad-password", "This password for one connection has been used.", _REMEDY)
        if not issued.issued_at <= now < issued.expires_at:
            raise Refusal("bad-password", "This password for one connection is older than 60 seconds.", _REMEDY)
        if issued.resource != resource:
            raise Refusal("bad-password", f"This password for one connection is not for {resource}.", _REMEDY)
        login = await active_login(work, issued.login, now)
        await acting_person(work, login.person)
        await work.save(replace(issued, used_at=now))
        work.record(PasswordUsed(person=login.person, login=login.id, resource=resource))
    return PasswordHolder(login.person, login.id)
