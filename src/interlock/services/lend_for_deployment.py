"""Whoever deploys is lent the role with which it is done: through the gate, and no other way.

Holds to:

* the role that an environment names, on the resource that it names, is asked for through an open gate alone; going
  round the pipeline gains nothing, because there is nothing to go round with
* a CI job is lent it with its own key, in a login of the workload; the job's token alone, in whoever's hands, is lent
  nothing: each call is proved with that key
* a role that asks for a person who is there is not lent to a job, which could not connect under it
* where the environment says ``lend``, the open gate is all: the grant begins at once, for so long at most. Elsewhere
  the role's own approvals are needed besides, and the gate is asked anew at each of them
* the request says which commit it is for and on which evidence the gate rested, as part of what its approvers approve;
  evidence that is taken back ends the request, the grant, and with it every session (``deployment_ends``)
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from interlock.domain.delivery import Verdict
from interlock.domain.grants import Grant, Login, Request, RequestState
from interlock.errors import NotFound, Refusal
from interlock.policy.repositories import Environment
from interlock.ports.state import UnitOfWork
from interlock.services.ask_pass import asks_for_presence, refused_job
from interlock.services.delivery import Delivery, revision_of
from interlock.services.desk import SYSTEM
from interlock.services.ending_rights import acting_person
from interlock.services.endings import Endings
from interlock.services.evidence import refuse_shut
from interlock.services.gate import ask_gate, record_answer
from interlock.services.give_approval import lend
from interlock.services.logins import active_login
from interlock.services.open_request import ask_for, contract_of, open_request
from interlock.services.sign_in import start_login
from interlock.services.workloads import LONGEST, Acting, acting_as, rule_of_login


@dataclass(frozen=True, slots=True)
class Deployment:
    """Who deploys what to where, and from which machine they call. ``key`` is the caller's."""

    acting: Acting
    key: str
    chain: str
    artifact: str
    environment: str
    duration: timedelta
    address: str = ""


@dataclass(frozen=True, slots=True)
class Lent:
    """The request, the login whose key it is bound to, and the grant when it has begun."""

    request: Request
    login: Login
    grant: Grant | None = None


async def lend_for_deployment(delivery: Delivery, wish: Deployment) -> Lent:
    """Raises Refusal with what the gate lacks, or with what stands against the request."""
    known = environment_of(delivery, wish.artifact, wish.environment)
    verdict = await _ask(delivery, wish)
    await record_answer(delivery, verdict)
    refuse_shut(verdict)
    desk = delivery.desk
    login = await _login(delivery, wish, known, verdict.person)
    reason = f"{verdict.duty} of {wish.artifact} to {wish.environment}"
    if known.lend is None:
        request = await open_request(
            desk,
            login_id=login.id,
            resource=known.resource,
            role=known.role,
            duration=wish.duration,
            reason=reason,
            deploys=_content(wish, verdict),
        )
        return Lent(request, login)
    if wish.duration > known.lend:
        raise Refusal("too-long", f"The gate lends for {known.lend} at most.", "Ask for a shorter time: --lend 10m")
    return await _lend_at_once(delivery, wish, known, verdict, login, reason)


async def _ask(delivery: Delivery, wish: Deployment) -> Verdict:
    repository = delivery.repository(revision_of(wish.artifact).repository)
    async with delivery.desk.state.reading() as reading:
        person = await acting_as(delivery.desk, reading, wish.acting, delivery.desk.clock.now())
    return await ask_gate(
        delivery,
        chain=wish.chain,
        duty=delivery.desk.configuration.chains[repository.chain].duties[-1],
        artifact=wish.artifact,
        environment=wish.environment,
        person=person,
    )


def environment_of(delivery: Delivery, artifact: str, environment: str) -> Environment:
    """The environment, which must lend something. Raises NotFound."""
    repository = delivery.repository(revision_of(artifact).repository)
    known = repository.environments.get(environment)
    if known is None or not known.role:
        raise NotFound(
            f"Nothing is lent for a deployment of {repository.name} to {environment or 'no environment'}.",
            f"Name resource and role under repositories.{repository.name}.environments in interlock.yaml.",
        )
    return known


def _content(wish: Deployment, verdict: Verdict) -> dict[str, object]:
    return {
        "deploys": wish.artifact,
        "environment": wish.environment,
        "chain": verdict.chain,
        "rests_on": list(verdict.rests_on),
        **({"workload": wish.acting.workload} if wish.acting.workload else {}),
    }


