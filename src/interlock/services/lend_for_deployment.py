"""Whoever deploys asks for the role with which it is done: through the gate, and no other way.

Holds to:

* the role that an environment names, on the resource that it names, is asked for through an open gate alone; going
  round the pipeline gains nothing, because there is nothing to go round with
* the request says which commit it is for, as part of what its approvers approve; rules, window and the binding to the
  key are those of every request
"""

from datetime import timedelta

from interlock.domain.grants import Request
from interlock.errors import NotFound
from interlock.services.delivery import Delivery, revision_of
from interlock.services.evidence import refuse_shut
from interlock.services.gate import ask_gate, record_answer
from interlock.services.logins import active_login
from interlock.services.open_request import open_request


async def lend_for_deployment(
    delivery: Delivery, *, login_id: str, chain: str, artifact: str, environment: str, duration: timedelta
) -> Request:
    """The open request. Raises Refusal with what the gate lacks, or with what stands against the request."""
    repository = delivery.repository(revision_of(artifact).repository)
    known = repository.environments.get(environment)
    if known is None or not known.role:
        raise NotFound(
            f"Nothing is lent for a deployment of {repository.name} to {environment or 'no environment'}.",
            f"Name resource and role under repositories.{repository.name}.environments in interlock.yaml.",
        )
    duty = delivery.desk.configuration.chains[repository.chain].duties[-1]
    async with delivery.desk.state.reading() as reading:
        person = (await active_login(reading, login_id, delivery.desk.clock.now())).person
    verdict = await ask_gate(
        delivery, chain=chain, duty=duty, artifact=artifact, environment=environment, person=person
    )
    await record_answer(delivery, verdict)
    refuse_shut(verdict)
    return await open_request(
        delivery.desk,
        login_id=login_id,
        resource=known.resource,
        role=known.role,
        duration=duration,
        reason=f"{duty} of {artifact} to {environment}",
        deploys=artifact,
    )
