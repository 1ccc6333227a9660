"""What the prover says about a held statement: whether its person could do such a thing alone, or only with another.

Holds to what ``effect_of_grant`` does: it is about the state as it is, and what was not found out in time is unknown.
"""

from dataclasses import replace
from functools import partial

from interlock.domain.actions import Action
from interlock.domain.grants import Request, RequestKind
from interlock.errors import NotFound
from interlock.proof.why import explain_why
from interlock.services.desk import Desk
from interlock.services.effect_of_grant import WAITS_S, GrantEffect, Reached, fewest
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.proof_model import GUARDED, LiveState, build_model
from interlock.services.prove_state import read_live
from interlock.services.reading_rights import check_may_read_request
from interlock.services.requests import locate
from interlock.services.searching import search_within


async def effect_of_statement(desk: Desk, *, reader: str, request_id: str) -> GrantEffect:
    """Raises NotFound for a request that is not there, that the reader may not see, or that is for no statement."""
    async with desk.state.reading() as reading:
        who = await acting_person(reading, reader)
        request = await locate(reading, request_id)
        await check_may_read_request(desk, reading, who, request)
        if request.kind is not RequestKind.STATEMENT or request.resource not in desk.configuration.resources:
            raise NotFound(f"There is nothing to prove about {request_id}.", "See the request itself.")
        state = await read_live(desk, reading)
    found = await search_within(WAITS_S, partial(_look, state, request))
    if found is None:
        return GrantEffect(request.person, request.resource, known=False)
    if not is_administrator(who):
        found = tuple(replace(one, others=()) for one in found)
    return GrantEffect(request.person, request.resource, found)


def _look(state: LiveState, request: Request) -> tuple[Reached, ...]:
    actions = _needed(request)
    model = build_model(state, looked_at=frozenset(actions))
    found = []
    for action in actions:
        size, team = fewest([way.team for way in explain_why(model, request.person, action, request.resource).ways])
        others = tuple(name for name in team if name != request.person)
        found.append(Reached(action.value, size, size, action in GUARDED, others))
    return tuple(found)


def _needed(request: Request) -> tuple[Action, ...]:
    needs = request.content.get("needs")
    named = {str(need["action"]) for need in needs} if isinstance(needs, list) else set()
    return tuple(action for action in Action if action.value in named)
