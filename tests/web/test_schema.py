"""The API against its own OpenAPI description: whatever is sent by whomever, the answer is one that is described.

Left out: the two streams that do not end while they are allowed (``/v1/gateway/feed`` and a session's ``watch``), for
those who may open them; nobody's calls of them are made. SCIM and the pages of the console are in no description.
"""

import asyncio
import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from interlock.domain.grants import Grant, Request
from interlock.domain.people import Contract, Person
from interlock.errors import Misuse
from interlock.identity.dpop import ProofMaker
from interlock.identity.keys import new_key
from interlock.web.answers import COMPONENTS, schema_of, shape
from interlock.web.api import build_api
from tests.services.world import ADMIN, DBA, DEV
from tests.web.house import House

EXAMPLES = 2
"""For each call, of each kind of data."""
STREAMS = ("/v1/gateway/feed", "/v1/sessions/{session_id}/watch")
LAST = ("/offboard", "/end", "/sign-out")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ASK = {"resource": "orders", "role": "writer", "reason": "the order of a customer", "duration_s": 3600}
WRONG = (
    ("application/json", b""),
    ("application/json", b"{}"),
    ("application/json", b"[]"),
    ("application/json", b"null"),
    ("application/json", b'"\\ud800"'),
    ("application/json", b"[" * 20_000),
    ("application/json", b"\xff\xfe"),
    ("application/json", b'{"a": NaN, "a": 1e999}'),
    ("application/x-www-form-urlencoded", b"grant_type=%00&client_id=%ff&client_id"),
    ("application/x-www-form-urlencoded", b"grant_type=refresh_token&refresh_token=a.b.c&client_id=http://[&token=x"),
    ("multipart/form-data; boundary=x", b"--x\r\n"),
    ("text/plain", b"\0" * 100),
)


@dataclass
class Caller:
    """Signs each call as it goes out."""

    house: House
    prover: ProofMaker
    token: str | None
    name: str

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        nonce = self.house.services.proofs.nonces.current()
        method, url = str(request.method), str(request.url)
        at = self.house.clock.now()
        proof = self.prover.make(method=method, url=url, at=at, token=self.token, nonce=nonce)
        request.headers["DPoP"] = proof
        if self.token is not None:
            request.headers["Authorization"] = f"DPoP {self.token}"
        return request


def unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


Sign = Callable[[requests.PreparedRequest], requests.PreparedRequest]


async def callers_of(house: House) -> Mapping[str, Sign]:
    callers: dict[str, Sign] = {"nobody": unsigned, "a key": Caller(house, ProofMaker(new_key()), None, "a key")}
    for person in (DEV, DBA, ADMIN):
        key = new_key()
        client = await house.signed_in(person, key=key, present=True)
        callers[person] = Caller(house, ProofMaker(key), client.auth.token, person)
    key = new_key()
    gateway = await house.gateway(key=key)
    callers["gateway"] = Caller(house, ProofMaker(key), gateway.auth.token, "gateway")
    return callers


Call = APIOperation[Any, Any, Any, Any]


def calls_of(house: House, description: Mapping[str, Any]) -> list[Call]:
    """The calls, those that end something after all others."""
    schema = schemathesis.openapi.from_dict(dict(description))
    schema.config.update(base_url=house.server)
    found: list[Call] = []
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        found.append(result.ok())
    return sorted(found, key=lambda call: (call.path.endswith(LAST), call.path == "/v1/sign-out"))


def known_parts(path: str, request: str) -> dict[str, str]:
    """Names of things that are there, for the parts of a path."""
    known = {"name": "acme-orders" if "/contracts/" in path else DEV}
    if path != "/v1/requests/{request_id}":  # It would wait, as it is asked to, for what does not come.
        known["request_id"] = request
    return {part: known.get(part, "1") for part in re.findall(r"{(\w+)}", path)}


