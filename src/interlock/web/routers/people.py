"""People and contracts: look and end."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from interlock.domain.people import Contract, Extension, Person
from interlock.services.contract_life import ask_extension, confirm_contract, decide_extension, take_contract
from interlock.services.end_contract import end_contract
from interlock.services.endings import upto
from interlock.services.hearing import await_hearing
from interlock.services.list_people import list_contracts, list_extensions, list_people
from interlock.services.offboard_person import Offboarding, offboard_person
from interlock.services.offboarding_report import report_offboarding
from interlock.services.recover import help_recover
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ReadingPerson, ServicesOf, SignedInPerson
from interlock.web.models import Body, InPath, WithReason, answer, joined

router = APIRouter(prefix="/v1")

_Moment = Annotated[int, Field(gt=0, lt=10**11)]


class ExtendBody(WithReason):
    until_s: _Moment


class DecideBody(Body):
    until_s: _Moment
    agree: bool


@router.get("/people", responses=told(Sequence[Person]))
async def people(services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    return answer(await list_people(services.desk, person=caller.name))


@router.post("/people/{name}/offboard", responses=told(Offboarding))
async def offboard(name: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """Waits a moment for the gateways to hear of it; the report says which have not."""
    done = await offboard_person(services.desk, by=caller.name, name=name, reason=body.reason)
    await await_hearing(services.desk.state, upto(done.ended))
    return answer(done)


@router.post("/people/{name}/recovery", responses=told(answered.RECOVERY))
async def recovery(name: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """One half of the code with which the person comes in again."""
    issued = await help_recover(services.front, login_id=caller.login.id, name=name, reason=body.reason)
    return answer({"person": issued.person, "half": issued.text, "expires_at": issued.enrolment.expires_at})


@router.get("/people/{name}/offboarding", responses=told(answered.OFFBOARDING))
async def offboarding(name: InPath, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """The report, and the same signed by the authority: it is verified without this server."""
    report = joined(await report_offboarding(services.desk, reader=caller.name, name=name))
    return answer({"report": report, "signed": services.front.authority.sign_report(report)})


@router.get("/contracts", responses=told(Sequence[Contract]))
async def contracts(services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    return answer(await list_contracts(services.desk, person=caller.name))


@router.get("/extensions", responses=told(Sequence[Extension]))
async def extensions(services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    """The extensions that wait for an employee's answer."""
    return answer(await list_extensions(services.desk, person=caller.name))


@router.post("/contracts/{name}/confirm", responses=told(Contract))
async def confirm(name: InPath, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(await confirm_contract(services.desk, by=caller.name, name=name))


@router.post("/contracts/{name}/take", responses=told(Contract))
async def take(name: InPath, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(await take_contract(services.desk, by=caller.name, name=name))


@router.post("/contracts/{name}/extend", responses=told(Extension))
async def extend(name: InPath, body: ExtendBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    until = datetime.fromtimestamp(body.until_s, UTC)
    return answer(
        await ask_extension(services.desk, login_id=caller.login.id, name=name, until=until, reason=body.reason)
    )


@router.post("/contracts/{name}/extension", responses=told(answered.EXTENDED))
async def decide(name: InPath, body: DecideBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    until = datetime.fromtimestamp(body.until_s, UTC)
    contract, extension = await decide_extension(
        services.desk, login_id=caller.login.id, name=name, until=until, agree=body.agree
    )
    return answer({"contract": contract, "extension": extension})


@router.post("/contracts/{name}/end", responses=told(answered.CONTRACT_ENDED))
async def end(name: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    ended = await end_contract(services.desk, by=caller.name, contract_name=name, reason=body.reason)
    return answer({"contract": name, "ended": ended})
