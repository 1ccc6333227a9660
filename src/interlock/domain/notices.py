"""What people are told: that something waits for them, was answered, ends soon, or went wrong."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class NoticeKind(StrEnum):
    """``asked``: a request waits for the reader. ``held``: a statement does. ``answered``: the reader's was decided.
    ``broken``: somebody broke glass. ``ending``: a grant or a contract is about to end. ``alarm``: a detection.
    ``account``: how the reader signs in, or acts from elsewhere, was changed."""

    ASKED = "asked"
    HELD = "held"
    ANSWERED = "answered"
    BROKEN = "broken"
    ENDING = "ending"
    ALARM = "alarm"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told. ``position`` is the ledger's entry that it is about, the same however often it is told.

    ``fields`` are pairs of a label and what somebody wrote: data, never part of a sentence. ``path`` is the page
    where to look. ``request`` and ``digest`` name what waits, ``grant`` what ends, where it is about one.
    INVARIANT: neither a secret nor the text of a statement is in it.
    """

    position: int
    at: datetime
    kind: NoticeKind
    sentence: str
    fields: tuple[tuple[str, str], ...]
    path: str
    request: str = ""
    digest: str = ""
    grant: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """The other side has it. ``receipt`` names there what came of it, such as a message that can be changed later."""

    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """Not yet; it is tried again. ``why`` is a sentence for the operator.

    ``wait_s``: the other side asks to be left alone for so long, with this and with all others.
    """

    why: str
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Never:
    """This one will not be taken, however often it is tried. ``why`` is empty when nothing is wrong with that."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """It waits here until its reader has seen it."""


Outcome = Told | Later | Never | Kept


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice on its way: by ``notifier``, to ``person``, or to whoever is behind the notifier when that is empty.

    ``address`` is where that reaches the person. ``tell`` names all persons that the notice is for. ``revises`` is the
    receipt of an earlier letter that this one takes the place of. ``tries`` counts those that failed, ``why`` is why.
    """

    notifier: str
    person: str
    notice: Notice
    tell: tuple[str, ...] = ()
    revises: str = ""
    address: str = ""
    tries: int = 0
    why: str = ""
    seen: bool = False


@dataclass(frozen=True, slots=True)
class ChatLink:
    """An account in a chat that is a person's: said there with a one-time code, and confirmed here with presence.

    ``subject`` is how the chat names the account for good, ``shown`` how it shows it to people.
    """

    notifier: str
    subject: str
    person: str
    shown: str
    linked_at: datetime
    ended_at: datetime | None = None
