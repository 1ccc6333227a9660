"""A person signs in through an identity provider, and gets a login with the key of their browser.

Holds to:

* who answers is the browser that asked: the same key proves both calls, so that nobody is signed in with somebody
  else's answer (login CSRF), and each answer is taken once
* a provider's subject is one person's: linked by the configuration (``identities: {oidc: ["ISSUER SUBJECT"]}``), or at
  the first sign-in by the provider's rule: the claim that names the person is verified by the provider
  (``email_verified``), lies in one of the rule's domains, and is the name of a person here. From then on the subject
  counts and the claim does not: who gets an old e-mail address gets no old person
* a subject that is linked stays linked; a person to whom the provider has linked a subject is given no second one
* presence is what the provider says it proved with more than one factor; who needs it and has not proved it is refused
* the rules of sign-in on persons, contracts and keys hold
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from interlock.domain.grants import Login
from interlock.domain.identity_events import IdentityLinked
from interlock.domain.people import Identity
from interlock.errors import Refusal
from interlock.policy.configuration import Provider
from interlock.ports.identity import IssuedToken
from interlock.ports.state import UnitOfWork
from interlock.services.front_desk import FrontDesk
from interlock.services.sign_in import asks_for_code, end_of_login, person_who_may, start_login

KIND = "oidc"


@dataclass(frozen=True, slots=True)
class Known:
    """Who signed in elsewhere, as the provider signed it."""

    provider: str
    settings: Provider
    issuer: str
    subject: str
    claims: Mapping[str, Any]
    present_at: datetime | None


async def sign_in_elsewhere(front: FrontDesk, known: Known, *, key: str, address: str) -> tuple[Login, IssuedToken]:
    """Raises Refusal (``not-linked``, ``mfa-needed``, ``person-ended``, ``no-contract``, ``key-taken``)."""
    desk = front.desk
    async with desk.deciding(f"provider:{known.provider}") as work:
        now = desk.clock.now()
        name = await _person_of(work, known)
        contracts = await work.contracts()
        person = await person_who_may(work, name, contracts, now)
        if known.present_at is None and asks_for_code(person, desk.configuration.roles.values(), contracts, now):
            raise Refusal(
                "mfa-needed",
                f"{known.provider} does not say that you proved two factors, and a role within your reach asks for it.",
                "Sign in there with a second factor, or here with a passkey.",
            )
        login = await start_login(
            work,
            person=person.name,
            key=key,
            ends_at=end_of_login(person, contracts, now, desk.configuration.timing.login),
            present_at=known.present_at,
            address=address,
            now=now,
        )
    return login, front.tokens.issue_for_login(login)


async def _person_of(work: UnitOfWork, known: Known) -> str:
    subject = f"{known.issuer} {known.subject}"
    identity = await work.identity(KIND, subject)
    if identity is not None:
        if identity.ended_at is not None:
            raise _not_linked(known.provider)
        return identity.person
    name = _claimed(known)
    person = None if name is None else await work.person(name)
    if person is None or not person.active:
        raise _not_linked(known.provider)
    there = [i for i in await work.identities(person.name) if i.kind == KIND and i.ended_at is None]
    if any(identity.subject.startswith(f"{known.issuer} ") for identity in there):
        raise _not_linked(known.provider)
    await work.save(Identity(KIND, subject, person.name))
    work.record(IdentityLinked(person=person.name, identity_kind=KIND, subject=subject))
    return person.name


def _claimed(known: Known) -> str | None:
    """The name that the provider's rule gives; None when it gives none. Without domains there is no rule."""
    value = known.claims.get(known.settings.claim)
    if not isinstance(value, str) or not known.settings.domains:
        return None
    local, _, domain = value.rpartition("@")
    if not local or domain.lower() not in known.settings.domains:
        return None
    if known.settings.claim == "email" and known.claims.get("email_verified") is not True:
        return None
    return value


def _not_linked(provider: str) -> Refusal:
    return Refusal(
        "not-linked",
        f"Who signed in at {provider} is nobody here, or nobody yet.",
        "Ask the operator to link the two: people.NAME.identities in interlock.yaml, or the provider's rule.",
    )
