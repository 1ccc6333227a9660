"""Events of what Interlock does to guard itself: changes of the policy, and the breaking of glass."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from interlock.domain.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProposed(Event):
    """A person proposed a change of the policy. ``base`` is the digest of the policy it changes, ``digest`` that of the
    new one; every claim that held still would (``model_sha256``: in this model)."""

    kind: ClassVar[str] = "policy.proposed"
    request: str
    person: str
    base: str
    digest: str
    model_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyActivated(Event):
    """A version of the policy (interlock.yaml and the Cedar files beside it) took effect.

    ``request`` is the proposal that was approved; empty when a start applied its file, which only happens while fewer
    than two persons have ever signed in. ``alone``: by the first administrator, before anybody else had signed in."""

    kind: ClassVar[str] = "policy.activated"
    version: int
    digest: str
    request: str = ""
    by: str = ""
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassBroken(Event):
    """A person took a role at once, without anybody's approval, as the policy lets them in an emergency.

    With ``confirmed_by`` it was a deployment past a shut gate, of ``deploys``, which that second person confirmed.
    ``told`` are to know of it; ``request`` is the review that others must close before the person may do so again."""

    kind: ClassVar[str] = "glass.broken"
    grant: str
    request: str
    person: str
    role: str
    resource: str
    reason: str
    told: tuple[str, ...]
    ends_at: datetime
    present_at: datetime | None = None
    confirmed_by: str = ""
    deploys: str = ""
