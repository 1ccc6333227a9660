"""Who would have to approve a request, before it is asked.

Holds to:

* the rules and the persons are those that `open_request` would meet at this moment; nothing is promised by it
* whether somebody is about means no more than that a login of theirs is active
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from interlock.domain.approving import Ask, who_may
from interlock.domain.requesting import Wish, refuse_at_once
from interlock.domain.roles import ApprovalRule
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.logins import active_login
from interlock.services.open_request import circumstances

_NAMED = 8


@dataclass(frozen=True, slots=True)
class Judge:
    """Somebody who could say yes; ``about``: signed in now."""

    name: str
    about: bool


@dataclass(frozen=True, slots=True)
class Seat:
    """One rule that must be met. Of those who could, those who are about are named first; ``more`` are not named."""

    rule: ApprovalRule
    judges: tuple[Judge, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Foresight:
    """``why_not`` has every reason for which it would be refused at once; empty when it may be asked."""

    seats: tuple[Seat, ...]
    why_not: str


async def foresee_request(desk: Desk, *, login_id: str, resource: str, role: str, duration: timedelta) -> Foresight:
    """Raises Refusal (``login-ended``, ``person-ended``)."""
    async with desk.state.reading() as reading:
        now = desk.clock.now()
        login = await active_login(reading, login_id, now)
        person = await acting_person(reading, login.person)
        around = await circumstances(desk, reading, person.name, now)
        about = {other.person for other in await reading.logins(active_at=now)}
    noes = refuse_at_once(Wish(person.name, resource, role, duration), around)
    known = around.roles.get(role)
    rules: Sequence[ApprovalRule] = () if known is None else known.lending.approvals
    ask = Ask(person, frozenset({role}))
    contracts = tuple(around.contracts)
    seats = []
    for rule in rules:
        names = who_may(ask, (rule,), around.people.values(), contracts, now)
        judges = sorted((Judge(name, name in about) for name in names), key=lambda judge: (not judge.about, judge.name))
        seats.append(Seat(rule, tuple(judges[:_NAMED]), max(0, len(judges) - _NAMED)))
    return Foresight(tuple(seats), " ".join(no.reason for no in noes))
