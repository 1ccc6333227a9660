"""The person gives the proof of presence that a connection waits for: a touch of a passkey, or a one-time code.

Holds to:

* only the person for whom it was asked gives it, in an active login of their own: in the one that connects, or in a
  browser. An agent or a job has no such login
* the passkey signs a challenge made of the digest of what was asked; the signature serves no other connection, and no
  approval. Who has a passkey proves with it, and not with a code that says nothing of what it is for
* a one-time code works once, over logins, approvals and passes, by the same memory and in the same unit of work
* the login that is to connect is still active, and the grants that were named have not ended
* a pass is given once. How, by whom and for what is in the ledger
"""

from datetime import datetime

from interlock.domain.codec import from_plain
from interlock.domain.grants import Login
from interlock.domain.signin import UNBOUND, ConnectionPass
from interlock.domain.work_events import PassGiven
from interlock.errors import Refusal
from interlock.ports.state import UnitOfWork
from interlock.services.ask_pass import PassView, lifetime_of, refuse_over, show_pass
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.logins import active_login
from interlock.services.passkeys import (
    Ceremony,
    PasskeyDesk,
    Shown,
    begin_presence,
    finish_presence,
    refuse_copied,
    use_touch,
)
from interlock.services.step_up import with_code

OF = "connection"
"""What a passkey's signature for a pass is for, as against an approval's."""


async def begin_touch(keys: PasskeyDesk, *, login_id: str, pass_id: str) -> Ceremony:
    """``login_id`` is that of the browser. Raises NotFound, or Refusal (``no-passkey``, ``given``)."""
    view = await _waiting(keys, login_id, pass_id)
    return await begin_presence(keys, login_id=login_id, digest=view.digest, of=OF)


async def give_by_touch(keys: PasskeyDesk, *, login_id: str, pass_id: str, shown: Shown) -> ConnectionPass:
    """Raises NotFound, or Refusal (``ceremony-over``, ``wrong-passkey``, ``given``, ``over`` …)."""
    desk = keys.desk
    view = await _waiting(keys, login_id, pass_id)
    touch = await finish_presence(keys, login_id=login_id, digest=view.digest, shown=shown, of=OF)
    given = None
    async with desk.deciding(str(view.content["person"])) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        passkey = await use_touch(keys, work, login, touch, now)
        if passkey is not None:
            given = await _give(desk, work, view, login, f"passkey {passkey}", now)
    if given is None:
        raise refuse_copied()
    return given


async def give_by_code(keys: PasskeyDesk, *, login_id: str, pass_id: str, totp: str, address: str) -> ConnectionPass:
    """Raises NotFound, or Refusal (``passkey-needed``, ``wrong-code``, ``given``, ``over`` …)."""
    desk = keys.desk
    view = await _waiting(keys, login_id, pass_id)

    async def give(work: UnitOfWork, login: Login, now: datetime) -> ConnectionPass:
        return await _give(desk, work, view, login, "one-time code", now)

    async def check(work: UnitOfWork, login: Login) -> None:
        if await work.passkeys(login.person):
            raise Refusal(
                "passkey-needed",
                f"{login.person} has a passkey, and proves with it: it signs this very connection.",
                f"Open the console's page /passes/{pass_id} in your browser.",
            )

    return await with_code(keys.front, login_id=login_id, totp=totp, address=address, first=check, then=give)


async def _waiting(keys: PasskeyDesk, login_id: str, pass_id: str) -> PassView:
    desk = keys.desk
    async with desk.state.reading() as reading:
        person = (await active_login(reading, login_id, desk.clock.now())).person
    view = await show_pass(desk, keys.waiting, person=person, pass_id=pass_id)
    if view.given is not None:
        raise _given(pass_id)
    return view


async def _give(desk: Desk, work: UnitOfWork, view: PassView, giver: Login, how: str, now: datetime) -> ConnectionPass:
    """``giver`` is the login in which the proof was given. Raises Refusal (``given``, ``over``, ``job``)."""
    content = view.content
    await work.lock(ConnectionPass, str(content["login"]))
    if await work.connection_pass(view.id) is not None:
        raise _given(view.id)
    login = await active_login(work, str(content["login"]), now)
    await acting_person(work, giver.person)
    names = [str(one["grant"]) for one in content["grants"]]
    active = {grant.id: grant for grant in await work.grants(active_at=now, person=giver.person)}
    kept = [active[name] for name in names if name in active and active[name].active(now)]
    # What was asked for is read again: the content waited where no ledger guards it.
    same = (login.person, login.key, login.workload) == (giver.person, content["key"], "")
    bound = (content["resource"], login.key)
    if not same or len(kept) != len(names) or any((grant.resource, grant.key) != bound for grant in kept):
        raise refuse_over(content)
    connections = from_plain(int, content["connections"])
    given = ConnectionPass(
        id=view.id,
        person=login.person,
        login=login.id,
        key=login.key,
        resource=str(content["resource"]),
        grants=tuple(names),
        digest=view.digest,
        how=how,
        present_at=now,
        expires_at=now + lifetime_of(desk, connections),
        connections=connections,
        password=UNBOUND if content["with"] == "password" else "",
    )
    await work.save(given)
    work.record(
        PassGiven(
            presence=given.id,
            person=given.person,
            login=given.login,
            key=given.key,
            resource=given.resource,
            grants=given.grants,
            digest=given.digest,
            how=how,
            present_at=now,
            expires_at=given.expires_at,
            connections=connections,
        )
    )
    return given


def _given(pass_id: str) -> Refusal:
    return Refusal("given", f"The proof for {pass_id} was given already.", "Type `interlock connect RESOURCE` again.")
