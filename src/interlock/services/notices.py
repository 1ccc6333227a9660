"""Whom an entry of the ledger is told, and what of it.

Holds to:

* of a request or a held statement, those are told who may decide it: nobody else, and nobody once it is decided or over
* the person who asked is told of the answer, unless the answer is their own; of a statement used nobody
* the person of a grant is told shortly before it ends, unless it has ended before; of a contract about to end its
  sponsor and those whom it covers
* of a broken glass those are told whom the role names; of an alarm those who may read the ledger, never the person it
  is about
* of a passkey, an account in a chat or a new way in that somebody got, they are told themselves, and the sponsor of an
  invitation that it was opened, or tried by another
* nobody is told who has ended, or what is over by the time it would be told
* what is told is who, what and why. Neither a secret nor the text of a statement
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import quote

from interlock.domain.event import Event
from interlock.domain.grants import RequestKind, RequestState
from interlock.domain.guard_events import GlassBroken
from interlock.domain.identity_events import (
    ChatLinked,
    InvitationOpened,
    InvitationTried,
    PasskeyAdded,
    PersonRecovered,
)
from interlock.domain.notices import Letter, Notice, NoticeKind
from interlock.domain.rights_events import ContractEnding, GrantStarted, RequestEnded, RequestOpened
from interlock.domain.sensitivity import Sensitivity, sensitivity_of
from interlock.domain.work_events import DetectionFired
from interlock.errors import Refusal
from interlock.ledger.entries import Recorded
from interlock.ports.state import Reading
from interlock.services.desk import Desk
from interlock.services.judging import open_case
from interlock.services.reading_rights import check_may_read_ledger

_NAMED = {
    RequestKind.GRANT: "A request waits for your decision",
    RequestKind.STATEMENT: "A held statement waits for your decision",
    RequestKind.DELETION: "A deletion of recordings waits for your decision",
    RequestKind.LIFTING: "The lifting of a legal hold waits for your decision",
    RequestKind.POLICY: "A change of the policy waits for your decision",
    RequestKind.REVIEW: "A broken glass waits for your review",
}
_ANSWERS = {
    "approved": "Your request was approved",
    "denied": "Your request was denied",
    "expired": "Your request expired undecided",
    "withdrawn": "Your request was withdrawn",
}
_OVER = {
    "approved": "Approved: nothing waits for you here any more",
    "denied": "Denied: nothing waits for you here any more",
    "expired": "Expired undecided: nothing waits for you here any more",
    "withdrawn": "Withdrawn: nothing waits for you here any more",
}
_OF_ONESELF: Mapping[type[Event], tuple[str, str]] = {
    PasskeyAdded: ("A passkey of yours was added", "/you"),
    PersonRecovered: ("You were let in again by two others", "/you"),
    ChatLinked: ("An account in a chat acts for you from now on", "/notices"),
}
_TOLD: tuple[type[Event], ...] = (
    *_OF_ONESELF,
    InvitationOpened,
    InvitationTried,
    RequestOpened,
    RequestEnded,
    GrantStarted,
    GlassBroken,
    ContractEnding,
    DetectionFired,
)
"""What ``_made`` makes a notice of."""
TOLD_KINDS = frozenset(event.kind for event in _TOLD)
"""Entries of other kinds, such as the sessions' starts and ends, are told to nobody and need not be read."""
_WAITING = (NoticeKind.ASKED, NoticeKind.HELD)
_FIELDS = {"who": "person"}
"""What labels are called in events, whose classes count here too."""
_BEFORE_END = timedelta(minutes=15)
_SHORTEST = timedelta(minutes=10)
"""The end of a grant shorter than this is told to nobody: who has it has just asked for it."""


@dataclass(frozen=True, slots=True)
class Posting:
    """A notice for ``persons``, from ``due_at`` on."""

    notice: Notice
    persons: tuple[str, ...]
    due_at: datetime


