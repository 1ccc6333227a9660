"""What a notifier is: a way to tell people that something waits for them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from interlock.domain.notices import Letter, Outcome


@dataclass(frozen=True, slots=True)
class NotifierSettings:
    """An entry of ``notify`` with its secrets fetched. ``console`` is the address of the pages, without a slash."""

    name: str
    to: str = ""
    secret: str = field(default="", repr=False)
    older_secret: str = field(default="", repr=False)
    signing_secret: str = field(default="", repr=False)
    sender: str = ""
    inside: bool = False
    console: str = ""


class OpenNotifier(Protocol):
    async def send(self, letters: Sequence[Letter]) -> Sequence[Outcome]:
        """What became of each, in their order. Raises Failure when none can be sent now: all come again.

        Each is told at least once: what was sent and not written down, in a crash, comes again.
        """

    async def close(self) -> None: ...


class NotifierAdapter(Protocol):
    """A kind of notifier. ``name`` is the ``kind`` in the configuration.

    ``reaches`` says by what a person is reached: ``email`` (an address of theirs), ``chat`` (a linked account),
    ``page`` (their name), or ``""``: the notifier tells one place, once, whomever a notice is for.
    """

    @property
    def name(self) -> str: ...

    @property
    def reaches(self) -> str: ...

    def open(self, settings: NotifierSettings) -> OpenNotifier:
        """Raises Failure when the settings are not of this kind."""


@dataclass(frozen=True, slots=True)
class Press:
    """What somebody did in a chat: pressed a button under a notice, or typed a command.

    ``what`` is ``approve``, ``deny`` or ``link``; ``subject`` and ``shown`` the account that did it. ``request``,
    ``digest`` and ``words`` are what came with it: not believed. ``back`` is where the answer goes.
    """

    what: str
    subject: str
    shown: str
    request: str = ""
    digest: str = ""
    words: str = ""
    back: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered to a press. ``path`` is the page to go to; ``over``: the buttons are taken away."""

    sentence: str
    path: str = ""
    over: bool = False


@runtime_checkable
class ChatNotifier(OpenNotifier, Protocol):
    """A notifier whose messages have buttons."""

    async def read_press(self, headers: Mapping[str, str], body: bytes, now: datetime) -> tuple[Press, str]:
        """The press, and a mark that no other message of the chat has. Headers' names are lower case.

        Raises NotAuthentic for what the chat did not sign, or signed too long ago; Refusal for what is no press.
        """

    async def answer(self, press: Press, reply: Reply) -> None:
        """Raises Failure when it cannot be told."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What stands between a notifier and those who are to be told: ``waiting`` letters, the oldest since ``since``."""

    notifier: str
    waiting: int
    lost: int
    since: datetime
    why: str


class Outbox(Protocol):
    """The letters of all notifiers; shared by all control planes. No state: nothing rests on it.

    Each letter is there once for its entry, notifier and person, however often it is put there.
    """

    async def upto(self) -> int | None:
        """The last entry whose letters are there; None when none was ever looked at."""

    async def put(self, letters: Collection[tuple[Letter, datetime]], *, upto: int, now: datetime) -> None:
        """Put letters there, each with when it is due, and remember ``upto``, both or neither."""

    async def due(self, notifier: str, now: datetime, limit: int) -> Sequence[Letter]: ...

    async def next_due(self, notifier: str) -> datetime | None: ...

    async def settle(self, letter: Letter, outcome: Outcome, *, now: datetime, again: datetime | None = None) -> None:
        """Write down what became of it. ``again``: when it is due next; None for Later gives it up."""

    async def told_of(self, request: str) -> Sequence[tuple[Letter, str]]:
        """The letters about a request that left a receipt, with it."""

    async def kept_for(self, person: str, limit: int) -> Sequence[Letter]:
        """What is kept for a person to see, the newest first."""

    async def unseen(self, person: str) -> int: ...

    async def see(self, person: str, upto: int, now: datetime) -> None: ...

    async def troubles(self, now: datetime) -> Sequence[Trouble]: ...
