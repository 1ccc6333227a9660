"""People and contracts: look and end."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from interlock.services.end_contract import end_contract
from interlock.services.list_people import list_contracts, list_people
from interlock.services.offboard_person import offboard_person
from interlock.services.offboarding_report import report_offboarding
from interlock.web.authentication import ReadingPerson, ServicesOf, SignedInPerson
from interlock.web.models import InPath, WithReason, answer, joined

router = APIRouter(prefix="/v1")


@router.get("/people")
async def people(services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    return answer(await list_people(services.desk, person=caller.name))


@router.post("/people/{name}/offboard")
async def offboard(name: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(await offboard_person(services.desk, by=caller.name, name=name, reason=body.reason))


@router.get("/people/{name}/offboarding")
async def offboarding(name: InPath, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """The report, and the same signed by the authority: it is verified without this server."""
    report = joined(await report_offboarding(services.desk, reader=caller.name, name=name))
    return answer({"report": report, "signed": services.front.authority.sign_report(report)})


@router.get("/contracts")
async def contracts(services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    return answer(await list_contracts(services.desk, person=caller.name))


@router.post("/contracts/{name}/end")
async def end(name: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    ended = await end_contract(services.desk, by=caller.name, contract_name=name, reason=body.reason)
    return answer({"contract": name, "ended": ended})
