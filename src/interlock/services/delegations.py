"""What a person lets a client do for them: given in a login, exchanged once, renewed in turns, ended with the login.

Holds to:

* only a person in an active login of their own gives one; it ends with that login at the latest, and with the person
* a code is exchanged once, by the client it was made for, with the verifier of its challenge (RFC 7636) and the key it
  was bound to. A code that is shown twice, or with a wrong verifier, ends the delegation and every token of it
* of the refresh tokens the last one alone works; an earlier one that is shown was copied, and ends the delegation
* the scope ``login`` gives Interlock's own command line a login with its own key: as sign-in does, with the same rules
  on keys and contracts, never past the login in which the person said yes
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from interlock.domain.grants import Login
from interlock.domain.identity_events import ClientRegistered, DelegationGiven, DelegationUsed
from interlock.domain.oauth import ClientKind, Delegation, OauthClient, Scope
from interlock.errors import Refusal
from interlock.ports.state import UnitOfWork
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.endings import Endings, may_be_signed_in
from interlock.services.ids import new_id
from interlock.services.logins import active_login
from interlock.services.sign_in import start_login

CODE_LIFETIME = timedelta(seconds=60)
DEVICE_CODE_LIFETIME = timedelta(minutes=10)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
"""RFC 7636 section 4.1. What is shorter could be guessed from its challenge."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asked for. ``challenge`` is the S256 challenge, empty for a device; ``key`` empty when not said."""

    client: OauthClient
    scopes: frozenset[str]
    key: str
    challenge: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client shows to exchange a code. ``verifier`` is empty for a device, ``redirect_uri`` when not said."""

    client: str
    code: str
    verifier: str
    redirect_uri: str
    key: str
    address: str


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The delegation as it now is, and the login that came of it when that was its scope."""

    delegation: Delegation
    login: Login | None = None


async def give_delegation(desk: Desk, *, login_id: str, wish: Wish, code_hash: str, lifetime: timedelta) -> Delegation:
    """The person in the login says yes; ``code_hash`` is that of the code that the client will show. Raises Refusal."""
    async with desk.state.reading() as reading:
        actor = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(actor) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        await acting_person(work, login.person)
        await _keep_client(work, wish.client, now)
        delegation = Delegation(
            id=await _unused_id(work),
            person=login.person,
            login=login.id,
            client=wish.client.id,
            scopes=wish.scopes,
            key=wish.key,
            code_hash=code_hash,
            challenge=wish.challenge,
            redirect_uri=wish.redirect_uri,
            given_at=now,
            code_until=now + lifetime,
            ends_at=login.ends_at,
        )
        await _save_given(work, delegation)
    return delegation


async def exchange_code(desk: Desk, shown: Shown) -> Exchanged:
    """Raises Refusal (``invalid_grant``)."""
    async with desk.state.reading() as reading:
        found = await reading.delegations(code_hash=hash_of(shown.code))
    if len(found) != 1 or found[0].client != shown.client:
        raise _no_grant("This code was not made for this client.")
    async with desk.deciding(f"client:{shown.client}") as work:
        now = desk.clock.now()
        delegation = await work.delegation(found[0].id)
        if delegation is None or not delegation.active(now):
            raise _no_grant("What this code stood for has ended.")
        wrong = _why_copied(delegation, shown)
        if wrong:
            await Endings(work, by=f"client:{shown.client}", reason=wrong, at=now).delegation(delegation)
        else:
            exchanged = await _exchange(work, delegation, shown, now)
    if wrong:
        raise _no_grant(f"Everything that this code stood for has ended: {wrong}.")
    return exchanged


def _why_copied(delegation: Delegation, shown: Shown) -> str:
    if delegation.exchanged_at is not None:
        return "its code was shown twice"
    if not verifies(shown.verifier, delegation.challenge):
        return "its code was shown with a wrong verifier"
    return ""


async def _exchange(work: UnitOfWork, delegation: Delegation, shown: Shown, now: datetime) -> Exchanged:
    if now >= delegation.code_until:
        raise _no_grant("This code is too old.")
    if shown.redirect_uri not in ("", delegation.redirect_uri):
        raise _no_grant("This code was sent to another address (redirect_uri).")
    if delegation.key not in ("", shown.key):
        raise _no_grant("This code is bound to another key than the proof's.")
    given = await active_login(work, delegation.login, now)
    await _still_here(work, delegation, now)
    only_login = delegation.scopes == {Scope.LOGIN}
    used = replace(delegation, key=shown.key, exchanged_at=now, generation=0 if only_login else 1)
    await work.save(used)
    work.record(DelegationUsed(delegation=used.id, key=used.key, generation=used.generation))
    login = await _open_login(work, used, given, shown.address, now) if only_login else None
    return Exchanged(used, login)


async def _open_login(work: UnitOfWork, delegation: Delegation, given: Login, address: str, now: datetime) -> Login:
    return await start_login(
        work,
        person=delegation.person,
        key=delegation.key,
        ends_at=given.ends_at,
        present_at=given.present_at,
        address=address,
        now=now,
    )


