"""An identity provider says that somebody's sessions or account ended there: then they end here.

Holds to:

* only of the person to whom that provider's subject is linked; one who is nobody here is nobody's business
* signed out there: every login here ends, and what clients were allowed in it
* disabled there: the grants, passkeys, agents and open requests end too, and no password of the person's works any
  more. The person stays: who is enabled again signs in there again, and has nothing of what they had
* nothing is given by a signal, and what it ends is in the ledger under the provider's name
"""

from dataclasses import replace

from interlock.domain.grants import RequestState
from interlock.domain.identity_events import PasswordEnded
from interlock.services.desk import Desk
from interlock.services.endings import MANY, Ended, Endings, with_positions
from interlock.services.sign_in_elsewhere import KIND


async def take_signal(desk: Desk, *, provider: str, subject: str, disabled: bool) -> tuple[Ended, ...]:
    """``subject`` is ``ISSUER SUBJECT``, as identities are kept. What ended, in ledger order."""
    by = f"provider:{provider}"
    async with desk.ending(by) as work:
        now = desk.clock.now()
        identity = await work.identity(KIND, subject)
        if identity is None:
            return ()
        name = identity.person
        head = await work.ledger_head()
        reason = f"{provider} says that the {'account was disabled' if disabled else 'session was ended'}"
        endings = Endings(work, by=by, reason=reason, at=now)
        for login in await work.logins(active_at=now, person=name):
            await endings.login(login)
        if disabled:
            for grant in await work.grants(active_at=now, person=name, limit=MANY):
                await endings.grant(grant)
            for passkey in await work.passkeys(name):
                await endings.passkey(passkey)
            for agent in await work.oauth_clients(owner=name):
                await endings.client(agent)
            for request in await work.requests(state=RequestState.OPEN, person=name, limit=MANY):
                await endings.request(request, RequestState.WITHDRAWN)
            credential = await work.local_credential(name)
            if credential is not None and credential.password_hash:
                await work.save(replace(credential, password_hash="", totp_secret=None))
                work.record(PasswordEnded(person=name, reason=reason))
    return await with_positions(desk.state, head, endings.ended)