@dataclass
class Trial:
    """What was sent, and what of it was answered wrongly."""

    session: requests.Session
    callers: Mapping[str, Sign]
    request: str
    """One that is open."""
    statuses: Counter[int] = field(default_factory=Counter)
    reached: set[str] = field(default_factory=set)
    faults: dict[str, str] = field(default_factory=dict)

    def whom(self, call: Call) -> Sequence[str]:
        return ("nobody", "a key") if call.path in STREAMS else tuple(self.callers)

    def proper(self, call: Call) -> Sequence[str]:
        """One who gets as far as what is sent; who does not is asked for it before."""
        if call.path in STREAMS:
            return ("nobody",)
        return ("gateway",) if call.path.startswith("/v1/gateway/") else (DBA,)

    def send(self, case: Case[Any], who: str) -> None:
        sent: dict[str, Any] = {"auth": self.callers[who], "verify": self.session.verify}
        self.judge(case, who, case.call(session=self.session, allow_redirects=False, timeout=30, **sent))

    def send_wrong(self, case: Case[Any], who: str, kind: str, body: bytes) -> None:
        url = f"{case.operation.base_url}{case.formatted_path}"
        sent: dict[str, Any] = {"auth": self.callers[who], "allow_redirects": False, "timeout": 30}
        answered = self.session.request(case.method, url, data=body, headers={"Content-Type": kind}, **sent)
        self.judge(case, who, Response.from_requests(answered, verify=True))

    def judge(self, case: Case[Any], who: str, answered: Response) -> None:
        self.statuses[answered.status_code] += 1
        if answered.status_code < 400:
            self.reached.add(case.operation.label)
        try:
            case.validate_response(answered, checks=CHECKS)
        except FailureGroup as group:
            place = f"{case.operation.label} as {who}: {answered.status_code}"
            self.faults.setdefault(place, f"{group.exceptions} {answered.text[:200]}")


def try_generated(trial: Trial, call: Call, mode: GenerationMode) -> None:
    """What fits goes to things that are there, what does not to things that are not as well."""
    fits = mode is GenerationMode.POSITIVE
    parts = known_parts(call.path, trial.request) if fits else None
    callers = trial.whom(call) if fits else trial.proper(call)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=call.as_strategy(generation_mode=mode, path_parameters=parts))
    def run(case: Case[Any]) -> None:
        for who in callers:
            trial.send(case, who)

    run()


def try_all(house: House, callers: Mapping[str, Sign], request: str, authority: Path) -> Trial:
    with requests.Session() as session:
        session.verify, session.trust_env = str(authority), False
        trial = Trial(session, callers, request)
        for call in calls_of(house, build_api(house.services).openapi()):
            known = call.Case(path_parameters=known_parts(call.path, request))
            for who in ("nobody", "a key", *trial.proper(call)):
                for kind, body in WRONG if call.method == "post" and who != "nobody" else WRONG[:1]:
                    trial.send_wrong(known, who, kind, body)
            try_generated(trial, call, GenerationMode.POSITIVE)
            # What takes nothing has nothing that could be wrong.
            with suppress(Unsatisfiable):
                try_generated(trial, call, GenerationMode.NEGATIVE)
    return trial


def test_every_yes_in_json_has_a_form(house: House) -> None:
    described = build_api(house.services).openapi()
    bare = [
        f"{method.upper()} {path}: {status}"
        for path, calls in described["paths"].items()
        for method, call in calls.items()
        for status, said in call["responses"].items()
        if not said.get("content", {}).get("application/json", {"schema": "none"})["schema"]
    ]
    assert bare == []


def test_a_form_is_what_the_codec_writes() -> None:
    """Made of the same types by the same rules: of each domain type whatever is written fits its form."""
    for name, kind in (("Request", Request), ("Grant", Grant), ("Contract", Contract), ("Person", Person)):
        form = {**schema_of(kind), "components": {"schemas": COMPONENTS}}
        assert form["$ref"].endswith(name)
        properties = COMPONENTS[name]["properties"]
        assert set(properties) == {field.name for field in dataclasses.fields(kind)}
        assert set(COMPONENTS[name]["required"]) == set(properties)
    with pytest.raises(Misuse, match="written by no rule"):
        schema_of(complex)
    with pytest.raises(Misuse, match="two forms of answers"):
        schema_of(shape("Request", more=int))


async def test_every_answer_is_one_that_is_described(house: House, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_text(house.authority.pem)
    request = (await (await house.signed_in(DEV)).post("/v1/requests", ASK))["id"]
    trial = await asyncio.to_thread(try_all, house, await callers_of(house), request, authority)
    assert not trial.faults, "\n".join(f"{place}: {said}" for place, said in sorted(trial.faults.items()))
    assert set(trial.statuses) >= {200, 400, 401, 403, 404, 422}, trial.statuses
    assert len(trial.reached) > 35, trial.reached
