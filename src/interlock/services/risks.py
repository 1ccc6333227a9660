"""The matrix that auditors know: each conflict of roles with its risk, owner and mitigation, and who is in it now.

Holds to:

* employees see it; who is in a conflict is read from the grants of this very moment
* a mitigation whose time is over is shown as over, and mitigates nothing (``Separation.mitigated``)
* the separation itself prevents; what stands in for it says of itself whether it prevents or finds
"""

from dataclasses import dataclass
from datetime import datetime

from interlock.domain.people import Person
from interlock.errors import Refusal
from interlock.policy.configuration import Separation, SeparationKind
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.endings import MANY


@dataclass(frozen=True, slots=True)
class RiskRow:
    """``state``: ``prevented``, ``mitigated`` or ``mitigation expired``. ``inside`` hold two of the roles right now."""

    separation: Separation
    state: str
    inside: tuple[str, ...]


async def list_risks(desk: Desk, *, person: str) -> tuple[RiskRow, ...]:
    """Raises Refusal (``not-yours``)."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        _check_employee(reader)
        await desk.check_policy(reading)
        now = desk.clock.now()
        held: dict[str, set[str]] = {}
        for grant in await reading.grants(active_at=now, limit=MANY):
            held.setdefault(grant.person, set()).add(grant.role)
    conflicts = [s for s in desk.configuration.separations if s.kind is SeparationKind.CONFLICT]
    return tuple(
        RiskRow(s, _state(s, now), tuple(sorted(who for who, roles in held.items() if len(roles & set(s.names)) > 1)))
        for s in conflicts
    )


def _state(separation: Separation, now: datetime) -> str:
    found = separation.risk.mitigation
    if found is None:
        return "prevented"
    return "mitigated" if now < found.until else "mitigation expired"


def _check_employee(reader: Person) -> None:
    if not reader.is_employee:
        raise Refusal("not-yours", f"{reader.name} may not see the risks.", "Ask your sponsor.")
