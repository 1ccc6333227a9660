"""Commands around the login: enrol with a code, sign in, sign out, who am I."""

import os
import sys
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from interlock.cli import output
from interlock.cli.client import Client, ServerOption, ask_password, ask_totp, choose_server, signed_in
from interlock.cli.home import Home, open_home
from interlock.cli.oauth_login import login_with_browser, login_with_code
from interlock.cli.output import JsonOption, emit, left, moment, note
from interlock.cli.pg_service import (
    Service,
    clear_users_file,
    merge_users_file,
    service_of,
    users_file,
    write_home_file,
)
from interlock.cli.shown import harmless
from interlock.cli.workload_login import login_of_job
from interlock.errors import InterlockError, Refusal
from interlock.identity.api_client import ApiClient, authority_digest, fetch_authority
from interlock.identity.authority import make_request


class How(StrEnum):
    """By what a person signs in."""

    BROWSER = "browser"
    CODE = "code"
    PASSWORD = "password"  # noqa: S105 -- a word, not a secret


def add_to(app: typer.Typer) -> None:
    app.command("login")(login)
    app.command("logout")(logout)
    app.command("whoami")(whoami)


def login(
    server: ServerOption = None,
    person: Annotated[str | None, typer.Option("--person", help="Who you are; remembered from the last time.")] = None,
    code: Annotated[
        str | None,
        typer.Option("--code", help="The one-time code from the operator, CODE.FINGERPRINT: the first time."),
    ] = None,
    enrol_only: Annotated[
        bool, typer.Option("--enrol-only", help="With --code: set password and authenticator, do not sign in yet.")
    ] = False,
    how: Annotated[
        How | None,
        typer.Option(
            "--how",
            help="browser: on this machine's; code: on any, with a code shown here; password: here. By default the "
            "browser when there is one, else a code; the password with --code, INTERLOCK_PASSWORD or in a script.",
        ),
    ] = None,
    pg_service: Annotated[
        bool | None,
        typer.Option(
            "--pg-service/--no-pg-service",
            help="Write a section for each resource into ~/.pg_service.conf (default: unless INTERLOCK_HOME is set).",
        ),
    ] = None,
    workload: Annotated[
        str | None,
        typer.Option("--workload", metavar="NAME", help="In a CI job: be let in as this workload of interlock.yaml."),
    ] = None,
    job_token: Annotated[
        Path | None,
        typer.Option("--job-token", help="With --workload: the file with the token that the CI system gave the job."),
    ] = None,
    authority: Annotated[
        str | None,
        typer.Option(
            "--authority",
            envvar="INTERLOCK_AUTHORITY",
            help="The fingerprint of the server's authority, where nobody is there to compare it.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Sign in: a short-lived certificate for clients and a token for commands, both bound to a key of yours."""
    home = open_home()
    address = choose_server(server, home)
    if workload is not None:
        login_of_job(home, address, workload, job_token, _authority(home, address, authority))
        emit(_public(home.login()), _welcome_job)
        return
    name = person or str(home.settings().get("person") or "")
    way = how or _way(code)
    if not name and (way is How.PASSWORD or code):
        raise typer.BadParameter("say who you are: --person NAME")
    if enrol_only and not code:
        raise typer.BadParameter("--enrol-only needs --code")
    pinned = _authority(home, address, _fingerprint_in(code) if code else authority)
    with ApiClient(address, key=home.private_key(), authority=pinned) as api:
        enrolled = _enrol(api, name, code) if code else None
        # Shown before anything else can fail: the code is used, and the secret is nowhere else.
        if enrolled and enrol_only:
            emit(enrolled, _show_secret(enrolled))
        elif enrolled:
            _show_secret(enrolled)(output.aside())
        home.write(home.authority.name, pinned)
        home.remember(server=address, person=name)
        if enrol_only:
            return
        signed = _sign_in(api, home, name) if way is How.PASSWORD else _through_browser(api, home, way, person)
        name = str(signed["person"])
        home.remember(person=name)
    _keep(home, address, name, signed)
    written = _write_services(home, pg_service)
    emit({**_public(home.login()), "services": written, "enrolled": enrolled}, lambda console: _welcome(console, home))


def logout(server: ServerOption = None, json: JsonOption = False) -> None:
    """End this login, and forget its certificate and token here. The key stays: grants are bound to it."""
    home = open_home()
    ended = False
    try:
        with signed_in(server) as client:
            client.post("/v1/sign-out")
            ended = True
    except InterlockError as error:
        note(f"The server was not told: {error.sentence}")
    clear_users_file(users_file(), home)
    home.forget_login()
    emit({"ended": ended}, lambda console: console.print("Signed out."))


def whoami(server: ServerOption = None, json: JsonOption = False) -> None:
    """The person, the login and what it rests on, as the server sees it."""
    if open_home().login().get("workload"):
        _who_works(server)
        return
    with signed_in(server) as client:
        answer = client.get("/v1/whoami")
        home = client.home
        address = client.api.server

    def show(console: Console) -> None:
        origin = f"of {answer['vendor']}" if answer.get("vendor") else "an employee"
        console.print(
            f"[bold]{escape(harmless(answer['person']))}[/bold], {escape(harmless(origin))}, on {escape(address)}"
        )
        if answer.get("groups"):
            console.print(escape(harmless(f"in {', '.join(answer['groups'])}")))
        console.print(
            f"signed in until {moment(answer['ends_at'])}, {left(answer['ends_at'])} left ({answer['login']})"
        )
        if answer.get("present_at"):
            console.print(f"last one-time code at {moment(answer['present_at'])}")
        console.print(f"home {home.root}", soft_wrap=True)

    emit(answer, show)


def _who_works(server: str | None) -> None:
    with signed_in(server) as client:
        answer = client.get("/v1/workload")
        address = client.api.server

    def show(console: Console) -> None:
        console.print(
            f"the workload [bold]{escape(harmless(answer['workload']))}[/bold], which counts as "
            f"{escape(harmless(answer['owner']))}, on {escape(address)}"
        )
        console.print(f"let in until {moment(answer['ends_at'])}, {left(answer['ends_at'])} left")

    emit(answer, show)


def _fingerprint_in(code: str) -> str:
    """What stands behind the dot of a code, or of both halves of one (``HALF.FINGERPRINT+HALF.FINGERPRINT``)."""
    found = {half.strip().partition(".")[2] for half in code.split("+")} - {""}
    if len(found) > 1:
        raise Refusal(
            "wrong-authority", "The two halves are of two servers.", "Ask both helpers for their halves again."
        )
    return next(iter(found), "")


def _authority(home: Home, server: str, fingerprint: str | None) -> str:
    """The authority to trust: named by its fingerprint, else pinned already, else compared by the person."""
    if fingerprint:
        return fetch_authority(server, fingerprint)
    if home.authority.exists():
        # Whatever its address: a server that this authority did not certify fails the handshake.
        return home.authority.read_text()
    found = fetch_authority(server, None)
    if not sys.stdin.isatty():
        raise Refusal(
            "unknown-authority",
            f"{server} is not known here yet, and nobody is there to compare its fingerprint.",
            "Sign in with a code (--code CODE.FINGERPRINT), name its fingerprint (--authority), or use a terminal.",
        )
    note(f"{server} is not known here yet. Its authority's fingerprint is\n  {authority_digest(found)}")
    if not typer.confirm("Is that what the operator told you?", default=False, err=True):
        raise Refusal("unknown-authority", "Nothing was trusted.", "Ask the operator for the fingerprint.")
    return found


def _enrol(api: ApiClient, person: str, code: str) -> dict[str, Any]:
    password = ask_password("New password", twice=True)
    answer: dict[str, Any] = api.post("/v1/enrol", {"person": person, "code": code, "password": password})
    return answer


def _show_secret(enrolled: Mapping[str, Any]) -> Callable[[Console], None]:
    def show(console: Console) -> None:
        console.print("Add this to your authenticator now; it is not shown again:")
        console.print(
            f"  secret {enrolled.get('totp_secret')}\n  {enrolled.get('totp_uri')}", markup=False, soft_wrap=True
        )

    return show


def _way(code: str | None) -> How:
    if code or os.environ.get("INTERLOCK_PASSWORD") or not sys.stdin.isatty():
        return How.PASSWORD
    with suppress(webbrowser.Error):
        # A browser in the terminal itself cannot make the page's key.
        if not isinstance(webbrowser.get(), webbrowser.GenericBrowser):
            return How.BROWSER
    return How.CODE


def _through_browser(api: ApiClient, home: Home, way: How, wanted: str | None) -> dict[str, Any]:
    """A login of this home's key, given on the sign-in page; then its certificate."""
    got = login_with_browser(api) if way is How.BROWSER else login_with_code(api)
    api.auth.token = str(got["access_token"])
    if wanted is not None and got["person"] != wanted:
        api.post("/v1/sign-out")
        raise Refusal(
            "other-person",
            f"In the browser {got['person']} is signed in, not {wanted}: that login was ended.",
            "Sign out there first, on the page /sign-in.",
        )
    who = api.get("/v1/whoami")
    certified = api.post("/v1/certificate", {"csr": make_request(home.private_key())})
    kept = {name: who[name] for name in ("login", "person", "ends_at", "present_at")}
    return {**kept, **certified, "token": got["access_token"], "token_ends_at": who["ends_at"]}


def _sign_in(api: ApiClient, home: Home, person: str) -> dict[str, Any]:
    body: dict[str, Any] = {"person": person, "password": ask_password(), "csr": make_request(home.private_key())}
    if os.environ.get("INTERLOCK_TOTP"):
        body["totp"] = ask_totp()
    try:
        answer = api.post("/v1/sign-in", body)
    except Refusal as refusal:
        if refusal.code != "totp-needed" or "totp" in body:
            raise
        answer = api.post("/v1/sign-in", {**body, "totp": ask_totp()})
    signed: dict[str, Any] = answer
    return signed


def _keep(home: Home, server: str, person: str, signed: Mapping[str, Any]) -> None:
    home.write(home.certificate.name, str(signed["certificate"]))
    home.write(home.authority.name, str(signed["authority"]))
    kept = {name: value for name, value in signed.items() if name not in ("certificate", "authority")}
    home.keep_login({**kept, "server": server, "person": person})


def _write_services(home: Home, wanted: bool | None) -> list[str]:
    """The names that `psql service=NAME` now understands in the user's own file."""
    with signed_in(None) as client:
        services = services_of(client)
    write_home_file(home, services)
    if not (home.default if wanted is None else wanted):
        return []
    file = users_file()
    written, taken = merge_users_file(file, home, services)
    for name in taken:
        note(f"{file} has a section [{name}] of somebody else's: it was left alone.")
    return written


def services_of(client: Client) -> list[Service]:
    """Every resource that libpq can reach, as the server lists it for this person."""
    services = (service_of(resource, client.person) for resource in client.get("/v1/resources"))
    return [service for service in services if service is not None]


def _public(login: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in login.items() if name != "token"}


def _welcome_job(console: Console) -> None:
    kept = open_home().login()
    console.print(
        f"Let in as the workload [bold]{escape(harmless(str(kept['workload'])))}[/bold], which counts as "
        f"{escape(harmless(str(kept['person'])))}, until {moment(kept.get('ends_at'))}."
    )


def _welcome(console: Console, home: Home) -> None:
    kept = home.login()
    console.print(
        f"Signed in as [bold]{escape(str(kept['person']))}[/bold] until {moment(kept.get('ends_at'))}, "
        f"{left(kept.get('ends_at'))} from now."
    )
    console.print("See what there is:  interlock resources")
    if not home.default:
        console.print(
            f"Clients:            PGSERVICEFILE={home.services} psql service=NAME", markup=False, soft_wrap=True
        )
