"""Why a person could do a thing on the state as it is, and with whom; or why not.

Holds to what ``prove_state`` does: administrators ask, about one consistent state; nothing is changed.
"""

import asyncio
from dataclasses import dataclass, replace

from interlock.domain.actions import Action
from interlock.errors import NotFound
from interlock.proof.certificate import digest_of
from interlock.proof.model import OURS
from interlock.proof.verdicts import assumptions_of
from interlock.proof.why import Why, explain_why
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.proof_model import LiveState, build_model
from interlock.services.prove_state import TURN, read_live, who_acts_alone
from interlock.services.reading_rights import check_may_prove


@dataclass(frozen=True, slots=True)
class Explained:
    """``position`` is the ledger's last entry that the state includes; None where there is no ledger."""

    why: Why
    assumptions: tuple[str, ...]
    model_sha256: str
    position: int | None = None


async def explain_live(desk: Desk, *, by: str, person: str, action: str, resource: str) -> Explained:
    """Raises Refusal (``not-yours``) and NotFound."""
    async with desk.state.reading() as reading:
        check_may_prove(await acting_person(reading, by))
        state = replace(await read_live(desk, reading), alone=await who_acts_alone(reading))
        position = await reading.ledger_head()
    async with TURN:
        return await asyncio.to_thread(explain_state, state, person, action, resource, position)


def explain_state(state: LiveState, person: str, action: str, resource: str, position: int | None = None) -> Explained:
    """Raises NotFound for a person, an action or a resource that is not there: a slip would explain something else."""
    if not any(known.name == person and known.active for known in state.people):
        raise NotFound(f"There is no person named {person}.", "See `interlock people`.")
    if action not in [known.value for known in Action]:
        raise NotFound(
            f"There is no action {action}.", f"The actions are: {', '.join(known.value for known in Action)}."
        )
    if resource not in (OURS, *state.configuration.resources):
        known = ", ".join([*sorted(state.configuration.resources), OURS])
        raise NotFound(f"There is no resource {resource}.", f"The resources are: {known}.")
    model = build_model(state, looked_at=frozenset({Action(action)}))
    return Explained(explain_why(model, person, action, resource), assumptions_of(model), digest_of(model), position)
