"""A browser's session with the console: a cookie that stands for a login which that browser's own key opened.

Holds to:

* a session is made for a caller who has just proved the login's key (DPoP), never for a password alone; the number
  that a browser brings is never taken over: one that is planted opens nothing and is replaced
* it rests on the login: with the login, the person or the contract it is over, whatever cookie is shown
* it gets a new number at sign-in and at every proof of presence; the old one is void at once
* only a hash of the number is kept
* forms carry a token against forged requests. It is the login's own: it stays when the number changes, so that the
  forms in the person's other tabs go on working, and ends with the login
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest

from fastapi.responses import Response
from starlette.requests import HTTPConnection

from interlock.domain.grants import Login
from interlock.domain.people import Person
from interlock.services.ending_rights import is_administrator
from interlock.web.authentication import active_caller
from interlock.web.services import Services

COOKIE = "__Host-interlock"
_LONGEST_NUMBER = 100


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person before a page. ``number`` is the session's, ``token`` what each of its forms carries."""

    person: Person
    login: Login
    number: str = field(repr=False)
    token: str = field(repr=False)

    @property
    def name(self) -> str:
        return self.person.name

    @property
    def is_employee(self) -> bool:
        """Employees see everybody, and all contracts; others some."""
        return self.person.is_employee

    @property
    def is_administrator(self) -> bool:
        return is_administrator(self.person)

    def sent_by(self, token: str) -> bool:
        """Whether a form came from a page of this very session."""
        return token.isascii() and compare_digest(token, self.token)


async def open_session(services: Services, login: Login, before: str = "") -> str:
    """The number of a new session that rests on ``login``, whose key the caller has proved. ``before`` is the number of
    the one that it replaces, which is void."""
    old = await end_session(services, before)
    token = str(old["token"]) if old is not None and old["login"] == login.id else secrets.token_urlsafe(32)
    number = secrets.token_urlsafe(32)
    kept = {"login": login.id, "token": token}
    await services.oauth.waiting.put(_name(number), kept, until=login.ends_at, origin=f"console {login.id}")
    return number


async def find_visitor(services: Services, request: HTTPConnection) -> Visitor | None:
    """Who calls, if the cookie stands for a login that is still there."""
    number = renewed_number(request) or cookie_of(request)
    kept = await services.oauth.waiting.look(_name(number)) if number else None
    if kept is None:
        return None
    caller = await active_caller(services, str(kept["login"]))
    return None if caller is None else Visitor(caller.person, caller.login, number, str(kept["token"]))


def renew(request: HTTPConnection, number: str) -> None:
    """From here on the session that answers this request has another number than the one that came with it."""
    request.state.session_number = number


def renewed_number(request: HTTPConnection) -> str:
    return str(getattr(request.state, "session_number", ""))


async def end_session(services: Services, number: str) -> Mapping[str, object] | None:
    return await services.oauth.waiting.take(_name(number)) if number else None


def cookie_of(request: HTTPConnection) -> str:
    """The number that came; empty when none did, or more than one, or nothing that was ever ours."""
    pairs = [part.strip().partition("=") for part in "; ".join(request.headers.getlist("cookie")).split(";")]
    found = [value for name, _, value in pairs if name == COOKIE]
    return found[0] if len(found) == 1 and len(found[0]) <= _LONGEST_NUMBER else ""


def give_cookie(response: Response, number: str) -> None:
    response.set_cookie(COOKIE, number, path="/", secure=True, httponly=True, samesite="strict")


def take_cookie(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


def _name(number: str) -> str:
    return f"console {number}"
