"""People and contracts: a timeline, a person's page, and the ends of both."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from interlock.domain.people import Contract, Extension
from interlock.errors import NotFound, Refusal
from interlock.services.contract_life import ask_extension, confirm_contract, decide_extension, take_contract
from interlock.services.end_contract import end_contract
from interlock.services.endings import upto
from interlock.services.hearing import await_hearing
from interlock.services.invite import confirm_invited, end_invitation, invite, list_invitations
from interlock.services.list_people import list_contracts, list_extensions, list_people
from interlock.services.offboard_person import offboard_person
from interlock.services.offboarding_report import report_offboarding
from interlock.services.show_person import show_person
from interlock.services.step_up import step_up
from interlock.web.authentication import ServicesOf
from interlock.web.console.browser_sessions import Visitor
from interlock.web.console.page import Acting, PageRoute, Visiting, now_of, page, renew_session, to
from interlock.web.models import InPath, InQuery
from interlock.web.oauth import bad_request, needed
from interlock.web.routers.entrance import address_of
from interlock.web.services import Services

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_PAGE = 100
_SOON = timedelta(days=14)
_LIVING = ("running", "ending")


@dataclass(frozen=True, slots=True)
class Bar:
    """A contract on the time line. Places are thousandths of its width."""

    contract: Contract
    state: str
    start: int
    end: int
    review: int | None


@dataclass(frozen=True, slots=True)
class TimeLine:
    bars: tuple[Bar, ...]
    today: int
    first: datetime
    last: datetime


@router.get("/people")
async def people(
    request: Request, services: ServicesOf, visitor: Visiting, q: InQuery = "", after: InQuery = ""
) -> Response:
    everybody = await list_people(services.desk, person=visitor.name)
    wanted = q.lower()
    found = [
        one
        for one in everybody
        if one.name > after and wanted in f"{one.name} {one.vendor or 'employee'} {' '.join(one.groups)}".lower()
    ]
    following = found[_PAGE - 1].name if len(found) > _PAGE else ""
    context: dict[str, Any] = {"people": found[:_PAGE], "q": q, "following": following, "total": len(everybody)}
    return page(request, visitor, "people.html", title="People", place="people", **context)


@router.get("/people/contracts")
async def contracts(request: Request, services: ServicesOf, visitor: Visiting, after: InQuery = "") -> Response:
    all_of_them = await list_contracts(services.desk, person=visitor.name)
    found = [c for c in all_of_them if c.name > after]
    following = found[_PAGE - 1].name if len(found) > _PAGE else ""
    now = now_of(request)
    living = [c for c in all_of_them if _state(c, now) in _LIVING]
    soon = sorted((c for c in living if _state(c, now) == "ending"), key=lambda c: c.end)
    due = sorted((c for c in living if _soon(c.review_due, now)), key=lambda c: c.review_due or now)
    line = _time_line(found[:_PAGE], now)
    context: dict[str, Any] = {"line": line, "following": following, "soon": soon, "due": due}
    return page(request, visitor, "contracts.html", title="Contracts", place="people", **context)


@router.get("/people/contracts/{name}")
async def contract(name: InPath, request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    return await _show_contract(request, services, visitor, name)


async def _show_contract(
    request: Request, services: Services, visitor: Visitor, name: str, problem: Refusal | None = None
) -> Response:
    found = await list_contracts(services.desk, person=visitor.name)
    one = next((contract for contract in found if contract.name == name), None)
    if one is None:
        raise NotFound("There is no such contract that you may see.", "See the page Contracts.")
    covered = [p for p in await list_people(services.desk, person=visitor.name) if one.covers(p)]
    asked = [e for e in await list_extensions(services.desk, person=visitor.name) if e.contract == name]
    extension: Extension | None = asked[0] if asked else None
    invited = [i for i in await list_invitations(services.desk, person=visitor.name) if i.contract == name]
    now = now_of(request)
    return page(
        request,
        visitor,
        "contract.html",
        status=200 if problem is None else 403,
        title=f"Contract {name}",
        place="people",
        problem=problem,
        contract=one,
        state=_state(one, now),
        line=_time_line([one], now),
        covered=covered,
        extension=extension,
        invited=invited,
    )


@router.post("/people/contracts/{name}/invite")
async def give_link(name: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    """The link is on the page that answers, once, and nowhere else."""
    visitor, form = act
    person = needed(form, "person")
    try:
        await _present(request, services, visitor, form)
        invited = await invite(services.front, login_id=visitor.login.id, contract=name, person=person)
    except NotFound:
        raise
    except Refusal as refusal:
        response = await _show_contract(request, services, visitor, name, refusal)
    else:
        link = f"{services.oauth.issuer}/invitation#{invited.text}"
        context: dict[str, Any] = {"invitation": invited.invitation, "link": link}
        response = page(request, visitor, "invited.html", title="An invitation", place="people", **context)
    return response


@router.post("/people/contracts/{name}/admit")
async def admit(name: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    words, invitation = needed(form, "words")[:64], needed(form, "invitation")
    try:
        await _present(request, services, visitor, form)
        await confirm_invited(services.desk, login_id=visitor.login.id, invitation_id=invitation, words=words)
    except NotFound:
        raise
    except Refusal as refusal:
        response = await _show_contract(request, services, visitor, name, refusal)
    else:
        response = to(f"/people/contracts/{quote(name)}")
    return response


async def _present(request: Request, services: Services, visitor: Visitor, form: dict[str, str]) -> None:
    """A cookie alone brings nobody in: the form carries a one-time code."""
    code = needed(form, "totp").replace(" ", "")[:16]
    await step_up(services.front, login_id=visitor.login.id, totp=code, address=address_of(request))
    await renew_session(request, services, visitor)


@router.post("/people/contracts/{name}/{what}")
async def act_on(name: InPath, what: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    try:
        await _act_on(services, visitor, name, what, form)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _show_contract(request, services, visitor, name, refusal)
    return to(f"/people/contracts/{quote(name)}")


async def _act_on(services: Services, visitor: Visitor, name: str, what: str, form: dict[str, str]) -> None:
    desk = services.desk
    match what:
        case "confirm":
            await confirm_contract(desk, by=visitor.name, name=name)
        case "take":
            await take_contract(desk, by=visitor.name, name=name)
        case "uninvite":
            reason = form.get("reason", "") or "not needed"
            await end_invitation(desk, by=visitor.name, invitation_id=needed(form, "invitation"), reason=reason)
        case "end":
            await end_contract(desk, by=visitor.name, contract_name=name, reason=form.get("reason", ""))
        case "extend":
            reason = form.get("reason", "")
            await ask_extension(desk, login_id=visitor.login.id, name=name, until=_day(form), reason=reason)
        case "answer":
            agree = needed(form, "agree") == "yes"
            until = datetime.fromtimestamp(_number(form, "until_s"), UTC)
            await decide_extension(desk, login_id=visitor.login.id, name=name, until=until, agree=agree)
        case _:
            raise NotFound("There is no such page.", "Start from Home.")


@router.get("/people/{name}")
async def person(name: InPath, request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    view = await show_person(services.desk, reader=visitor.name, name=name)
    report = None
    if not view.person.active:
        try:
            report = await report_offboarding(services.desk, reader=visitor.name, name=name)
        except Refusal:
            report = None
    return page(request, visitor, "person.html", title=name, place="people", view=view, report=report)


@router.post("/people/{name}/offboard")
async def offboard(name: InPath, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    done = await offboard_person(services.desk, by=visitor.name, name=name, reason=form.get("reason", ""))
    await await_hearing(services.desk.state, upto(done.ended))
    return to(f"/people/{name}")


def _soon(at: datetime | None, now: datetime) -> bool:
    return at is not None and at - now < _SOON


def _state(contract: Contract, now: datetime) -> str:
    if contract.ended_at is not None or now >= contract.end:
        return "ended"
    if contract.paused_at is not None:
        return "paused"
    if now < contract.start:
        return "coming"
    return "ending" if contract.end - now < _SOON else "running"


def _time_line(contracts: list[Contract], now: datetime) -> TimeLine:
    first = min([c.start for c in contracts] + [now - timedelta(days=30)])
    last = max([c.end for c in contracts] + [now + timedelta(days=60)])
    first, last = max(first, now - timedelta(days=400)), min(last, now + timedelta(days=800))

    def place(at: datetime) -> int:
        return round(1000 * min(1.0, max(0.0, (at - first) / (last - first))))

    bars = []
    for contract in contracts:
        due = contract.review_due
        shown = place(due) if due is not None and first <= due <= last else None
        end = min(contract.end, contract.ended_at or contract.end)
        start = place(contract.start)
        bars.append(Bar(contract, _state(contract, now), start, max(place(end), start + 4), shown))
    return TimeLine(tuple(bars), place(now), first, last)


def _day(form: dict[str, str]) -> datetime:
    try:
        return datetime.strptime(needed(form, "until"), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise bad_request("the day is none") from error


def _number(form: dict[str, str], name: str) -> int:
    text = needed(form, name)
    if not text.isdecimal() or len(text) > 11:
        raise bad_request(f"{name} is no number")
    return int(text)