async def refresh_delegation(
    desk: Desk, *, client: str, delegation_id: str, generation: int, key: str, scopes: frozenset[str]
) -> Delegation:
    """The next generation. ``scopes`` empty: as before. Raises Refusal (``invalid_grant``, ``invalid_scope``)."""
    async with desk.deciding(f"client:{client}") as work:
        now = desk.clock.now()
        delegation = await work.delegation(delegation_id)
        if delegation is None or not delegation.active(now) or delegation.client != client:
            raise _no_grant("What this refresh token stood for has ended.")
        if delegation.key != key:
            raise _no_grant("This refresh token is bound to another key than the proof's.")
        if not scopes <= delegation.scopes:
            raise Refusal("invalid_scope", "A refresh never gives more than was given.", "Ask the person again.")
        copied = generation != delegation.generation
        if copied:
            reason = "an old refresh token was shown"
            await Endings(work, by=f"client:{client}", reason=reason, at=now).delegation(delegation)
        else:
            await active_login(work, delegation.login, now)
            await _still_here(work, delegation, now)
            delegation = replace(delegation, generation=generation + 1)
            await work.save(delegation)
            work.record(DelegationUsed(delegation=delegation.id, key=key, generation=delegation.generation))
    if copied:
        raise _no_grant("This refresh token was used before: everything that it stood for has ended.")
    return delegation


async def delegate_to_agent(
    desk: Desk, *, subject: Delegation, agent: OauthClient, key: str, scopes: frozenset[str]
) -> Delegation:
    """An agent acts for its owner within what the owner gave a client (RFC 8693). Raises Refusal."""
    async with desk.deciding(f"agent:{agent.id}") as work:
        now = desk.clock.now()
        current = await work.delegation(subject.id)
        kept = await work.oauth_client(agent.id)
        if current is None or not current.active(now) or kept is None or kept.ended_at is not None:
            raise _no_grant("What this token stood for has ended.")
        if kept.owner != current.person:
            raise _no_grant(f"The agent {agent.name} acts for its owner alone, and this is somebody else's token.")
        if current.actor is not None:
            raise _no_grant("An agent's token is not exchanged again.")
        if not scopes <= current.scopes or Scope.LOGIN in current.scopes:
            raise Refusal("invalid_scope", "An exchange never gives more than was given.", "Ask for less.")
        await active_login(work, current.login, now)
        await _still_here(work, current, now)
        delegation = replace(
            current,
            id=await _unused_id(work),
            client=agent.id,
            scopes=scopes or current.scopes,
            key=key,
            code_hash=hash_of(secrets.token_hex(16)),
            given_at=now,
            exchanged_at=now,
            generation=0,
            actor=agent.id,
        )
        await _save_given(work, delegation)
    return delegation


async def end_delegation(desk: Desk, *, by: str, delegation_id: str, reason: str) -> None:
    """Nothing happens when it is over already."""
    async with desk.state.reading() as reading:
        found = await reading.delegation(delegation_id)
    if found is None or not found.active(desk.clock.now()):
        return
    async with desk.ending(by) as work:
        now = desk.clock.now()
        delegation = await work.delegation(delegation_id)
        if delegation is not None:
            await Endings(work, by=by, reason=reason, at=now).delegation(delegation)


def verifies(verifier: str, challenge: str) -> bool:
    """S256 of RFC 7636. A device has no challenge and shows no verifier; nobody else may do without."""
    if not challenge:
        return not verifier
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode(errors="replace")).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=")
    return hmac.compare_digest(made, challenge.encode(errors="replace"))


def hash_of(code: str) -> str:
    """SHA-256 (hex). A code has 128 random bits or more."""
    return hashlib.sha256(code.encode(errors="replace")).hexdigest()


async def _still_here(work: UnitOfWork, delegation: Delegation, now: datetime) -> None:
    person = await acting_person(work, delegation.person)
    if not may_be_signed_in(person, await work.contracts(), now):
        raise _no_grant(f"No contract that covers {person.name} is running.")


async def _keep_client(work: UnitOfWork, client: OauthClient, now: datetime) -> None:
    """A stranger's client is written down when the first person trusts it with something."""
    if client.kind is ClientKind.OWN:
        return
    kept = await work.oauth_client(client.id)
    if kept is not None and kept.ended_at is not None:
        raise Refusal("invalid_client", f"The client {client.name} has been ended.", "Use another one.")
    if kept == replace(client, registered_at=kept.registered_at if kept else now):
        return
    await work.save(replace(client, registered_at=kept.registered_at if kept else now))
    work.record(
        ClientRegistered(
            client=client.id,
            client_kind=client.kind.value,
            name=client.name,
            redirect_uris=client.redirect_uris,
            owner=client.owner,
        )
    )


async def _save_given(work: UnitOfWork, delegation: Delegation) -> None:
    await work.save(delegation)
    work.record(
        DelegationGiven(
            delegation=delegation.id,
            person=delegation.person,
            login=delegation.login,
            client=delegation.client,
            scopes=tuple(sorted(delegation.scopes)),
            ends_at=delegation.ends_at,
            actor=delegation.actor,
        )
    )


async def _unused_id(work: UnitOfWork) -> str:
    while await work.delegation(delegation_id := new_id("d")) is not None:
        continue
    return delegation_id


def _no_grant(sentence: str) -> Refusal:
    return Refusal("invalid_grant", sentence, "Ask the person again.")
