"""A person signs out: the login ends, and the certificate and tokens that rest on it with it.

Holds to:

* a person ends their own logins, this one or another
* grants stay: they are bound to the key, and another login with that key may use them until their window ends
"""

from interlock.domain.grants import Login
from interlock.errors import NotFound, Refusal
from interlock.services.desk import Desk
from interlock.services.endings import Endings


async def end_login(desk: Desk, *, by: str, login_id: str, reason: str = "signed out") -> Login:
    """The login as it was. Raises NotFound, or Refusal (``login-ended``)."""
    async with desk.ending(by) as work:
        now = desk.clock.now()
        login = await work.login(login_id)
        if login is None or login.person != by:
            raise NotFound(f"There is no login {login_id} of yours.", "See `interlock whoami`.")
        if not login.active(now):
            raise Refusal("login-ended", "This login is over already.", "Type `interlock login`.")
        await Endings(work, by=by, reason=reason, at=now).login(login)
    return login
