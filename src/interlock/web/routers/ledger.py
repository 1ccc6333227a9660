"""The ledger, for those who may read it."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from interlock.errors import NotFound
from interlock.ledger.tiles import is_path
from interlock.ports.state import LedgerEntry
from interlock.services.list_people import check_ledger_reader, read_ledger, search_ledger
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf, SignedInPerson
from interlock.web.ledger_now import newest_ledger_key
from interlock.web.models import InQuery, answer

router = APIRouter(prefix="/v1/ledger")

_LARGEST = 2**62


@router.get("", responses=told(Sequence[LedgerEntry]))
async def page(
    services: ServicesOf,
    caller: SignedInPerson,
    after: Annotated[int, Query(ge=0, le=_LARGEST)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> JSONResponse:
    return answer(await read_ledger(services.desk, person=caller.name, after=after, limit=limit))


@router.get("/search", responses=told(Sequence[LedgerEntry]))
async def search(services: ServicesOf, caller: SignedInPerson, q: InQuery) -> JSONResponse:
    return answer(await search_ledger(services.desk, person=caller.name, text=q))


@router.get("/key", responses=told(answered.KEY))
async def key(services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """The newest key that signs checkpoints; for everybody, so that a proof can be checked by who gets one."""
    return answer({"key": await newest_ledger_key(services)})


@router.get("/published", responses=told(answered.PUBLISHED))
async def published(services: ServicesOf, caller: SignedInPerson, q: InQuery) -> JSONResponse:
    """One object of the published ledger, by its path in C2SP's layout."""
    await check_ledger_reader(services.desk, person=caller.name)
    content = await services.published.read(q) if is_path(q) else None
    if content is None:
        raise NotFound("The published ledger has no such object.", "See `interlock ledger checkpoint`.")
    return answer({"content": content})


@router.get("/{position}", responses=told(LedgerEntry))
async def entry(
    services: ServicesOf, caller: SignedInPerson, position: Annotated[int, Path(ge=1, le=_LARGEST)]
) -> JSONResponse:
    found = await read_ledger(services.desk, person=caller.name, after=position - 1, limit=1)
    if not found or found[0].position != position:
        raise NotFound(f"The ledger has no entry {position}.", "See `interlock ledger show`.")
    return answer(found[0])
