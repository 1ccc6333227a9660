"""How long recordings are kept, what keeps them longer, and who may let them go."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from interlock.domain.resources import Resource, Selector
from interlock.domain.roles import ApprovalRule


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """Recordings of sessions on the resources ``on`` (None: on all) are kept for ``keep`` at least."""

    name: str
    keep: timedelta
    on: Selector | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """Without ``approvals`` nothing can be deleted."""

    approvals: tuple[ApprovalRule, ...] = ()
    classes: tuple[RetentionClass, ...] = ()

    def keep(self, resource: str, resources: Mapping[str, Resource]) -> timedelta:
        """How long a recording on ``resource`` is kept at least: as long as the longest of its classes says.

        One on a resource that is no longer known, or in no class, is kept as long as the longest of all.
        """
        known = resources.get(resource)
        fitting = [one for one in self.classes if one.on is None or (known is not None and one.on.matches(known))]
        return max((one.keep for one in (fitting if known and fitting else self.classes)), default=timedelta())


@dataclass(frozen=True, slots=True)
class LegalHold:
    """No recording that it is about is deleted until it is lifted. An empty field matches all; not all are empty."""

    id: str
    session: str
    person: str
    resource: str
    reason: str
    placed_by: str
    placed_at: datetime
    lifted_at: datetime | None = None
    lifted_by: str | None = None

    def is_about(self, session: str, person: str, resource: str) -> bool:
        wanted = ((self.session, session), (self.person, person), (self.resource, resource))
        return self.lifted_at is None and all(mine in ("", theirs) for mine, theirs in wanted)
