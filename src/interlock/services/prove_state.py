"""Whether the claims are true of the state as it is: nobody alone, and who could together.

Holds to:

* administrators ask: the answer names what everybody holds and could come to
* it is about one consistent state, whose place in the ledger is told with it; nothing is changed
* the search runs beside the other work of the control plane, and one at a time
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from interlock.domain.grants import RequestKind, RequestState
from interlock.errors import NotFound
from interlock.policy.configuration import Configuration
from interlock.ports.state import Reading
from interlock.proof.certificate import digest_of, write_certificate
from interlock.proof.model import Model
from interlock.proof.prove import prove
from interlock.proof.reach import Memory
from interlock.proof.verdicts import Proof
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.endings import MANY
from interlock.services.proof_model import LiveState, build_model, claims_of
from interlock.services.reading_rights import check_may_prove

TURN = asyncio.Semaphore(1)
"""One search at a time."""
_MEMORY = Memory()
"""What the last proof found out, known by what it rests on; used by one search at a time."""


@dataclass(frozen=True, slots=True)
class Proved:
    """``position`` is the ledger's last entry that the state includes; ``certificate`` is the whole as a file."""

    proof: Proof
    position: int
    policy: str
    model_sha256: str
    certificate: str


async def prove_state(
    desk: Desk, *, by: str, chain: str | None = None, persons: int | None = None, absent: Sequence[str] = ()
) -> Proved:
    """Raises Refusal (``not-yours``) and NotFound."""
    async with desk.state.reading() as reading:
        check_may_prove(await acting_person(reading, by))
        state = replace(await read_live(desk, reading), alone=await who_acts_alone(reading))
        position = await reading.ledger_head()
    check_known(state.configuration, [person.name for person in state.people], chain, absent)
    async with TURN:
        return await asyncio.to_thread(_prove, state, position, chain, persons, absent)


def check_known(configuration: Configuration, people: Sequence[str], chain: str | None, absent: Sequence[str]) -> None:
    """Raises NotFound for a chain or a person that is not there: a slip would prove something else."""
    if chain is not None and chain not in configuration.chains:
        known = ", ".join(sorted(configuration.chains)) or "none"
        raise NotFound(f"There is no chain {chain}.", f"The chains are: {known}.")
    for name in absent:
        if name not in people:
            raise NotFound(f"There is no person named {name}.", "See `interlock people`.")


async def read_live(desk: Desk, reading: Reading, configuration: Configuration | None = None) -> LiveState:
    """The state in ``reading`` under the active policy, or under ``configuration``."""
    configuration, at = configuration or desk.configuration, desk.clock.now()
    asked = [
        request
        for request in await reading.requests(state=RequestState.OPEN, limit=MANY)
        if request.kind is RequestKind.GRANT
    ]
    return LiveState(
        configuration=configuration,
        people=await reading.people(),
        contracts=await reading.contracts(),
        at=at,
        identities=configuration.identities,
        grants=await reading.grants(lasting_at=at, limit=MANY),
        asked=asked,
        yeses=[yes for request in asked for yes in await reading.approvals(request.id)],
        come_in=frozenset(await reading.come_in()),
    )


async def who_acts_alone(reading: Reading) -> frozenset[str]:
    """The first administrator as long as nobody else has ever signed in; whoever could become that."""
    signed_in = list(await reading.signed_in(limit=2))
    if len(signed_in) > 1:
        return frozenset()
    able = {person.name for person in await reading.people() if is_administrator(person)}
    return frozenset(able & set(signed_in)) if signed_in else frozenset(able)


def prove_model(
    state: LiveState, chain: str | None, persons: int | None, absent: Sequence[str], memory: Memory | None = None
) -> tuple[Model, Proof]:
    """The proof of the claims on ``state``; ``memory`` is that of the proof before."""
    model = build_model(state)
    claims = claims_of(state.configuration, persons=persons, chains=None if chain is None else (chain,))
    return model, prove(model, claims, away=absent, memory=memory)


def _prove(state: LiveState, position: int, chain: str | None, persons: int | None, absent: Sequence[str]) -> Proved:
    model, proof = prove_model(state, chain, persons, absent, _MEMORY)
    certificate = write_certificate(model, proof, away=absent)
    return Proved(proof, position, state.configuration.digest, digest_of(model), certificate)
