"""What somebody who decides on a request should know beside its content: who asks, on which contract, what came before.

Holds to:

* it is told to whoever may see the request, and to nobody else (``reading_rights``)
* what came before is what the same person had on the same resource, and nothing of anybody else
"""

from dataclasses import dataclass

from interlock.domain.grants import Grant, RequestKind
from interlock.domain.people import Contract, Person
from interlock.domain.roles import Role
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.reading_rights import check_may_read_request, may_read_session
from interlock.services.requests import locate


@dataclass(frozen=True, slots=True)
class Review:
    """``contracts`` are the running ones that cover the person, ``before`` their earlier grants on the resource, the
    newest first."""

    person: Person
    contracts: tuple[Contract, ...]
    role: Role | None
    before: tuple[Grant, ...]
    sees_session: bool
    has_passkey: bool


async def review_request(desk: Desk, *, reader: str, request_id: str) -> Review:
    """Raises NotFound for a request that is not there, or that the reader may not see."""
    async with desk.state.reading() as reading:
        now = desk.clock.now()
        who = await acting_person(reading, reader)
        request = await locate(reading, request_id)
        case = await check_may_read_request(desk, reading, who, request)
        person = case.people[request.person]
        grants = await reading.grants(person=person.name, limit=200)
        activity = await reading.activity(request.session) if request.session is not None else None
        return Review(
            person=person,
            contracts=tuple(c for c in case.contracts if c.covers(person) and c.running(now)),
            role=case.role_now if request.kind is RequestKind.GRANT else None,
            before=tuple(g for g in grants if g.resource == request.resource and g.request != request.id),
            sees_session=activity is not None and await may_read_session(reading, who, activity),
            has_passkey=bool(await reading.passkeys(reader)),
        )
