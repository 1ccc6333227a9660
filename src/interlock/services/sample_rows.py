"""A sample of the rows that a held statement touches: kept while it waits, shown to whoever decides and may read them.

Holds to:

* it is no part of the request's content, so it is in no ledger entry, notice, list or feed. The content has what was
  looked at, how many rows, and the sample's SHA-256 with a secret salt: rows that were taken for another statement, or
  changed meanwhile, are not shown, and nobody guesses rows by the hash
* it is kept sealed, under a key of its own that the master key wraps, for as long as the statement may wait; no longer
  than it waits, where its end is heard of
* it is shown to who may approve this very request while it is open, and to nobody else: not the requester, not an
  administrator, not a sponsor as such
* of those it is shown to who may read each part themself, now: by an active grant on the resource, with the key that
  the grant is bound to and the proof of presence that the role asks for; columns that a policy masks for them are left
  out. ``samples: approvers`` of the resource lifts this one condition, ``samples: nobody`` ends it all
* each showing is in the ledger, with the parts and the grants, before a row is sent
* whatever goes wrong is no sample and a reason; the hold goes on
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from interlock.domain.actions import Action, Need
from interlock.domain.approving import Yes
from interlock.domain.codec import from_plain, to_plain
from interlock.domain.decisions import Effect, Mask, RowLimit
from interlock.domain.grants import Login, Request, RequestKind, RequestState
from interlock.domain.people import Person
from interlock.domain.resources import Resource
from interlock.domain.work_events import SampleShown
from interlock.errors import Failure, Refusal
from interlock.ledger.canonical import NotCanonical, canonical
from interlock.policy.decide import Question
from interlock.ports.control import HoldOpened, HoldOpening
from interlock.ports.master_key import MasterKey, Wrapped
from interlock.ports.sample import Sample, SampledPart
from interlock.ports.state import Reading, WaitingRoom
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.judging import open_case
from interlock.services.reading_rights import check_may_read_request
from interlock.services.requests import locate
from interlock.wire.sealed import seal_once, unseal

_MOST_BYTES = 256 * 1024
"""Of a sample with everything around it; a gateway that sends more has it dropped."""

_LOST = "It was not kept, or is there no more."
_BY_COUNTS = "Decide by the statement and its counts, or ask its person."
_DECIDERS = "Rows are shown to those who may approve the statement, while it waits."


@dataclass(frozen=True, slots=True)
class _Seen:
    """What of one part a person may see: by which grants, without which columns, and how many rows; or why not."""

    grants: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    rows: int | None = None
    why_not: str = ""


def describe_sample(opening: HoldOpening) -> Mapping[str, Any] | None:
    """What the content of a request says of its sample: no row of it. None when the gateway sent nothing of one."""
    if not opening.salt:
        return None
    try:
        _, digest = _pack(opening.sample, opening.salt)
    except (NotCanonical, ValueError):
        return {"parts": [], "why_not": "The rows hold text that cannot be kept, or too much of it.", "sha256": ""}
    parts = [{"part": part.part, "rows": len(part.rows), "why_not": part.why_not} for part in opening.sample.parts]
    return {"parts": parts, "why_not": opening.sample.why_not, "sha256": digest if opening.sample.rows else ""}


async def keep_sample(
    master: MasterKey, waiting: WaitingRoom, *, gateway: str, opening: HoldOpening, opened: HoldOpened
) -> None:
    """Keep the sample of a hold that was opened. What stands in its way leaves the hold without one."""
    described = describe_sample(opening)
    if described is None or not described["sha256"]:
        return
    packed, _ = _pack(opening.sample, opening.salt)
    context = _context(opened.request, opened.digest)
    key, sealed = seal_once(packed, context)
    with suppress(Refusal, Failure):
        wrapped = await master.wrap(key, context)
        content = {"sealed": base64.b64encode(sealed).decode(), "key": wrapped.text, "master": wrapped.master}
        await waiting.put(_name(opened.request), content, until=opened.expires_at, origin=f"gateway:{gateway}")


async def forget_sample(waiting: WaitingRoom, request_id: str) -> None:
    """The statement waits no more. Where this fails the sample is not shown, and goes when its time is over."""
    with suppress(Refusal, Failure):
        await waiting.take(_name(request_id))


async def why_no_sample(desk: Desk, *, login: Login, request_id: str) -> str:
    """Why its person would see no rows now, as a sentence; empty when they would see some."""
    try:
        async with desk.state.reading() as reading:
            reader = await acting_person(reading, login.person)
            request = await _check(desk, reading, reader, request_id)
            await _look(desk, reading, reader, login, request)
    except Refusal as refusal:
        return f"{refusal.sentence} {refusal.remedy}".strip()
    return ""


async def show_sample(desk: Desk, master: MasterKey, waiting: WaitingRoom, *, login: Login, request_id: str) -> Sample:
    """The rows that the person of ``login`` may see. Raises Refusal (``no-sample``, ``not-deciding``, ``no-read``) and
    NotFound."""
    kept = await waiting.look(_name(request_id))
    async with desk.state.changing(login.person) as work:
        reader = await acting_person(work, login.person)
        request = await _check(desk, work, reader, request_id)
        seen = await _look(desk, work, reader, login, request)
        sample = await _open(master, request, kept)
        shown = Sample(tuple(_narrow(part, seen[part.part]) for part in sample.parts if part.part in seen))
        told = tuple(part.part for part in shown.parts if part.rows)
        grants = sorted({grant for part in told for grant in seen[part].grants})
        work.record(SampleShown(request=request.id, by=reader.name, parts=told, rows=shown.rows, grants=tuple(grants)))
    return shown


async def _check(desk: Desk, reading: Reading, reader: Person, request_id: str) -> Request:
    """The request, open, about a statement with a sample, and for this person to decide."""
    request = await locate(reading, request_id)
    await check_may_read_request(desk, reading, reader, request)
    now = desk.clock.now()
    case = await open_case(desk, reading, request, now)
    is_open = request.state is RequestState.OPEN and now < request.expires_at
    if request.kind is not RequestKind.STATEMENT or not is_open or not isinstance(case.may_approve(reader), Yes):
        raise Refusal("not-deciding", _DECIDERS, "See `interlock requests --to-decide`.")
    described = _described(request)
    if not described.get("sha256"):
        raise Refusal("no-sample", f"There are no rows to show. {described.get('why_not') or ''}".strip(), _BY_COUNTS)
    return request


async def _look(desk: Desk, reading: Reading, reader: Person, login: Login, request: Request) -> Mapping[str, _Seen]:
    """What of each part the reader may see. Raises Refusal when that is nothing."""
    await desk.check_policy(reading)
    resource = desk.configuration.resources.get(request.resource)
    samples = "nobody" if resource is None else resource.settings.get("samples", "readers")
    if resource is None or samples == "nobody":
        raise Refusal("no-sample", "The policy has no rows of this resource shown.", _BY_COUNTS)
    parts = [str(part["part"]) for part in _described(request)["parts"] if part["rows"]]
    if samples == "approvers":
        return dict.fromkeys(parts, _Seen())
    seen = {part: await _may_read(desk, reading, reader, login, resource, part) for part in parts}
    if all(one.why_not for one in seen.values()):
        raise Refusal(
            "no-read",
            next((one.why_not for one in seen.values()), "There are no rows to show."),
            "Rows are shown to those who may read them. Ask for a role that reads there: interlock request",
        )
    return seen


async def _may_read(desk: Desk, reading: Reading, reader: Person, login: Login, resource: Resource, part: str) -> _Seen:
    now = desk.clock.now()
    usable = []
    for grant in await reading.grants(active_at=now, person=reader.name):
        if grant.resource != resource.name or grant.key != login.key or not login.active(now):
            continue
        contract = None if grant.contract is None else await reading.contract(grant.contract)
        if grant.contract is None or (contract is not None and contract.running(now)):
            usable.append(grant)
    roles = frozenset(grant.role for grant in usable)
    decision = desk.decider.decide(Question(reader, resource, roles, (Need(Action.READ, part),), now, login.present_at))
    if decision.effect is not Effect.ALLOW or not usable:
        return _Seen(why_not=f"No grant lets you read {part} on {resource.name} now.")
    masks = [column for one in decision.obligations if isinstance(one, Mask) for column in one.columns]
    limits = [one.rows for one in decision.obligations if isinstance(one, RowLimit)]
    return _Seen(tuple(grant.id for grant in usable), tuple(masks), min(limits, default=None))


async def _open(master: MasterKey, request: Request, kept: Mapping[str, Any] | None) -> Sample:
    """The sample, if it is the very one that was taken for this request."""
    if kept is None:
        raise Refusal("no-sample", f"There are no rows to show. {_LOST}", _BY_COUNTS)
    context = _context(request.id, request.digest)
    try:
        key = await master.unwrap(Wrapped(str(kept["key"]), str(kept["master"])), context)
        packed = unseal(key, base64.b64decode(str(kept["sealed"])), context)
    except Failure as failure:
        raise Refusal("no-sample", f"There are no rows to show. {failure.sentence}", _BY_COUNTS) from failure
    if hashlib.sha256(packed).hexdigest() != _described(request)["sha256"]:
        raise Refusal("no-sample", "There are no rows to show: these were not taken for this statement.", _BY_COUNTS)
    return from_plain(Sample, json.loads(packed)["sample"])


def _described(request: Request) -> Mapping[str, Any]:
    described = request.content.get("sample")
    return described if isinstance(described, Mapping) else {}


def _narrow(part: SampledPart, seen: _Seen) -> SampledPart:
    """Of a part what the person may see."""
    if seen.why_not:
        return SampledPart(part.part, why_not=seen.why_not)
    hidden = [at for at, column in enumerate(part.columns) if _masks(seen.masked, part.part, column)]
    staying = [at for at in range(len(part.columns)) if at not in hidden]
    rows = part.rows if seen.rows is None else part.rows[: seen.rows]
    return replace(
        part,
        columns=tuple(part.columns[at] for at in staying),
        rows=tuple(tuple(row[at] for at in staying) for row in rows) if staying else (),
        left_out=(*part.left_out, *(part.columns[at] for at in hidden)),
    )


def _masks(masked: tuple[str, ...], part: str, column: str) -> bool:
    """Whether one of the masks names the column: ``schema.table.column`` or less, ``*`` for any part."""
    names = [*part.removeprefix("table ").lower().split("."), column.lower()]
    return any(
        all(
            wanted in ("*", have)
            for wanted, have in zip(reversed(one.lower().split(".")), reversed(names), strict=False)
        )
        for one in masked
    )


def _pack(sample: Sample, salt: str) -> tuple[bytes, str]:
    """What is kept, and its SHA-256 (hex). Raises NotCanonical for text that is none, ValueError for too much."""
    packed = canonical({"sample": to_plain(sample), "salt": salt})
    if len(packed) > _MOST_BYTES:
        raise ValueError("a sample that is too large")
    return packed, hashlib.sha256(packed).hexdigest()


def _context(request_id: str, digest: str) -> str:
    return f"sample of {request_id} {digest}"


def _name(request_id: str) -> str:
    return f"sample of {request_id}"
