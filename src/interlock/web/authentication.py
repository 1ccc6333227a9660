"""Who calls. Looked up anew at every call: a token is only good as long as what it stands for.

Holds to:

* exactly one ``Authorization: DPoP`` and exactly one ``DPoP`` header; no other scheme, no cookie, no query parameter
* the token is ours and not over, the proof is for this call and of the token's key, and is used once
* a workload's token opens the calls that concern duties and gates, and counts as its owner
* a person's token opens the calls of persons, a gateway's those of gateways, never the other way round; a client that
  acts for a person opens those calls that only show something, and no other
* the login (or the gateway) is active with that very key, and the person has not left
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from interlock.domain.grants import Login
from interlock.domain.oauth import Scope as ClientScope
from interlock.domain.people import Person
from interlock.domain.signin import GatewayIdentity
from interlock.errors import Refusal
from interlock.identity.dpop import Proof
from interlock.identity.refusals import ProofProblem, ProofRefused, TokenRefused
from interlock.identity.tokens import AccessToken, Scope
from interlock.identity.workload_tokens import rule_of
from interlock.services.workloads import Acting, owner_of
from interlock.web.services import Services

_OWNERS = "The person asks, approves and connects: `interlock request RESOURCE …`, then `interlock connect RESOURCE`."
"""What a program that acts for a person cannot do: nobody is there to prove it."""
_HOLDERS = {
    Scope.PERSON: "a person's",
    Scope.GATEWAY: "a gateway's",
    Scope.CLIENT: "a client's",
    Scope.AGENT: "an agent's",
    Scope.WORKLOAD: "a workload's",
}
_AGAIN = "Type `interlock login`."
_AS_WORKLOAD = "Type `interlock login --workload NAME`."


@dataclass(frozen=True, slots=True)
class Caller:
    """A person in an active login."""

    person: Person
    login: Login

    @property
    def name(self) -> str:
        return self.person.name


@dataclass(frozen=True, slots=True)
class Worker:
    """Who carries duties and asks gates: a person in a login, or a workload, which counts as ``person``, its owner."""

    person: Person
    acting: Acting
    key: str
    since: datetime
    ends_at: datetime

    @property
    def name(self) -> str:
        return self.person.name


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(services_of)]


async def prove_key(request: Request, services: ServicesOf) -> Proof:
    """For calls without a token: which key the caller holds."""
    return await services.proofs.check(_single(request, "dpop"), method=request.method, url=_address(request))


async def sign_in_person(request: Request, services: ServicesOf) -> Caller:
    token = await _prove_token(request, services, Scope.PERSON)
    caller = await active_caller(services, token.login)
    if caller is None or (caller.name, caller.login.key) != (token.subject, token.key):
        raise TokenRefused("login-ended", "This login is over.", _AGAIN)
    return caller


async def sign_in_reader(request: Request, services: ServicesOf) -> Caller:
    """A person, or a client that may read for one. Nothing that changes or gives anything takes this."""
    token = await _prove_token(request, services, Scope.PERSON, Scope.CLIENT)
    if token.scope is Scope.PERSON:
        caller = await active_caller(services, token.login)
        holds = caller is not None and (caller.name, caller.login.key) == (token.subject, token.key)
    else:
        async with services.desk.state.reading() as reading:
            delegation = await reading.delegation(token.delegation)
        if delegation is None or not delegation.active(services.desk.clock.now()):
            raise TokenRefused("delegation-ended", "What this client was allowed has ended.", "Ask the person again.")
        if ClientScope.READ not in delegation.scopes:
            raise TokenRefused("wrong-scope", "This client may not read.", "Ask the person again.")
        caller = await active_caller(services, delegation.login)
        holds = caller is not None and (caller.name, delegation.key) == (token.subject, token.key)
    if caller is None or not holds:
        raise TokenRefused("login-ended", "This login is over.", _AGAIN)
    return caller


async def sign_in_worker(request: Request, services: ServicesOf) -> Worker:
    """A person, or a workload that is still what it was when it was let in."""
    token = await _prove_token(request, services, Scope.PERSON, Scope.WORKLOAD)
    if token.scope is Scope.PERSON:
        caller = await active_caller(services, token.login)
        if caller is None or (caller.name, caller.login.key) != (token.subject, token.key):
            raise TokenRefused("login-ended", "This login is over.", _AGAIN)
        login = caller.login
        return Worker(caller.person, Acting(login=login.id), login.key, login.signed_in_at, login.ends_at)
    workload = services.desk.configuration.workloads.get(token.subject)
    if workload is None or rule_of(workload) != token.rule:
        raise TokenRefused("workload-ended", "This workload is no longer what it was.", _AS_WORKLOAD)
    try:
        async with services.desk.state.reading() as reading:
            owner = await owner_of(services.desk, reading, workload.name)
    except Refusal as refusal:
        raise TokenRefused(refusal.code, refusal.sentence, refusal.remedy) from refusal
    return Worker(owner, Acting(workload=workload.name), token.key, token.issued_at, token.ends_at)


async def active_caller(services: Services, login_id: str) -> Caller | None:
    """The person of a login, if both are still there."""
    async with services.desk.state.reading() as reading:
        login = await reading.login(login_id)
        if login is None or not login.active(services.desk.clock.now()):
            return None
        person = await reading.person(login.person)
    return Caller(person, login) if person is not None and person.active else None


async def sign_in_gateway(request: Request, services: ServicesOf) -> GatewayIdentity:
    token = await _prove_token(request, services, Scope.GATEWAY)
    return await active_gateway(services, token.key)


async def active_gateway(services: Services, key: str) -> GatewayIdentity:
    """The gateway with that key. Raises TokenRefused when there is none, or no more."""
    async with services.desk.state.reading() as reading:
        gateway = await reading.gateway(key)
    if gateway is None or gateway.ended_at is not None:
        raise TokenRefused("no-gateway", "No gateway with this key may follow the feed.", "Let it join first.")
    if not services.desk.configuration.admits_gateway(key):
        raise TokenRefused(
            "no-gateway",
            f"The policy names the gateways that follow the feed, and none has the key {key}.",
            "Propose it: gateways.NAME.key in interlock.yaml.",
        )
    return gateway


async def _prove_token(request: Request, services: Services, *scopes: Scope) -> AccessToken:
    header = _single(request, "authorization")
    scheme, _, text = (header or "").partition(" ")
    if not text:
        raise TokenRefused("not-signed-in", "This call needs an access token.", _AGAIN)
    if scheme.lower() != "dpop":
        raise TokenRefused("not-signed-in", "Access tokens are taken with the scheme DPoP only.", _AGAIN)
    token = services.tokens.read(text)
    if token.scope not in scopes:
        remedy = _OWNERS if token.scope in (Scope.CLIENT, Scope.AGENT) else ""
        raise TokenRefused("wrong-scope", f"This call is not for {_HOLDERS[token.scope]} token.", remedy)
    await services.proofs.check(
        _single(request, "dpop"), method=request.method, url=_address(request), token=text, bound_to=token.key
    )
    return token


def _single(request: Request, name: str) -> str | None:
    found = request.headers.getlist(name)
    if len(found) > 1:
        raise ProofRefused(ProofProblem.UNREADABLE, f"The header {name} came more than once.")
    return found[0] if found else None


def _address(request: Request) -> str:
    """The address that was called, as it was called. The host was checked to be one of ours at the boundary."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return f"https://{request.headers['host']}{raw.decode('ascii', 'replace').partition('?')[0]}"


SignedInPerson = Annotated[Caller, Depends(sign_in_person)]
ReadingPerson = Annotated[Caller, Depends(sign_in_reader)]
SignedInGateway = Annotated[GatewayIdentity, Depends(sign_in_gateway)]
Working = Annotated[Worker, Depends(sign_in_worker)]
ProvedKey = Annotated[Proof, Depends(prove_key)]
