"""What is decided, and with which obligations."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from interlock.domain.actions import Need


class Effect(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Fence:
    """A write that changes more than ``rows`` rows is rolled back and held."""

    rows: int


@dataclass(frozen=True, slots=True)
class FreshMfa:
    """The person's proof of presence must not be older than ``within_s`` seconds."""

    within_s: int


@dataclass(frozen=True, slots=True)
class Mask:
    """Columns (``schema.table.column``, ``*`` for any part) whose values the client must not see."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowLimit:
    """At most ``rows`` rows may be returned."""

    rows: int


Obligation = Fence | FreshMfa | Mask | RowLimit


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow, deny or hold, with the policies that decided it, the errors met, and what the allow asks for.

    ``roles`` names the roles whose policies ask for the hold; empty unless the effect is hold. ``mfa`` is how fresh the
    person's proof of presence must be, None when none is asked for: on a connection it has to be for that very one.
    ``reason`` is a sentence for the person, never empty on a deny or a hold.
    """

    effect: Effect
    reason: str
    policies: tuple[str, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    roles: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    mfa: timedelta | None = None
