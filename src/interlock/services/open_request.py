"""A person asks for a grant.

Holds to:

* it is asked in an active login of an active person, and bound to that login's key: only that key will use the grant
* it is refused at once, with every reason, when no approval could make it right (``domain.requesting``)
* what keeps duties and roles apart is asked here, at each approval and when the grant begins (``separating``)
* who waits for the same thing already does not ask twice, and nobody keeps more than twenty requests open
* the content that approvers decide on is fixed here, with the rules it is decided under; its digest binds each approval
* it stays open for ``timing.request`` and not a moment longer
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from interlock.domain.codec import to_plain
from interlock.domain.grants import Login, Request, RequestKind, RequestState
from interlock.domain.people import Contract
from interlock.domain.requesting import Circumstances, Wish, contract_for, refuse_at_once
from interlock.errors import Refusal
from interlock.policy.configuration import ConflictKind
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.ids import new_id
from interlock.services.lends import lends_by
from interlock.services.logins import active_login
from interlock.services.requests import check_reason, digest_of, opened
from interlock.services.separating import artifact_of, refuse_separated, who_instead

OPEN_AT_MOST = 20
"""How many requests one person may have open: more would only hide one among them."""


async def open_request(
    desk: Desk,
    *,
    login_id: str,
    resource: str,
    role: str,
    duration: timedelta,
    reason: str,
    deploys: Mapping[str, object] | None = None,
    artifact: str = "",
) -> Request:
    """The open request. Raises Refusal with the code of the first reason against it, and the sentences of all.

    ``deploys``: the deployment for which an open gate was found, as the request's content has it; without it the role
    of an environment is not asked for (``services.lend_for_deployment``).
    """
    reason, artifact = check_asked(reason, artifact, duration)
    async with desk.state.reading() as reading:
        actor = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(actor) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        person = await acting_person(work, login.person)
        wish = Wish(login.person, resource, role, duration)
        if not deploys:
            refuse_past_gate(desk, resource, role)
        await refuse_hopeless(desk, work, wish, now)
        await refuse_separated(desk, work, person, role, artifact, now)
        await _refuse_crowd(work, wish, login, artifact, now)
        request = await _compose(desk, work, wish, login, reason, artifact, now, deploys or {})
        await work.save(request)
        work.record(opened(request))
    return request


async def ask_for(
    desk: Desk,
    work: UnitOfWork,
    *,
    login: Login,
    resource: str,
    role: str,
    duration: timedelta,
    reason: str,
    now: datetime,
    more: Mapping[str, object],
) -> Request:
    """A request for what a gate lends by itself, kept: everything but approvals stands in its way as in any other's."""
    reason, _ = check_asked(reason, "", duration)
    person = await acting_person(work, login.person)
    wish = Wish(login.person, resource, role, duration)
    await refuse_hopeless(desk, work, wish, now)
    await refuse_separated(desk, work, person, role, "", now)
    request = await _compose(desk, work, wish, login, reason, "", now, more)
    await work.save(request)
    work.record(opened(request))
    return request


async def circumstances(desk: Desk, reading: Reading, person: str, now: datetime) -> Circumstances:
    """What the answer to any wish of ``person`` depends on."""
    return Circumstances(
        at=now,
        people={known.name: known for known in await reading.people()},
        resources=desk.configuration.resources,
        roles=desk.configuration.roles,
        contracts=await reading.contracts(),
        conflicts=desk.configuration.conflicts_for(ConflictKind.STATIC, person, now),
        grants=await reading.grants(active_at=now, person=person),
    )


async def refuse_hopeless(desk: Desk, reading: Reading, wish: Wish, now: datetime, *, emergency: bool = False) -> None:
    """Raises Refusal with the code of the first reason against ``wish``, and the sentences of all."""
    noes = refuse_at_once(wish, await circumstances(desk, reading, wish.person, now), emergency=emergency)
    if noes:
        remedies = dict.fromkeys(no.remedy for no in noes if no.remedy)
        if any(no.code == "conflict" for no in noes):
            remedies = {await who_instead(desk, reading, wish.role, wish.person, now): None, **remedies}
        raise Refusal(noes[0].code, " ".join(no.reason for no in noes), " ".join(remedies))


