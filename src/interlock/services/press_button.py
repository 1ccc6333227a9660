"""What a person does from a chat: a no, or the way to a yes.

Holds to:

* an account in a chat acts for a person only while it is linked to them (``link_chat``), and the person has not left
* what was shown is what is decided: a press under a message whose request has another digest by now does nothing
* a no needs no presence, as everywhere: it gives nothing. The requester, and whoever could not say yes, is refused it
* nothing is ever approved from a chat: a yes needs the person's passkey or code for this very request, in the console,
  and whoever may give it is shown the way there
"""

from interlock.domain.approving import No
from interlock.domain.notices import ChatLink
from interlock.errors import InterlockError, Refusal
from interlock.ports.notify import Press, Reply
from interlock.ports.state import Reading, WaitingRoom
from interlock.services.deny_request import deny_request
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.judging import refuse
from interlock.services.link_chat import claim_link
from interlock.services.reading_rights import check_may_read_request
from interlock.services.requests import locate, locate_open

_NO_LINK = "This account is linked to nobody here. Open Notices in Interlock, and link it."


async def press_button(desk: Desk, waiting: WaitingRoom, *, notifier: str, press: Press) -> Reply | None:
    """What is answered; None for a button that only leads somewhere. Never raises a Refusal: it becomes the answer."""
    try:
        match press.what:
            case "open":
                return None
            case "link":
                return await claim_link(desk, waiting, notifier=notifier, press=press)
            case "deny" | "approve":
                return await _decide(desk, notifier, press)
    except InterlockError as error:
        return Reply(f"{error.sentence} {error.remedy}".strip())
    return Reply("Write: /interlock link CODE, with the code that Notices in Interlock shows you.")


async def _decide(desk: Desk, notifier: str, press: Press) -> Reply:
    async with desk.state.reading() as reading:
        link = await reading.chat_link(notifier, press.subject)
        if link is None or link.ended_at is not None:
            return Reply(_NO_LINK, "/notices")
        sentence = await _refuse_judge(desk, reading, link, press)
    if sentence:
        return Reply(sentence, f"/requests/{press.request}", over=True)
    if press.what == "approve":
        return Reply(
            "A yes is given in Interlock, with your passkey or code for this very request.", f"/decide/{press.request}"
        )
    if not press.words.strip():
        return Reply("Write why not in the field above, and press Deny again.")
    await deny_request(desk, by=link.person, request_id=press.request, reason=press.words)
    return Reply(f"Denied by {link.person}: {press.words}", f"/requests/{press.request}", over=True)


async def _refuse_judge(desk: Desk, reading: Reading, link: ChatLink, press: Press) -> str:
    """Empty when the person may decide what they were shown; a sentence when it is no longer that. Raises Refusal."""
    person = await acting_person(reading, link.person)
    now = desk.clock.now()
    request = await locate(reading, press.request)
    # whoever may not see it is told what is told of one that is not there
    case = await check_may_read_request(desk, reading, person, request)
    if request.person == person.name:
        raise Refusal("self-approval", "This is your own request: somebody else decides it.")
    answer = case.may_approve(person)
    if isinstance(answer, No):
        raise refuse(case, answer)
    if request.digest != press.digest:
        return "What this message showed is not what is asked now. Look at it in Interlock."
    try:
        await locate_open(reading, press.request, now)
    except Refusal as refusal:
        return refusal.sentence
    return ""
