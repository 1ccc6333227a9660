"""Who may come in: the credentials that a machine hands over, judged by what is known now."""

import asyncio

from interlock.errors import InterlockError, Refusal
from interlock.gateway.admission import PENDING, Rights, admit, read_key_certificate, read_login
from interlock.gateway.shared import Shared
from interlock.ports.control import Wanted
from interlock.ports.protocol import Credentials, Refused

_LOOK_S = 0.05


def judge_clear_text(*, allowed: bool, local: bool) -> Refused | None:
    """Why a client may not go on without TLS. ``local``: its connection never leaves this machine's loopback."""
    if allowed and local:
        return None
    why = (
        "Interlock allows that only to clients on the gateway's own machine, over loopback."
        if allowed
        else "Interlock opens a session only inside TLS."
    )
    return Refused(f"This connection is not encrypted, and {why}", "clear-text")


async def judge_credentials(shared: Shared, kind: str, credentials: Credentials, address: str) -> Rights | Refused:
    """The rights under which the client at ``address`` may open a session on a resource of ``kind``, or why not."""
    if shared.journal.failure:
        return Refused(f"No session is opened, because {recording_sentence(shared.journal.failure)}", "recording")
    if not shared.follower.fresh:
        # A new policy is read, or a lost connection mended, in less than this.
        await shared.follower.become_fresh(shared.limits.admission_wait_s)
    holder = await _find_login(shared, credentials, address)
    if isinstance(holder, Refused):
        return holder
    rights = await _admit(shared, kind, credentials, holder)
    if isinstance(rights, Refused) or not rights.wants_pass:
        return rights
    return await _spend_pass(shared, kind, credentials, address, rights)


async def _admit(shared: Shared, kind: str, credentials: Credentials, holder: str) -> Rights | Refused:
    until = shared.clock.steady() + shared.limits.admission_wait_s
    while True:
        known = shared.known
        if known is None:
            return _stale(shared)
        verdict = admit(holder, credentials.resource, kind, known, shared.now(), credentials.user)
        # The account of a grant that has just started is made within a moment.
        pending = isinstance(verdict, Refused) and verdict.code == PENDING
        if not pending or shared.clock.steady() >= until:
            return verdict
        await asyncio.sleep(_LOOK_S)


async def _spend_pass(
    shared: Shared, kind: str, credentials: Credentials, address: str, rights: Rights
) -> Rights | Refused:
    """The same rights once a proof of presence was spent on this connection. What fails from here costs the proof."""
    grants = tuple(grant.id for grant in rights.grants)
    wanted = Wanted(rights.login, rights.resource.name, grants, address, credentials.password or "")
    try:
        taken = await shared.control.take_pass(wanted)
    except Refusal as refusal:
        return Refused(str(refusal), refusal.code)
    except InterlockError as error:
        return Refused(f"Whether you are there cannot be checked now. {error}", "unreachable")
    known = shared.known
    if known is None:
        return _stale(shared)
    # Judged anew: time has passed, and the proof has to be fresh enough for the policy.
    return admit(rights.login, rights.resource.name, kind, known, shared.now(), credentials.user, taken)


async def _find_login(shared: Shared, credentials: Credentials, address: str) -> str | Refused:
    """The id of the login that a certificate names, or that a short-lived password was made for."""
    known = shared.known
    if known is None:
        return _stale(shared)
    if credentials.certificate is not None:
        login = read_login(credentials.certificate.der, known[0], shared.now())
        return login if isinstance(login, Refused) else login.id
    if credentials.key_certificate is not None:
        authority = shared.tls.ssh_authority()
        found = read_key_certificate(credentials.key_certificate.blob, authority, known[0], shared.now())
        return found if isinstance(found, Refused) else found.id
    try:
        holder = await shared.control.take_password(credentials.password or "", credentials.resource, address)
    except Refusal as refusal:
        return Refused(str(refusal), refusal.code)
    except InterlockError as error:
        return Refused(f"The password cannot be checked now. {error}", "unreachable")
    return holder.login


def _stale(shared: Shared) -> Refused:
    why = shared.follower.why_stale
    return Refused(f"No session is opened now, because {why}. Try again in a moment.", "stale")


def recording_sentence(why: str) -> str:
    return f"the recording cannot be written ({why}). Tell the operator of the gateway."