async def contract_of(reading: Reading, person: str, role: str, now: datetime) -> Contract | None:
    """The contract under which a contractor may have ``role`` at ``now``; None for an employee."""
    holder = await reading.person(person)
    if holder is None or holder.is_employee:
        return None
    return contract_for(holder, role, await reading.contracts(), now)


async def _refuse_crowd(work: UnitOfWork, wish: Wish, login: Login, artifact: str, now: datetime) -> None:
    waiting = [
        request
        for request in await work.requests(state=RequestState.OPEN, person=wish.person, limit=1000)
        if request.kind is RequestKind.GRANT and now < request.expires_at
    ]
    for request in waiting:
        same = (request.resource, request.role, request.key, request.artifact)
        if same == (wish.resource, wish.role, login.key, artifact):
            raise Refusal(
                "already-open",
                f"You have asked for {wish.role} on {wish.resource} already: {request.id}.",
                f"Type `interlock show {request.id}`, or `interlock withdraw {request.id}` to ask differently.",
            )
    if len(waiting) >= OPEN_AT_MOST:
        raise Refusal(
            "too-many", f"You have {len(waiting)} open requests.", "Withdraw what you no longer need, then ask again."
        )


def check_asked(reason: str, artifact: str, duration: timedelta) -> tuple[str, str]:
    """The reason and the artifact as they are kept. Raises Refusal for what nobody can be asked to decide about."""
    if duration % timedelta(seconds=1):
        raise Refusal("bad-duration", "A grant lasts whole seconds.", "Ask for a time such as 90m or 2h.")
    return check_reason(reason), artifact_of(artifact) if artifact else ""


def refuse_past_gate(desk: Desk, resource: str, role: str) -> None:
    """Raises Refusal (``needs-gate``) for what deployments are done with: nobody has it for the asking."""
    for repository in desk.configuration.repositories.values():
        for environment in repository.environments.values():
            if (environment.resource, environment.role) == (resource, role):
                raise Refusal(
                    "needs-gate",
                    f"{role} on {resource} is lent for deployments of {repository.name} to {environment.name} alone, "
                    "through the gate.",
                    f"Type: interlock gate {repository.chain} "
                    f"{desk.configuration.chains[repository.chain].duties[-1]} --artifact git:{repository.name}@HASH "
                    f"--environment {environment.name} --lend 30m",
                )


async def _compose(
    desk: Desk,
    work: UnitOfWork,
    wish: Wish,
    login: Login,
    reason: str,
    artifact: str,
    now: datetime,
    more: Mapping[str, object],
) -> Request:
    contract = await contract_of(work, wish.person, wish.role, now)
    rules = desk.configuration.roles[wish.role].lending.approvals
    content: dict[str, object] = {
        "person": wish.person,
        "role": wish.role,
        "resource": wish.resource,
        "duration_s": to_plain(wish.duration),
        "reason": reason,
        "key": login.key,
        "contract": contract.name if contract is not None else None,
        "lends": lends_by(desk.configuration, wish.role),
        "rules": to_plain(rules),
        **({"artifact": artifact} if artifact else {}),
        **more,
    }
    return Request(
        id=await unused_request_id(work),
        kind=RequestKind.GRANT,
        person=wish.person,
        resource=wish.resource,
        role=wish.role,
        content=content,
        digest=digest_of(content),
        rules=rules,
        reason=reason,
        key=login.key,
        opened_at=now,
        expires_at=now + desk.configuration.timing.request,
        duration=wish.duration,
        artifact=artifact,
    )


async def unused_request_id(work: UnitOfWork) -> str:
    """An id that no request has: saving replaces by id, and 40 random bits do meet now and then."""
    while await work.request(request_id := new_id("r")) is not None:
        continue
    return request_id