async def posting_of(desk: Desk, recorded: Recorded) -> Posting | None:
    """None when there is nothing to tell."""
    if not isinstance(recorded.event, _TOLD):
        return None
    async with desk.state.reading() as reading:
        made = await _made(desk, reading, recorded, recorded.event)
        if made is None:
            return None
        notice, names, due_at = made
        persons = await _present(reading, names)
    return Posting(notice, persons, due_at or desk.clock.now()) if persons else None


async def still_so(desk: Desk, reading: Reading, letter: Letter) -> bool:
    """Whether what a letter says is still worth telling to whom it is for."""
    notice, now = letter.notice, desk.clock.now()
    if letter.person and not await _present(reading, (letter.person,)):
        return False
    if notice.kind in _WAITING and notice.request and not letter.revises:
        request = await reading.request(notice.request)
        return request is not None and request.state is RequestState.OPEN and now < request.expires_at
    if notice.grant:
        grant = await reading.grant(notice.grant)
        return grant is not None and grant.ended_at is None and now < grant.ends_at
    return True


async def reach(reading: Reading, by: str, letter: Letter) -> str:
    """Where a person is reached: an address of theirs, or the account of theirs in the chat. Empty when nowhere."""
    if by == "email":
        mails = sorted(
            one.subject
            for one in await reading.identities(letter.person)
            if one.kind == "email" and one.ended_at is None
        )
        # their name is the address by custom; of several others the first
        return letter.person if letter.person in mails else next(iter(mails), "")
    if by == "chat":
        links = [one.subject for one in await reading.chat_links(letter.person) if one.notifier == letter.notifier]
        return links[-1] if links else ""
    return letter.person


def cut_down(letter: Letter, show: Sensitivity) -> Letter:
    """The letter with the fields up to the class ``show``: without sensitive ones it names no person."""
    if show is not Sensitivity.PUBLIC:
        return letter
    fields = tuple(pair for pair in letter.notice.fields if sensitivity_of(_FIELDS.get(pair[0], pair[0])) is show)
    return replace(letter, notice=replace(letter.notice, fields=fields), tell=())


def over(recorded: Recorded, told: Iterable[tuple[Letter, str]]) -> Sequence[Letter]:
    """What takes the place of the letters about a request that has ended. ``told``: each with what it left there."""
    event = recorded.event
    if not isinstance(event, RequestEnded) or event.state not in _OVER:
        return ()
    fields = (("by", event.by), ("reason", event.reason))
    path = f"/requests/{event.request}"
    notice = Notice(
        recorded.position, recorded.at, NoticeKind.ANSWERED, _OVER[event.state], fields, path, event.request
    )
    return [
        replace(letter, notice=notice, revises=receipt, tell=())
        for letter, receipt in told
        if letter.notice.kind in _WAITING and not letter.revises
    ]


Made = tuple[Notice, Iterable[str], datetime | None]


async def _made(desk: Desk, reading: Reading, recorded: Recorded, event: Event) -> Made | None:
    match event:
        case PasskeyAdded() | PersonRecovered() | ChatLinked():
            sentence, path = _OF_ONESELF[type(event)]
            mine = _notice(recorded, NoticeKind.ACCOUNT, sentence, (("who", event.person),), path)
            return mine, (event.person,), None
        case InvitationOpened() | InvitationTried():
            return await _invited(reading, recorded, event)
        case RequestOpened():
            return await _opened(desk, reading, recorded, event)
        case RequestEnded():
            return await _ended(reading, recorded, event)
        case GrantStarted():
            return _started(recorded, event)
        case GlassBroken():
            fields = _fields(event.person, event.resource, event.role, event.reason)
            path = f"/requests/{event.request}"
            return _notice(recorded, NoticeKind.BROKEN, "Somebody broke glass", fields, path), event.told, None
        case ContractEnding():
            contract = await reading.contract(event.contract)
            covered = [p.name for p in await reading.people() if contract is not None and contract.covers(p)]
            fields = (("contract", event.contract), ("end", f"{event.end:%Y-%m-%d %H:%M} UTC"))
            path = "/people"
            notice = _notice(recorded, NoticeKind.ENDING, "A contract of yours ends soon", fields, path)
            return notice, dict.fromkeys((event.sponsor, *covered)), None
        case DetectionFired():
            names = [name for name in await _watchers(reading) if name != event.person]
            fields = (("detection", event.detection), *_fields(event.person, event.resource, "", ""))
            return _notice(recorded, NoticeKind.ALARM, "A detection raised an alarm", fields, "/ledger"), names, None
    return None


