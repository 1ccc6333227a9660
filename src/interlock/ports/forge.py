"""What a forge is: the place where changes are pushed, reviewed and checked, as its messages and its API tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Account:
    """Who acts on the forge. ``program``: the forge says (or the configuration) that it is none of a person's."""

    login: str
    program: bool = False


@dataclass(frozen=True, slots=True)
class Pushed:
    """A branch or a tag was moved by ``by``; None when the forge names no account (a deploy key)."""

    ref: str
    before: str
    after: str
    by: Account | None


@dataclass(frozen=True, slots=True)
class Deploying:
    """A job asks to deploy ``commit``, or says how that went. ``answer_to`` is where the forge waits for the answer."""

    environment: str
    commit: str
    ref: str
    by: Account | None
    number: str = ""
    answer_to: str = ""
    done: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """One verified message. ``id`` is the forge's number of the delivery; ``changes`` are numbers of changes about
    which the forge is to be asked, and ``commits`` those whose checks are."""

    id: str
    project: str
    pushed: Pushed | None = None
    deploying: Deploying | None = None
    changes: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """One account's standing word on a change: only its last one that decides. ``at_commit`` is what it was given on;
    empty when the forge does not say."""

    number: str
    by: Account
    approves: bool
    at_commit: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """A pull or merge request as it is now. ``landed`` is the commit that the forge made of it, when it did."""

    number: str
    head: str
    branch: str
    by: Account | None
    landed: str = ""
    reviews: Sequence[Review] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Check:
    """A check that ran on a commit, by ``by`` (an application's login)."""

    number: str
    name: str
    by: str
    succeeded: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class StatusCheck:
    """The forge waits for our word on a change at ``commit``; ``check`` is its number of what it waits for."""

    change: str
    commit: str
    check: str


class OpenForge(Protocol):
    def check_headers(self, headers: Mapping[str, str]) -> None:
        """What a message has to bring before its body is read at all. Raises Refusal."""

    def read_news(self, headers: Mapping[str, str], body: bytes) -> News:
        """A message, whose signature is verified first. Header names are lower case. Raises Refusal."""

    async def change(self, project: str, number: str) -> ChangeRequest: ...
    async def changes_of(self, project: str, commit: str) -> Sequence[str]:
        """The numbers of the changes that ``commit`` belongs to."""

    async def checks(self, project: str, commit: str) -> Sequence[Check]: ...
    async def answer(self, project: str, asked: Deploying, *, allowed: bool, sentence: str) -> None:
        """Tell the job that waits. Raises Failure."""

    async def tell(self, project: str, commit: str, *, name: str, allowed: bool, sentence: str) -> None:
        """Put the gate's answer on a commit, where people look. Raises Failure."""

    async def status_checks(self, project: str, number: str) -> Sequence[StatusCheck]:
        """What the forge wants to know of us about a change."""

    async def answer_check(self, project: str, check: StatusCheck, *, allowed: bool) -> None: ...

    def login_of(self, address: str) -> str | None:
        """The login whose hidden e-mail address this is; None when it is none of this forge's."""

    def is_own(self, address: str) -> bool:
        """Whether the forge itself commits under this address."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ForgeSettings:
    """What a forge is opened with, its secrets among them."""

    name: str
    url: str
    webhook: str
    token: str = ""
    bots: frozenset[str] = frozenset()


class ForgeAdapter(Protocol):
    """A kind of forge. ``name`` is the ``kind`` in the configuration."""

    @property
    def name(self) -> str: ...

    def open(self, settings: ForgeSettings) -> OpenForge: ...


Json = Mapping[str, Any]
