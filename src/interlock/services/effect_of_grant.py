"""What the prover says about a request for a grant: what its person could do alone with it, what takes others still.

Holds to:

* it is told to whoever may see the request. Who else could take part is told to administrators alone: others learn how
  many it takes
* it is about the state as it is, with the grant lent besides; nothing is changed
* what was not found out in time is called unknown, never safe
"""

from dataclasses import dataclass, replace
from functools import partial

from interlock.domain.actions import Action
from interlock.domain.grants import Grant, Request, RequestKind
from interlock.errors import NotFound
from interlock.proof.why import explain_why
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.proof_model import GUARDED, LiveState, build_model
from interlock.services.prove_state import read_live
from interlock.services.reading_rights import check_may_read_request
from interlock.services.requests import locate
from interlock.services.searching import search_within

WAITS_S = 3.0
_THIS_ONE = "this request"


@dataclass(frozen=True, slots=True)
class Reached:
    """``persons`` it takes at least for ``action``, with the one who asks; None: not even all together can.

    ``others``: a smallest team besides that person. ``before``: what it takes without the grant, in the same way.
    """

    action: str
    persons: int | None
    before: int | None
    guarded: bool
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GrantEffect:
    """``known``: whether it was found out."""

    person: str
    resource: str
    reached: tuple[Reached, ...] = ()
    known: bool = True

    @property
    def alone(self) -> tuple[str, ...]:
        return tuple(one.action for one in self.reached if one.persons == 1)

    @property
    def together(self) -> tuple[Reached, ...]:
        return tuple(one for one in self.reached if one.persons is not None and one.persons > 1)

    @property
    def guarded_alone(self) -> tuple[str, ...]:
        """What no person should be able to do alone, and this one could."""
        return tuple(one.action for one in self.reached if one.persons == 1 and one.guarded)


async def effect_of_grant(desk: Desk, *, reader: str, request_id: str) -> GrantEffect:
    """Raises NotFound for a request that is not there, that the reader may not see, or that is for no grant."""
    async with desk.state.reading() as reading:
        who = await acting_person(reading, reader)
        request = await locate(reading, request_id)
        case = await check_may_read_request(desk, reading, who, request)
        role = case.role_now
        if (
            request.kind is not RequestKind.GRANT
            or role is None
            or request.resource not in desk.configuration.resources
        ):
            raise NotFound(f"There is nothing to prove about {request_id}.", "See the request itself.")
        state = await read_live(desk, reading)
    actions = tuple(sorted(role.allow))
    found = await search_within(WAITS_S, partial(_look, state, request, actions))
    if found is None:
        return GrantEffect(request.person, request.resource, known=False)
    if not is_administrator(who):
        found = tuple(replace(one, others=()) for one in found)
    return GrantEffect(request.person, request.resource, found)


def _look(state: LiveState, request: Request, actions: tuple[Action, ...]) -> tuple[Reached, ...]:
    waiting = [other for other in state.asked if other.id != request.id]
    without = replace(state, asked=waiting)
    lent = Grant(
        id=_THIS_ONE,
        person=request.person,
        role=request.role,
        resource=request.resource,
        request=request.id,
        key=request.key,
        starts_at=state.at,
        ends_at=state.at + request.duration if request.duration is not None else request.expires_at,
        contract=None,
    )
    having = replace(without, grants=[*state.grants, lent])
    looked_at = frozenset(actions)
    before, after = (build_model(one, looked_at=looked_at) for one in (without, having))
    found = []
    for action in actions:
        size, others = fewest([way.team for way in explain_why(after, request.person, action, request.resource).ways])
        earlier, _ = fewest([way.team for way in explain_why(before, request.person, action, request.resource).ways])
        names = tuple(name for name in others if name != request.person)
        found.append(Reached(action.value, size, earlier, action in GUARDED, names))
    return tuple(found)


def fewest(teams: list[tuple[str, ...]]) -> tuple[int | None, tuple[str, ...]]:
    """The size of a smallest team, and that team; None when there is none."""
    if not teams:
        return None, ()
    smallest = min(teams, key=len)
    return len(smallest), smallest