async def _opened(desk: Desk, reading: Reading, recorded: Recorded, event: RequestOpened) -> Made | None:
    request = await reading.request(event.request)
    if request is None or request.state is not RequestState.OPEN or request.expires_at <= desk.clock.now():
        return None
    case = await open_case(desk, reading, request, desk.clock.now())
    gave = {approval.person for approval in await reading.approvals(request.id)}
    kind = NoticeKind.HELD if request.kind is RequestKind.STATEMENT else NoticeKind.ASKED
    # the reason of a statement is not a person's: it may speak of what the statement says
    reason = "" if request.kind is RequestKind.STATEMENT else request.reason
    fields = _fields(request.person, request.resource, request.role, reason)
    notice = _notice(recorded, kind, _NAMED[request.kind], fields, f"/decide/{request.id}")
    notice = replace(notice, request=request.id, digest=request.digest)
    return notice, [name for name in case.judges() if name not in gave], None


async def _invited(reading: Reading, recorded: Recorded, event: InvitationOpened | InvitationTried) -> Made | None:
    invitation = await reading.invitation(event.invitation)
    contract = None if invitation is None else await reading.contract(invitation.contract)
    if contract is None:
        return None
    fields = (("who", event.person), ("contract", contract.name))
    kind, sentence = NoticeKind.ASKED, "Somebody whom you answer for waits to be let in"
    if isinstance(event, InvitationTried):
        kind, sentence = NoticeKind.ACCOUNT, "The link of an invitation was tried by somebody else"
    path = f"/people/contracts/{quote(contract.name, safe='')}"
    return _notice(recorded, kind, sentence, fields, path), (contract.sponsor,), None


async def _ended(reading: Reading, recorded: Recorded, event: RequestEnded) -> Made | None:
    request = await reading.request(event.request)
    answer = _ANSWERS.get(event.state)
    if request is None or answer is None or event.by == request.person:
        return None
    fields = (*_fields(request.person, request.resource, request.role, event.reason), ("by", event.by))
    notice = _notice(recorded, NoticeKind.ANSWERED, answer, fields, f"/requests/{request.id}")
    return replace(notice, request=request.id), (request.person,), None


def _started(recorded: Recorded, event: GrantStarted) -> Made | None:
    window = event.ends_at - event.starts_at
    if window < _SHORTEST:
        return None
    fields = (*_fields(event.person, event.resource, event.role, ""), ("end", f"{event.ends_at:%Y-%m-%d %H:%M} UTC"))
    notice = _notice(recorded, NoticeKind.ENDING, "A grant of yours ends soon", fields, "/")
    return replace(notice, grant=event.grant), (event.person,), event.ends_at - min(_BEFORE_END, window / 4)


async def _watchers(reading: Reading) -> Sequence[str]:
    names = []
    for person in await reading.people():
        try:
            check_may_read_ledger(person)
        except Refusal:
            continue
        names.append(person.name)
    return names


async def _present(reading: Reading, names: Iterable[str]) -> tuple[str, ...]:
    found = [await reading.person(name) for name in names]
    return tuple(person.name for person in found if person is not None and person.ended_at is None)


def _fields(person: str, resource: str, role: str, reason: str) -> tuple[tuple[str, str], ...]:
    return (("who", person), ("resource", resource), ("role", role), ("reason", reason))


def _notice(
    recorded: Recorded, kind: NoticeKind, sentence: str, fields: tuple[tuple[str, str], ...], path: str
) -> Notice:
    return Notice(recorded.position, recorded.at, kind, sentence, tuple((k, v) for k, v in fields if v), path)
