"""Attacks on the browser's session: planted, stolen, kept too long, sent by other sites' pages."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest

from interlock.services.end_login import end_login
from interlock.services.offboard_person import offboard_person
from tests.web.console.client import COOKIE, Client, enter, http_of
from tests.web.console.premises import DBA, DEV, LEAD, SECOND, Premises


@pytest.fixture
async def http(premises: Premises) -> AsyncIterator[httpx2.AsyncClient]:
    async with http_of(premises) as opened:
        yield opened


async def _is_in(client: Client) -> bool:
    answer = await client.get("/")
    assert answer.status_code in (200, 303)
    return answer.status_code == 200


async def test_the_cookie_is_for_this_host_alone_and_out_of_reach_of_scripts(
    premises: Premises, http: httpx2.AsyncClient
) -> None:
    client = await enter(premises, http, DEV)
    assert sorted(client.attributes.split("; ")) == ["HttpOnly", "Path=/", "SameSite=strict", "Secure"]
    answer = await client.get("/")
    assert client.cookie not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert " onclick" not in answer.text


async def test_without_a_session_every_page_leads_to_the_sign_in(premises: Premises, http: httpx2.AsyncClient) -> None:
    stranger = Client(premises, http)
    answer = await stranger.get("/decide/r-1?x=1")
    # Called by its number, it sends the browser to its name, to which passkeys belong.
    assert answer.headers["location"] == f"{premises.origin}/sign-in?next=%2Fdecide%2Fr-1%3Fx%3D1"
    assert "localhost" in premises.origin
    # A piece of a page leads back to the page, and to no other server's.
    nowhere = ("https://evil.example/x", "https://[", "http://[x]y/", "//", "", "\\\\evil.example", "javascript:x")
    for current, back in ((f"{stranger.origin}/decide?a=b", "%2Fdecide%3Fa%3Db"), *((one, "%2F") for one in nowhere)):
        answer = await stranger.get("/requests/r-1/prover", hx_request="true", hx_current_url=current)
        assert answer.status_code == 401
        assert answer.headers["hx-redirect"] == f"{premises.origin}/sign-in?next={back}"
    for cookie in ("", "x", "x" * 5000, f"a; {COOKIE}=b"):
        stranger.cookie = cookie
        assert not await _is_in(stranger)
    assert (await stranger.post("/console/session", {})).status_code == 401, "a cookie or a form opens no session"


async def test_a_planted_session_is_replaced_and_void(premises: Premises, http: httpx2.AsyncClient) -> None:
    """Fixation: the attacker's own session, planted in the victim's browser before the victim signs in."""
    attacker = await enter(premises, http, DEV)
    victim = await enter(premises, http, LEAD, planted=attacker.cookie)
    assert victim.cookie != attacker.cookie
    assert not await _is_in(attacker)
    unknown = await enter(premises, http, DBA, planted="chosen-by-the-attacker")
    assert unknown.cookie != "chosen-by-the-attacker"
    assert not await _is_in(Client(premises, http, "chosen-by-the-attacker"))


async def test_a_session_that_got_a_new_number_is_kept_when_the_act_is_refused(
    premises: Premises, http: httpx2.AsyncClient
) -> None:
    client = await enter(premises, http, SECOND)
    before = client.cookie
    form = {"token": await client.token(), "person": "<nobody>", "totp": premises.house.code(SECOND)}
    answer = await client.post("/people/contracts/acme-orders/invite", form)
    assert answer.status_code == 403
    client.take_cookie(answer)
    assert client.cookie != before
    assert await _is_in(client)
    assert not await _is_in(Client(premises, http, before))


async def test_two_cookies_are_none(premises: Premises, http: httpx2.AsyncClient) -> None:
    """A page of a neighbouring host may add a cookie; with two it is not guessed which is ours."""
    client = await enter(premises, http, DEV)
    answer = await client.get("/", cookie=f"{COOKIE}={client.cookie}; {COOKIE}=planted")
    assert answer.status_code == 303


async def test_the_session_ends_with_what_it_rests_on(premises: Premises, http: httpx2.AsyncClient) -> None:
    desk = premises.house.services.desk
    client, other, third = [await enter(premises, http, name) for name in (DEV, DBA, LEAD)]
    async with desk.state.reading() as reading:
        (login,) = await reading.logins(person=DEV, active_at=desk.clock.now())
    await end_login(desk, by=DEV, login_id=login.id)
    assert not await _is_in(client)
    await offboard_person(desk, by=SECOND, name=DBA, reason="left")
    assert not await _is_in(other)
    premises.house.clock.advance(timedelta(hours=9))
    assert not await _is_in(third)


async def test_signing_out_ends_the_login_and_the_cookie(premises: Premises, http: httpx2.AsyncClient) -> None:
    client = await enter(premises, http, DEV)
    answer = await client.post("/sign-out", {"token": await client.token()})
    assert answer.status_code == 303
    assert f'{COOKIE}=""' in answer.headers["set-cookie"]
    assert not await _is_in(client)
    assert await premises.house.world.events("login.ended")


async def test_a_form_that_is_not_ours_does_nothing(premises: Premises, http: httpx2.AsyncClient) -> None:
    asked = await premises.ask(DEV, "reader")
    client, another = await enter(premises, http, DBA), await enter(premises, http, LEAD)
    token = await client.token()
    path = f"/requests/{asked['id']}/approve"
    form = {"digest": asked["digest"], "totp": premises.house.code(DBA)}
    forged: list[tuple[dict[str, str], dict[str, str]]] = [
        (form, {}),
        ({**form, "token": "x"}, {}),
        ({**form, "token": await another.token()}, {}),
        ({**form, "token": token}, {"origin": "https://evil.example"}),
        ({**form, "token": token}, {"origin": "null"}),
        ({**form, "token": token}, {"sec_fetch_site": "cross-site"}),
        ({**form, "token": token}, {"sec_fetch_site": "same-site"}),
        ({**form, "token": token}, {"origin": "", "sec_fetch_site": ""}),
        ({**form, "token": token}, {"content_type": "text/plain"}),
    ]
    for fields, headers in forged:
        answer = await client.post(path, fields, **headers)
        assert answer.status_code == 400, (fields, headers)
    assert await premises.house.world.events("approval.given") == []
    answer = await client.get(f"{path}?digest={asked['digest']}&token={token}")
    assert answer.status_code == 405
    # … and the session alone approves nothing, though its login has just proved presence.
    bare = {"digest": asked["digest"], "token": token}
    assert (await client.post(path, bare)).status_code == 403
    assert await premises.house.world.events("approval.given") == []
    assert (await client.post(path, {**form, "token": token})).status_code == 303
    assert len(await premises.house.world.events("approval.given")) == 1


async def test_the_cookie_opens_no_call_of_the_api(premises: Premises, http: httpx2.AsyncClient) -> None:
    client = await enter(premises, http, SECOND)
    for path in ("/v1/whoami", "/v1/ledger", "/v1/requests"):
        assert (await client.get(path)).status_code == 401
    answer = await client.post("/v1/sign-out", {"token": await client.token()})
    assert answer.status_code == 401


async def test_nobody_is_led_elsewhere(premises: Premises, http: httpx2.AsyncClient) -> None:
    client = await enter(premises, http, DEV)
    grant = await premises.lend(DEV, "reader", DBA)
    token = await client.token()
    answer = await client.post(f"/grants/{grant.id}/end", {"token": token, "back": "//evil.example/"})
    assert answer.headers["location"] == "/"
