"""A deployment past a shut gate: by two persons, for a short time, looked at afterwards.

Holds to:

* one who may break the glass of the environment's role asks, with a reason and a proof of presence that is fresh
  (``timing.presence``) in this very login; a second one who may break it confirms, with their own fresh presence, from
  their own machine, and not of the first one's vendor. Nobody alone deploys past a gate
* neither of them has written any of what would change in the environment; where it is not known who wrote it, neither
  can be shown to be another, and there is no emergency deployment of it
* both see what the gate lacks: it stands in the content that is confirmed
* the grant lasts no longer than ``break_glass.longest``, and begins with the confirmation. Conflicts of roles,
  contracts, holds and fences stand as they do
* everybody whom the role names is told; the review opens with the grant. Two others close it, who neither asked,
  confirmed nor wrote it; until then neither of the two breaks any glass again
* nothing is taken for deployed by it: the next gate looks at all of it again
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from interlock.domain.codec import to_plain
from interlock.domain.grants import Login, Request, RequestKind
from interlock.domain.people import Contract
from interlock.domain.requesting import Wish
from interlock.domain.roles import BreakGlass
from interlock.errors import Refusal
from interlock.services.delivery import Delivery, revision_of
from interlock.services.ending_rights import acting_person
from interlock.services.evidence import refuse_shut
from interlock.services.gate import ask_gate, record_answer
from interlock.services.gate_writers import find_writers
from interlock.services.glass_reviews import described_by, glass_of, refuse_lonely, refuse_open_review
from interlock.services.judging import confirming
from interlock.services.lend_for_deployment import ask_again, environment_of
from interlock.services.lends import lends_by
from interlock.services.logins import active_login, check_presence
from interlock.services.open_request import check_asked, contract_of, refuse_hopeless, unused_request_id
from interlock.services.requests import digest_of, opened

ASKED_FOR = timedelta(hours=1)
"""How long a second person has to confirm."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """Who asks in which login, for what."""

    login_id: str
    chain: str
    artifact: str
    environment: str
    duration: timedelta
    reason: str


async def ask_in_emergency(delivery: Delivery, wish: Emergency) -> Request:
    """The request that a second person is to confirm. Raises Refusal (``no-glass``, ``wrote-it``, ``gate-open`` …)."""
    desk = delivery.desk
    reason, _ = check_asked(wish.reason, "", wish.duration)
    known = environment_of(delivery, wish.artifact, wish.environment)
    async with desk.state.reading() as reading:
        name = (await active_login(reading, wish.login_id, desk.clock.now())).person
    duty = desk.configuration.chains[delivery.repository(revision_of(wish.artifact).repository).chain].duties[-1]
    verdict = await ask_gate(
        delivery, chain=wish.chain, duty=duty, artifact=wish.artifact, environment=wish.environment, person=name
    )
    await record_answer(delivery, verdict)
    if verdict.open:
        raise Refusal("gate-open", "The gate is open: this is no emergency.", "Type the same with --lend alone.")
    if any(one.code == "unknown-revision" for one in verdict.missing):
        refuse_shut(verdict)
    authors = await _authors(delivery, wish.artifact, wish.environment)
    _refuse_author(name, authors)
    async with desk.deciding(name) as work:
        now = desk.clock.now()
        login = await active_login(work, wish.login_id, now)
        person = await acting_person(work, login.person)
        await refuse_hopeless(desk, work, Wish(name, known.resource, known.role, wish.duration), now, emergency=True)
        await refuse_open_review(work, person.name)
        check_presence(login, now, desk.configuration.timing.presence)
        glass = glass_of(desk, known.role)
        await refuse_lonely(work, person, (confirming(glass), glass.review), known.role, authors, now)
        content = {
            "person": name,
            "role": known.role,
            "resource": known.resource,
            "duration_s": to_plain(wish.duration),
            "reason": reason,
            "key": login.key,
            "contract": _name(await contract_of(work, name, known.role, now)),
            "lends": lends_by(desk.configuration, known.role),
            "rules": to_plain((confirming(glass),)),
            "told": sorted(p.name for p in await work.people() if p.active and described_by(glass.tell, p)),
            "deploys": wish.artifact,
            "environment": wish.environment,
            "chain": verdict.chain,
            "emergency": True,
            "gate_lacks": [one.sentence for one in verdict.missing],
            "involved": sorted(authors),
        }
        request = _request(await unused_request_id(work), content, glass, login, now, wish.duration)
        await work.save(request)
        work.record(opened(request))
    return request


def _name(contract: Contract | None) -> str | None:
    return None if contract is None else contract.name


def _request(
    request_id: str, content: dict[str, object], glass: BreakGlass, login: Login, now: datetime, duration: timedelta
) -> Request:
    return Request(
        id=request_id,
        kind=RequestKind.GRANT,
        person=login.person,
        resource=str(content["resource"]),
        role=str(content["role"]),
        content=content,
        digest=digest_of(content),
        rules=(confirming(glass),),
        reason=str(content["reason"]),
        key=login.key,
        opened_at=now,
        expires_at=now + ASKED_FOR,
        duration=duration,
    )


async def look_again(delivery: Delivery, request: Request) -> None:
    """What is looked at anew before each yes to a request for a deployment. Raises Refusal.

    In an emergency that is who wrote it, since a push that was told meanwhile may name another (``changed``); else it
    is the gate.
    """
    if not request.content.get("emergency"):
        await ask_again(delivery, request)
        return
    authors = await _authors(delivery, str(request.content.get("deploys")), str(request.content.get("environment")))
    named = request.content.get("involved")
    if not isinstance(named, list) or authors != frozenset(named):
        raise Refusal(
            "changed",
            "Who wrote what would be deployed is not who it was when this was asked.",
            f"{request.person} has to ask again: interlock withdraw {request.id}",
        )


async def _authors(delivery: Delivery, artifact: str, environment: str) -> frozenset[str]:
    writers = await find_writers(delivery, artifact=artifact, environment=environment)
    if writers.missing:
        raise Refusal(
            writers.missing[0].code,
            "Nobody can be shown to have had no part in it: " + " ".join(one.sentence for one in writers.missing[:3]),
            "Let who wrote it say so: interlock duty done, or give their address or key under people.",
        )
    return frozenset(writers.persons)


def _refuse_author(person: str, authors: frozenset[str]) -> None:
    if person in authors:
        raise Refusal(
            "wrote-it",
            f"{person} wrote part of what would be deployed, and asks for no emergency deployment of it.",
            "Ask somebody else who may break the glass.",
        )
