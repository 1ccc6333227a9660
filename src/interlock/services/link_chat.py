"""An account in a chat becomes a person's, and stops being so.

Holds to:

* the person asks for a code in the console, in their own login; the account says it in the chat, in a message that the
  chat has signed; the person is then shown which account it was, and says yes to exactly that one with a fresh proof of
  presence. A name or an e-mail address in the chat links nobody: whoever runs the chat writes those
* a code serves once, for ten minutes, for one notifier. Who overhears it and says it is shown to the person, and is not
  confirmed
* an account is one person's at a time, and a person has one account in each chat: a new one takes the place of the old
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from interlock.domain.identity_events import ChatLinked, ChatUnlinked
from interlock.domain.notices import ChatLink
from interlock.domain.plain_text import written_out
from interlock.errors import NotFound, Refusal
from interlock.ports.notify import Press, Reply
from interlock.ports.state import UnitOfWork, WaitingRoom
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.logins import active_login, check_presence
from interlock.services.requests import digest_of

_LASTS = timedelta(minutes=10)
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Claim:
    """An account that said a person's code. ``digest`` is what their passkey signs to confirm it."""

    notifier: str
    subject: str
    shown: str
    digest: str


async def begin_link(desk: Desk, waiting: WaitingRoom, *, person: str, notifier: str) -> str:
    """The code to say in the chat. It takes nothing away from an earlier one."""
    code = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    until = desk.clock.now() + _LASTS
    await waiting.put(f"chat code {notifier} {code}", {"person": person}, until=until, origin=f"chat {person}")
    return f"{code[:5]}-{code[5:]}"


async def claim_link(desk: Desk, waiting: WaitingRoom, *, notifier: str, press: Press) -> Reply:
    """``press`` is signed by the chat; the code in its words is not believed before it was found."""
    code = press.words.strip().upper().replace("-", "").replace(" ", "")[:20]
    found = await waiting.take(f"chat code {notifier} {code}") if code else None
    if found is None:
        return Reply(
            "This code is not known, or its time is over. Open Notices in Interlock for a new one.", "/notices"
        )
    async with desk.state.reading() as reading:
        link = await reading.chat_link(notifier, press.subject)
    if link is not None and link.ended_at is None:
        return Reply("This account is linked already. To link it anew, unlink it in Interlock first.", "/notices")
    person = str(found["person"])
    content = {"subject": press.subject, "shown": written_out(press.shown)}
    until = desk.clock.now() + _LASTS
    await waiting.put(_claim_of(notifier, person), content, until=until, origin=f"chat {person}")
    return Reply("Now confirm in Interlock, under Notices, that this account is yours.", "/notices")


async def claim_for(waiting: WaitingRoom, *, person: str, notifier: str) -> Claim | None:
    """The account that said this person's code, and waits for their yes."""
    found = await waiting.look(_claim_of(notifier, person))
    if found is None:
        return None
    subject = str(found["subject"])
    content = {"link": notifier, "person": person, "subject": subject}
    return Claim(notifier, subject, str(found["shown"]), digest_of(content))


async def confirm_link(
    desk: Desk, waiting: WaitingRoom, *, login_id: str, notifier: str, digest: str, signed_at: datetime | None = None
) -> ChatLink:
    """``digest`` is that of the claim which the person was shown, ``signed_at`` when their passkey signed it.

    Raises Refusal (``no-claim``, ``stale-digest``, ``presence-needed``, ``passkey-needed``, ``account-taken``).
    """
    async with desk.state.reading() as reading:
        person = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(person) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        await acting_person(work, person)
        if signed_at is None:
            if await work.passkeys(person):
                raise Refusal("passkey-needed", f"{person} has a passkey, and confirms with it.", "Try again with it.")
            check_presence(login, now, desk.configuration.timing.presence)
        claim = await claim_for(waiting, person=person, notifier=notifier)
        if claim is None:
            raise no_claim()
        if claim.digest != digest:
            raise Refusal("stale-digest", "Another account said your code than the one you were shown.", "Look again.")
        known = await work.chat_link(notifier, claim.subject)
        if known is not None and known.ended_at is None:
            raise Refusal("account-taken", "This account is linked to somebody already.", "They unlink it first.")
        for older in await work.chat_links(person):
            if older.notifier == notifier:
                await _end(work, older, person, now)
        link = ChatLink(notifier, claim.subject, person, claim.shown, now)
        await work.save(link)
        work.record(ChatLinked(person=person, notifier=notifier, subject=claim.subject, shown=claim.shown))
    await waiting.take(_claim_of(notifier, person))
    return link


def no_claim() -> Refusal:
    return Refusal("no-claim", "No account waits to be confirmed, or its time is over.", "Begin again.")


async def unlink(desk: Desk, *, by: str, notifier: str) -> None:
    """A person takes back what acts for them. Raises NotFound."""
    async with desk.ending(by) as work:
        now = desk.clock.now()
        mine = [link for link in await work.chat_links(by) if link.notifier == notifier]
        if not mine:
            raise NotFound("No account of yours is linked there.", "See the page Notices.")
        for link in mine:
            await _end(work, link, by, now)


async def list_links(desk: Desk, *, person: str) -> tuple[ChatLink, ...]:
    async with desk.state.reading() as reading:
        return tuple(await reading.chat_links(person))


async def _end(work: UnitOfWork, link: ChatLink, by: str, now: datetime) -> None:
    await work.save(replace(link, ended_at=now))
    work.record(ChatUnlinked(person=link.person, notifier=link.notifier, subject=link.subject, by=by))


def _claim_of(notifier: str, person: str) -> str:
    return f"chat claim {notifier} {person}"
