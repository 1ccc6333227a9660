"""A statement as a machine puts it to the gateway, and how it ended. Part of :mod:`interlock.ports.protocol`.

They are made for every statement, so they are plain classes that a compiler can lay out.
"""

from dataclasses import dataclass
from enum import Enum

from interlock.domain.actions import Need


class Effect(Enum):
    """When a statement's change can take effect, which says when its record must be durable.

    ``NEVER``: a read. ``AT_COMMIT``: inside the client's own open transaction, by a statement that can do nothing
    outside of it. ``NOW``: everything else that changes something, and every statement that ends a transaction.
    """

    NEVER = "never"
    AT_COMMIT = "at-commit"
    NOW = "now"


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """What a statement was found to be, apart from its text and its values: the part that many statements share.

    What it ``needs`` and when it takes ``effect``. ``summary`` is a short name such as ``DELETE``. ``measurable`` says
    that the machine can find the statement's impact before running it; ``fenceable`` that it can honour a Fence on it.
    ``unknown`` says why nobody understood it, or is empty. A machine that describes two statements by one object saves
    the gateway from deciding twice; two are one only when they are the same object.
    """

    needs: tuple[Need, ...]
    effect: Effect
    summary: str = ""
    measurable: bool = False
    fenceable: bool = False
    unknown: str = ""


class Statement:
    """The unit of decision: its exact text, its parameters, and what it was found to be. Not changed once made.

    ``text`` is what was sent, decoded; ``parameters`` are the bind values as they came (None is NULL), with
    ``formats`` telling text from binary where the protocol has both.
    """

    def __init__(
        self,
        text: str,
        described: Described,
        parameters: tuple[bytes | None, ...] = (),
        formats: tuple[int, ...] = (),
    ) -> None:
        self.text = text
        self.described = described
        self.parameters = parameters
        self.formats = formats

    def __eq__(self, other: object) -> bool:
        return self._all() == other._all() if isinstance(other, Statement) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return f"Statement{self._all()}"

    def _all(self) -> tuple[object, ...]:
        described = tuple(getattr(self.described, name) for name in Described.__slots__)
        return (self.text, self.parameters, self.formats, described)

    @property
    def needs(self) -> tuple[Need, ...]:
        return self.described.needs

    @property
    def effect(self) -> Effect:
        return self.described.effect

    @property
    def summary(self) -> str:
        return self.described.summary

    @property
    def measurable(self) -> bool:
        return self.described.measurable

    @property
    def fenceable(self) -> bool:
        return self.described.fenceable

    @property
    def unknown(self) -> str:
        return self.described.unknown


def new_statement(
    text: str, described: Described, parameters: tuple[bytes | None, ...] = (), formats: tuple[int, ...] = ()
) -> Statement:
    """As the class, without what calling a class costs."""
    made = Statement.__new__(Statement)
    made.text = text
    made.described = described
    made.parameters = parameters
    made.formats = formats
    return made


class Outcome:
    """How a statement ended: ``rows`` returned, ``changed`` rows changed, ``size_bytes`` of result sent on.

    Not changed once made.
    """

    def __init__(self, rows: int = 0, changed: int = 0, size_bytes: int = 0, error: str = "", tag: str = "") -> None:
        self.rows = rows
        self.changed = changed
        self.size_bytes = size_bytes
        self.error = error
        self.tag = tag

    def __repr__(self) -> str:
        return f"Outcome({self.rows}, {self.changed}, {self.size_bytes}, {self.error!r}, {self.tag!r})"


def new_outcome(rows: int, changed: int, size_bytes: int, error: str, tag: str) -> Outcome:
    """As the class, without what calling a class costs."""
    made = Outcome.__new__(Outcome)
    made.rows = rows
    made.changed = changed
    made.size_bytes = size_bytes
    made.error = error
    made.tag = tag
    return made
