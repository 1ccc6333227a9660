"""Coming in and going out: who we are, enrolment, sign-in, step-up, sign-out."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field, StringConstraints

from interlock.errors import NotFound
from interlock.services.end_login import end_login
from interlock.services.enrol import enrol
from interlock.services.recover import BETWEEN, recover
from interlock.services.sign_in import SignIn, sign_in
from interlock.services.step_up import step_up
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ProvedKey, ReadingPerson, ServicesOf, SignedInPerson, Working
from interlock.web.described import content
from interlock.web.models import Body, Code, Name, Secret, answer

PEM = "application/x-pem-file"
router = APIRouter(prefix="/v1")


class EnrolBody(Body):
    person: Name
    code: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(repr=False)
    password: Secret = Field(repr=False)


class SignInBody(Body):
    person: Name
    password: Secret = Field(repr=False)
    totp: Code | None = Field(default=None, repr=False)
    csr: Annotated[str, StringConstraints(min_length=1, max_length=8192)] | None = None


class CertificateBody(Body):
    csr: Annotated[str, StringConstraints(min_length=1, max_length=8192)]


class StepUpBody(Body):
    totp: Code = Field(repr=False)


@router.get("/health", responses=told(answered.HEALTH))
async def health(services: ServicesOf) -> JSONResponse:
    """200 when the state can be read and the active policy is the one that runs here."""
    async with services.desk.state.reading() as reading:
        await services.desk.check_policy(reading)
    return answer({"well": True})


@router.get("/authority", response_class=Response, responses=content(PEM, 200))
async def authority(services: ServicesOf) -> Response:
    return Response(services.front.authority.pem, media_type=PEM)


@router.post("/enrol", responses=told(answered.ENROLLED))
async def enrol_person(request: Request, body: EnrolBody, services: ServicesOf, _: ProvedKey) -> JSONResponse:
    let_in = recover if BETWEEN in body.code else enrol
    enrolled = await let_in(
        services.front, person=body.person, code=body.code, password=body.password, address=address_of(request)
    )
    return answer({"totp_secret": enrolled.totp_secret, "totp_uri": enrolled.totp_uri})


@router.post("/sign-in", responses=told(answered.SIGNED_IN))
async def sign_in_person(request: Request, body: SignInBody, services: ServicesOf, proof: ProvedKey) -> JSONResponse:
    wish = SignIn(
        person=body.person,
        password=body.password,
        totp=body.totp,
        csr=body.csr,
        key=proof.jkt,
        address=address_of(request),
    )
    signed_in = await sign_in(services.front, wish)
    return answer(
        {
            "login": signed_in.login.id,
            "person": signed_in.login.person,
            "token": signed_in.token.text,
            "token_ends_at": signed_in.token.ends_at,
            "certificate": signed_in.certificate,
            "authority": signed_in.authority,
            "ends_at": signed_in.login.ends_at,
            "present_at": signed_in.login.present_at,
        }
    )


@router.post("/step-up", responses=told(answered.FRESH_TOKEN))
async def prove_presence(
    request: Request, body: StepUpBody, services: ServicesOf, caller: SignedInPerson
) -> JSONResponse:
    stepped = await step_up(services.front, login_id=caller.login.id, totp=body.totp, address=address_of(request))
    token = {"token": stepped.token.text, "token_ends_at": stepped.token.ends_at}
    return answer({**token, "present_at": stepped.login.present_at})


@router.post("/certificate", responses=told(answered.CERTIFICATE))
async def certify(body: CertificateBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """A client certificate for this login's own key."""
    now = services.desk.clock.now()
    certificate = services.front.authority.issue_client(body.csr, login=caller.login, at=now)
    return answer({"certificate": certificate, "authority": services.front.authority.pem})


@router.post("/sign-out", responses=told(answered.LOGIN_NUMBER))
async def sign_out(services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    await end_login(services.desk, by=caller.name, login_id=caller.login.id)
    return answer({"login": caller.login.id})


@router.get(
    "/whoami",
    responses=told(
        answered.WHO,
        example={
            "person": "dev@acme.example",
            "vendor": "acme",
            "groups": [],
            "login": "l-7f3k2m9q",
            "key": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
            "signed_in_at": "2026-11-28T08:00:00.000000Z",
            "ends_at": "2026-11-28T16:00:00.000000Z",
            "present_at": "2026-11-28T08:00:00.000000Z",
        },
    ),
)
async def whoami(caller: ReadingPerson) -> JSONResponse:
    person, login = caller.person, caller.login
    return answer(
        {
            "person": person.name,
            "vendor": person.vendor,
            "groups": person.groups,
            "login": login.id,
            "key": login.key,
            "signed_in_at": login.signed_in_at,
            "ends_at": login.ends_at,
            "present_at": login.present_at,
        }
    )


@router.get("/workload", responses=told(answered.WORKLOAD))
async def workload(worker: Working) -> JSONResponse:
    """Which workload calls, and as whom it counts."""
    if not worker.acting.workload:
        raise NotFound("This is a person's login, and no workload's.", "See `interlock whoami`.")
    said = {"workload": worker.acting.workload, "owner": worker.name, "key": worker.key}
    return answer({**said, "since": worker.since, "ends_at": worker.ends_at})


def address_of(request: Request) -> str:
    """The caller's address as the connection has it: headers that claim another one are not believed."""
    return request.client.host if request.client is not None else "unknown"