async def _login(delivery: Delivery, wish: Deployment, known: Environment, person: str) -> Login:
    """The caller's own; of a job, one of its workload with the job's key, which opens only what is lent to it.

    Raises Refusal (``job``) where what is lent asks for somebody who is there.
    """
    desk = delivery.desk
    if not wish.acting.workload:
        async with desk.state.reading() as reading:
            return await active_login(reading, wish.acting.login, desk.clock.now())
    async with desk.deciding(f"workload:{wish.acting.workload}") as work:
        now = desk.clock.now()
        if await acting_as(desk, work, wish.acting, now) != person:
            raise Refusal("no-owner", f"{wish.acting.workload} has another owner now.", "Ask again.")
        owner, resource = await acting_person(work, person), desk.configuration.resources.get(known.resource)
        if resource is not None and asks_for_presence(desk, owner, resource, {known.role}, now):
            raise refused_job(wish.acting.workload)
        return await start_login(
            work,
            person=person,
            key=wish.key,
            ends_at=now + LONGEST,
            present_at=None,
            address=wish.address,
            now=now,
            workload=wish.acting.workload,
            rule=rule_of_login(desk.configuration.workloads[wish.acting.workload]),
        )


async def _lend_at_once(
    delivery: Delivery, wish: Deployment, known: Environment, verdict: Verdict, login: Login, reason: str
) -> Lent:
    desk = delivery.desk
    async with desk.deciding(verdict.person) as work:
        now = desk.clock.now()
        await active_login(work, login.id, now)
        await acting_person(work, verdict.person)
        await _refuse_taken_back(work, verdict)
        request = await ask_for(
            desk,
            work,
            login=login,
            resource=known.resource,
            role=known.role,
            duration=wish.duration,
            reason=reason,
            now=now,
            more={**_content(wish, verdict), "lent_by": "the gate"},
        )
        contract = await contract_of(work, verdict.person, known.role, now)
        ends_at = now + wish.duration if contract is None else min(now + wish.duration, contract.end)
        endings = Endings(work, by=SYSTEM, reason="the gate is open", at=now)
        request = await endings.request(request, RequestState.APPROVED)
        return Lent(request, login, await lend(work, request, now, ends_at, contract))


async def _refuse_taken_back(work: UnitOfWork, verdict: Verdict) -> None:
    """Evidence is voided under the lock that is held here: what counts now counts at the commit."""
    for evidence in verdict.rests_on:
        one = await work.evidence_one(evidence)
        if one is None or not one.counts:
            raise Refusal(
                "taken-back", "What the gate rested on was taken back this very moment.", "Ask the gate again."
            )


async def ask_again(delivery: Delivery, request: Request) -> None:
    """Whether the gate would open now to the deployment that ``request`` is for. Raises Refusal."""
    content = request.content
    verdict = await ask_gate(
        delivery,
        chain=str(content.get("chain")),
        duty=delivery.desk.configuration.chains[_chain_of(delivery, content.get("deploys"))].duties[-1],
        artifact=str(content.get("deploys")),
        environment=str(content.get("environment")),
        person=request.person,
    )
    await record_answer(delivery, verdict)
    refuse_shut(verdict)


def _chain_of(delivery: Delivery, artifact: object) -> str:
    return delivery.repository(revision_of(str(artifact)).repository).chain


async def find_lent(delivery: Delivery, *, request_id: str, person: str, key: str) -> Lent:
    """What became of one's own request for a deployment. Raises NotFound."""
    async with delivery.desk.state.reading() as reading:
        now = delivery.desk.clock.now()
        request = await reading.request(request_id)
        if request is None or (request.person, request.key) != (person, key) or not request.content.get("deploys"):
            raise NotFound(
                f"There is no request {request_id} of yours for a deployment.", "See `interlock gate --lend`."
            )
        grants = [one for one in await reading.grants(person=person, active_at=now) if one.request == request.id]
        logins = [one for one in await reading.logins(key=key) if one.active(now)]
        if not logins:
            raise Refusal("login-ended", "This login is over.", "Ask the gate again.")
    return Lent(request, max(logins, key=_started), grants[0] if grants else None)


def _started(login: Login) -> datetime:
    return login.signed_in_at
