"""A person leaves: one act over everything that rests on them, with a report that names each end in the ledger.

Holds to:

* administrators offboard anybody; the sponsor of a contract that covers a contractor offboards that contractor
* nobody offboards themself: leaving is an act that somebody else witnesses
* in the same moment end: the grants, the logins and the open requests of the person, and every approval they gave
  that is not used yet stops counting (it would not be counted anyway: approvers are checked again at each use)
* a person who left never comes back under that name; codes for enrolment and passwords that were issued to them are
  dead, because everything that takes one asks for an active person
* contracts that the person sponsored pause until another employee takes them: the report names them
"""

from dataclasses import dataclass

from interlock.errors import NotFound, Refusal
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator, sponsors_of
from interlock.services.endings import Ended, Endings, with_positions
from interlock.services.requests import check_reason


@dataclass(frozen=True, slots=True)
class Offboarding:
    """What ended with the person, in ledger order, and the contracts that now lack an active sponsor."""

    person: str
    ended: tuple[Ended, ...]
    without_sponsor: tuple[str, ...]


async def offboard_person(desk: Desk, *, by: str, name: str, reason: str) -> Offboarding:
    """Raises Refusal (``self-offboard``, ``not-yours``, ``over``) or NotFound."""
    reason = check_reason(reason)
    async with desk.ending(by) as work:
        now = desk.clock.now()
        actor = await acting_person(work, by)
        person = await work.person(name)
        if person is None:
            raise NotFound(f"There is no person named {name}.", "See `interlock people`.")
        if person.name == by:
            raise Refusal(
                "self-offboard",
                "Nobody offboards themself.",
                "Ask another administrator; to end your own access now, end your grants and type `interlock logout`.",
            )
        contracts = await work.contracts()
        if not is_administrator(actor) and by not in sponsors_of(person, contracts):
            raise Refusal(
                "not-yours",
                f"{by} may not offboard {name}.",
                "Ask an administrator, or the sponsor of their contract.",
            )
        if not person.active:
            raise Refusal("over", f"{name} has been offboarded already.", "See `interlock people`.")
        head = await work.ledger_head()
        endings = Endings(work, by=by, reason=reason, at=now)
        await endings.person(person)
    orphans = tuple(sorted(c.name for c in contracts if c.sponsor == name and c.ended_at is None and now < c.end))
    return Offboarding(name, await with_positions(desk.state, head, endings.ended), orphans)
