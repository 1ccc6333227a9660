"""Ledger: the stream, filters, an entry with its proof, checkpoints and witnesses."""

import json
import re
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from interlock.domain.events import EVENTS
from interlock.errors import NotFound
from interlock.ledger.audit import Current
from interlock.ledger.freshness import explain_cosignatures
from interlock.ledger.notes import NotANote, SignedCheckpoint, cosigners, read_verifier
from interlock.ledger.proofs import write_proof
from interlock.ledger.tiles import DamagedError
from interlock.ledger.verify import Broken
from interlock.ports.state import LedgerEntry
from interlock.services.list_people import ledger_size, read_ledger, search_ledger
from interlock.web.authentication import ServicesOf
from interlock.web.console.page import HEADERS, PageRoute, Visiting, now_of, page
from interlock.web.ledger_now import current_ledger, ledger_key_of, replaced_keys
from interlock.web.models import InQuery
from interlock.web.services import Services

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_PAGE = 50
_LARGEST = 2**62
_LONGEST = 160
_ON_THE_ENTRY = ("key", "digest", "link")
"""Long and of no use at a glance: on the entry's own page."""

_HASH = re.compile("[0-9a-f]{64}")

_Position = Annotated[int, Path(ge=1, le=_LARGEST)]


@router.get("/ledger")
async def stream(
    request: Request,
    services: ServicesOf,
    visitor: Visiting,
    before: Annotated[int, Query(ge=0, le=_LARGEST)] = 0,
    q: InQuery = "",
    kind: InQuery = "",
    who: InQuery = "",
) -> Response:
    """The newest first; with ``q``, ``kind`` or ``who`` the newest that hold it, are of it, by them."""
    desk = services.desk
    head = await ledger_size(desk, person=visitor.name)
    upto = min(before or head + 1, head + 1)
    if q or kind or who:
        found = list(
            await search_ledger(desk, person=visitor.name, text=q, limit=_PAGE, before=upto, kind=kind, actor=who)
        )
    else:
        first = max(0, upto - 1 - _PAGE)
        count = upto - 1 - first
        found = list(await read_ledger(desk, person=visitor.name, after=first, limit=count)) if count else []
    entries = [(entry, _told(entry)) for entry in reversed(found)]
    asked = {name: value for name, value in (("q", q), ("kind", kind), ("who", who)) if value}
    more = len(found) == _PAGE if asked else bool(found) and found[0].position > 1
    following = found[0].position if more else 0
    current = await current_ledger(services)
    checkpoint = _checkpoint(current)
    cosigned, lacking = _cosigned(services, checkpoint, now_of(request).timestamp())
    return page(
        request,
        visitor,
        "ledger.html",
        title="Ledger",
        place="ledger",
        entries=entries,
        asked=asked,
        following=following,
        head=head,
        before=before,
        kinds=sorted(EVENTS),
        checkpoint=checkpoint,
        cosigned=cosigned,
        lacking=lacking,
        key=ledger_key_of(services, current),
        replaced=replaced_keys(current, now_of(request)),
    )


@router.get("/ledger/{position}")
async def entry(position: _Position, request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    found = await _one(services, visitor.name, position)
    current = await current_ledger(services)
    checkpoint = _checkpoint(current)
    proved = isinstance(checkpoint, SignedCheckpoint) and position <= checkpoint.checkpoint.size
    text = json.dumps(json.loads(found.body), indent=2, ensure_ascii=False)
    return page(
        request,
        visitor,
        "entry.html",
        title=f"Entry {position}",
        place="ledger",
        entry=found,
        text=text,
        checkpoint=checkpoint,
        proved=proved,
        last=position == await ledger_size(services.desk, person=visitor.name),
        key=ledger_key_of(services, current),
    )


@router.get("/ledger/{position}/proof")
async def proof(position: _Position, services: ServicesOf, visitor: Visiting) -> Response:
    """A C2SP tlog-proof: with the ledger's key it is checked without this server."""
    found = await _one(services, visitor.name, position)
    checkpoint = _checkpoint(await current_ledger(services))
    if not isinstance(checkpoint, SignedCheckpoint) or position > checkpoint.checkpoint.size:
        raise NotFound("This entry is in no published checkpoint yet.", "Try again in a moment.")
    try:
        text = await write_proof(services.published, checkpoint, position, found.body)
    except DamagedError as error:
        raise NotFound("The published ledger is damaged here.", "See `interlock ledger verify`.") from error
    disposition = {"Content-Disposition": f'attachment; filename="entry-{position}.tlog-proof"'}
    return Response(text, media_type="text/plain; charset=utf-8", headers={**HEADERS, **disposition})


def _cosigned(services: Services, checkpoint: SignedCheckpoint | Broken, now_s: float) -> tuple[list[str], str | None]:
    """The witnesses whose cosignature of the newest checkpoint holds, and what it lacks of them."""
    if isinstance(checkpoint, Broken):
        return [], None
    witnesses = services.desk.configuration.witnesses
    try:
        keys = [read_verifier(one.key) for one in witnesses.of]
        lacking = explain_cosignatures(checkpoint, keys, witnesses.need, now_s)
        return sorted(cosigners(checkpoint, keys)), lacking
    except NotANote as error:
        return [], f"The cosignatures do not hold: {error}."


async def _one(services: Services, person: str, position: int) -> LedgerEntry:
    found = await read_ledger(services.desk, person=person, after=position - 1, limit=1)
    if not found or found[0].position != position:
        raise NotFound(f"The ledger has no entry {position}.", "See the page Ledger.")
    return found[0]


def _checkpoint(current: Current | Broken) -> SignedCheckpoint | Broken:
    return current.signed if isinstance(current, Current) else current


def _told(entry: LedgerEntry) -> str:
    """The event's own fields on one line."""
    event = json.loads(entry.body).get("event")
    if not isinstance(event, dict):
        return ""
    told = {
        name: value
        for name, value in event.items()
        if isinstance(value, str | int) and value != "" and not _HASH.fullmatch(str(value))
    }
    said = [f"{name} {value}" for name, value in told.items() if name not in _ON_THE_ENTRY and not name.endswith("_at")]
    return " · ".join(said)[:_LONGEST]
