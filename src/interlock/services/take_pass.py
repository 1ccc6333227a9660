"""A gateway spends a pass on one connection: the proof that the person is there, for this very one.

Holds to:

* a pass is spent as often as it was given for and not once more, also when two gateways try in the same moment; all of
  its connections come from the address of the first
* it opens the one resource, for the login that it was given for, under grants that it names and under no other, and
  nothing once its time is over
* with a connection password it was bound to goes that password, and with none the login's certificate
* the login, its key and the person are still what they were, and no grant has ended
* spent before the session opens: whatever happens in between, it is gone, and never comes back
"""

from dataclasses import replace
from datetime import datetime, timedelta

from interlock.domain.grants import Login
from interlock.domain.signin import ConnectionPass
from interlock.domain.work_events import PassUsed
from interlock.errors import Refusal
from interlock.ports.control import PassTaken, Wanted
from interlock.ports.state import UnitOfWork
from interlock.services.ask_pass import refuse_job
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.issue_password import hash_of
from interlock.services.logins import active_login

_TOLD_FOR = timedelta(minutes=10)


async def take_pass(desk: Desk, *, gateway: str, wanted: Wanted) -> PassTaken:
    """Raises Refusal (``presence-needed``, ``job``, ``login-ended``, ``person-ended``)."""
    async with desk.state.changing(f"gateway:{gateway}") as work:
        await work.lock(ConnectionPass, wanted.login)
        now = desk.clock.now()
        login = await active_login(work, wanted.login, now)
        await acting_person(work, login.person)
        refuse_job(login)
        await _refuse_ended(work, login, wanted, now)
        # Some that are over are looked at too: what became of the last one is what the person wants to know.
        found = await work.connection_passes(login=login.id, resource=wanted.resource, since=now - _TOLD_FOR)
        usable = [one for one in found if _why_not(one, login, wanted, now) is None]
        if not wanted.grants or not usable:
            raise _needed(wanted, (_why_not(found[0], login, wanted, now) if found else None) or "none was given")
        # Of several the one that was given first: it ends first.
        spent = replace(usable[-1], used=usable[-1].used + 1, used_at=now, address=wanted.address)
        await work.save(spent)
        work.record(
            PassUsed(
                presence=spent.id,
                person=spent.person,
                login=spent.login,
                resource=spent.resource,
                grants=tuple(wanted.grants),
                address=wanted.address,
                left=spent.connections - spent.used,
            )
        )
    return PassTaken(spent.id, spent.present_at, spent.grants)


async def _refuse_ended(work: UnitOfWork, login: Login, wanted: Wanted, now: datetime) -> None:
    """Raises Refusal (``presence-needed``) unless each grant is the login's own and has not ended."""
    for grant_id in wanted.grants:
        grant = await work.grant(grant_id)
        if grant is None or not grant.active(now) or (grant.person, grant.key) != (login.person, login.key):
            raise _needed(wanted, f"the grant {grant_id} has ended")


def _why_not(one: ConnectionPass, login: Login, wanted: Wanted, now: datetime) -> str | None:
    """Why ``one`` is not for this connection, as a clause; None when it is."""
    if one.password != (hash_of(wanted.password) if wanted.password else ""):
        return "the one that was given goes with another password or certificate"
    if not one.present_at <= now < one.expires_at:
        return f"the one that was given ended at {one.expires_at:%H:%M:%S} UTC"
    if one.used >= one.connections:
        return f"the one that was given was used from {one.address} at {one.used_at:%H:%M:%S} UTC"
    if (one.person, one.key) != (login.person, login.key):
        return "the one that was given is for another key"
    if not set(wanted.grants) <= set(one.grants):
        return "the one that was given is for other grants"
    if one.address not in (None, wanted.address):
        return f"the one that was given is used from {one.address}"
    return None


def _needed(wanted: Wanted, why: str) -> Refusal:
    what = f"interlock connect {wanted.resource}" + (" --print" if wanted.password else "")
    return Refusal(
        "presence-needed",
        f"A connection to {wanted.resource} needs a proof that you are there, for this very connection, and {why}.",
        f"Type: {what}",
    )
