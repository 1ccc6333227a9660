"""What a gate lends, taken by whoever deploys: a certificate for this home's own key, and where to connect with it."""

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from interlock.cli.client import Client
from interlock.cli.output import emit, moment, waiting
from interlock.cli.pg_service import service_of, write_home_file
from interlock.cli.shown import harmless
from interlock.errors import Refusal
from interlock.identity.authority import make_request

_BETWEEN_S = 2.0
_WAIT_S = 600.0


def wanted_of(chain: str, artifact: str, environment: str, duration: int | None) -> dict[str, Any]:
    if duration is None:
        raise Refusal("no-duration", "For how long it is to be lent is not said.", "Say it: --lend 30m")
    return {"chain": chain, "artifact": artifact, "environment": environment, "duration_s": duration}


def take_what_is_lent(client: Client, wanted: Mapping[str, Any], *, wait: bool) -> dict[str, Any]:
    """The request, with its grant once it has begun; then the home has what its clients connect with."""
    request = client.post("/v1/gate/lend", {**wanted, "csr": make_request(client.home.private_key())})
    return _until_begun(client, request, wait=wait)


def _until_begun(client: Client, request: dict[str, Any], *, wait: bool) -> dict[str, Any]:
    until = time.monotonic() + _WAIT_S
    if wait and request["state"] == "open":
        with waiting(f"{request['id']} waits for its approvals …"):
            while request["state"] == "open" and time.monotonic() < until:
                time.sleep(_BETWEEN_S)
                csr = make_request(client.home.private_key())
                request = client.post(f"/v1/gate/lent/{request['id']}", {"csr": csr})
    if request.get("certificate"):
        _keep(client, request)
    return request


def _keep(client: Client, request: Mapping[str, Any]) -> None:
    home = client.home
    home.write(home.certificate.name, str(request["certificate"]))
    found = {"name": request["resource"], "kind": request["kind"], "connect": request["connect"]}
    service = service_of(found, str(request["person"]))
    if service is not None:
        write_home_file(home, [service])


def lent_words(request: Mapping[str, Any]) -> str:
    what = f"{request['role']} on {request['resource']}"
    grant = request.get("grant")
    if grant:
        until = moment(grant["ends_at"])
        return f"Lent: {what}, {grant['id']}, until {until}. Type: interlock connect {request['resource']}"
    if request["state"] == "open":
        return f"Asked for {what}: {request['id']}."
    why = request.get("decided_reason") or "no reason was given"
    return f"{what} was not lent: {request['id']} is {request['state']} ({why})."


def ask_in_emergency(client: Client, wanted: Mapping[str, Any], reason: str, *, wait: bool) -> None:
    """Ask for a deployment past the gate; with ``wait`` until a second person has confirmed it, or has not."""
    if not reason.strip():
        raise Refusal("reason-needed", "A reason is needed: others read it to decide.", "Give one with --reason.")
    asked: dict[str, Any] = client.post_present("/v1/gate/emergency", {**wanted, "reason": reason})
    request = _until_begun(client, asked, wait=wait)

    def show(console: Console) -> None:
        for sentence in request["content"]["gate_lacks"]:
            console.print(harmless(f"- {sentence}"), markup=False, soft_wrap=True)
        console.print(harmless(lent_words(request)), markup=False, soft_wrap=True)
        if request["state"] == "open":
            until = moment(request["expires_at"])
            say = f"Another who may break this glass confirms it until {until}: interlock approve {request['id']}"
            console.print(harmless(say), markup=False, soft_wrap=True)

    emit(request, show)
    if request["state"] not in ("open", "approved"):
        raise Refusal("not-lent", lent_words(request), "Ask again, or let the gate open.")
