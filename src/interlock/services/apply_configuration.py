"""A configuration's people, vendors, contracts and policy become the state's: when the very first control plane starts,
and whenever a change that was proposed, proved and approved is activated.

Holds to:

* idempotent, also for two control planes that start at once: what is there already is not written again
* nothing that was ended is revived: a person or contract stays ended, whatever the file says; it is reported
* who or what is gone from the file, is no user of the directory and did not come by an invitation, is ended, like an
  offboarding or the end of a contract, with all that rests on it
* an identity that the file names no more ends: nobody signs in by it, and it still says whose what was done under it is
* a change of vendor, contract, role or resource ends the grants that could not be given that way any more, and a role
  that lends more than it did ends the grants of it: nobody said yes to what it lends now
* the activation of a changed policy is an event with its digest; the whole of it is one unit of work, or nothing is
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from interlock.domain.guard_events import PolicyActivated
from interlock.domain.identity_events import IdentityEnded, IdentityLinked
from interlock.domain.people import Contract, Person
from interlock.domain.provisioning import USER
from interlock.domain.rights_events import (
    ContractAdded,
    ContractChanged,
    PersonAdded,
    PersonChanged,
    VendorAdded,
)
from interlock.domain.snapshot import PolicyText
from interlock.policy.cedar import permitted_beside
from interlock.policy.configuration import Configuration
from interlock.ports.state import UnitOfWork
from interlock.services.desk import SYSTEM, Desk
from interlock.services.endings import MANY, Ended, Endings
from interlock.services.lends import NOTHING, why_wider
from interlock.services.resting import why_grant_fell
from interlock.services.sign_in_elsewhere import KIND as OIDC
from interlock.services.workloads import rule_of_login


@dataclass(frozen=True, slots=True)
class Applied:
    """``changed`` says whether anything was written. ``not_revived`` names persons and contracts that stay ended."""

    changed: bool
    policy: PolicyText
    ended: tuple[Ended, ...]
    not_revived: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Activation:
    """Who puts a policy into effect, by which approved request (none at a start), and whether alone."""

    by: str = SYSTEM
    request: str = ""
    alone: bool = False


AT_START = Activation()


async def apply_configuration(desk: Desk) -> Applied:
    """Make ``desk.configuration`` the active one, whatever was."""
    try:
        async with desk.ending(SYSTEM) as work:
            return await apply_or_nothing(work, desk.configuration, desk.clock.now())
    except NothingNewError as nothing:
        return nothing.applied


class NothingNewError(Exception):
    """The state says all of it already: there is nothing to commit."""

    def __init__(self, applied: Applied) -> None:
        super().__init__()
        self.applied = applied


async def apply_or_nothing(work: UnitOfWork, configuration: Configuration, at: datetime) -> Applied:
    """Put ``configuration`` into effect at a start. Raises NothingNewError when it is in effect."""
    applied = await put_into_effect(work, configuration, at, AT_START)
    if not applied.changed:
        raise NothingNewError(applied)
    return applied


async def put_into_effect(
    work: UnitOfWork, configuration: Configuration, at: datetime, activation: Activation
) -> Applied:
    """``configuration`` in the unit of work's state, with everything that ends by it. The lock of decisions is held."""
    endings = Endings(work, by=activation.by, reason="gone from the configuration", at=at)
    news = [
        await _vendors(work, configuration),
        await _people(work, configuration, endings),
        await _identities(work, configuration, endings),
        await _contracts(work, configuration, endings),
    ]
    activated, policy = await _activate(work, configuration, activation)
    await _end_what_fell(configuration, work, endings)
    return Applied(
        changed=any(news) or activated or bool(endings.ended),
        policy=policy,
        ended=tuple(item for item, _ in endings.ended),
        not_revived=await _not_revived(work, configuration),
    )


async def _vendors(work: UnitOfWork, configuration: Configuration) -> bool:
    known = {vendor.name for vendor in await work.vendors()}
    new = [vendor for name, vendor in sorted(configuration.vendors.items()) if name not in known]
    for vendor in new:
        await work.save(vendor)
        work.record(VendorAdded(vendor=vendor.name))
    return bool(new)


async def _people(work: UnitOfWork, configuration: Configuration, endings: Endings) -> bool:
    changed = False
    known = {person.name: person for person in await work.people()}
    for name, person in sorted(configuration.people.items()):
        before = known.get(name)
        if before is not None and (not before.active or before == person):
            continue
        await work.save(person)
        groups = tuple(sorted(person.groups))
        kind = PersonAdded if before is None else PersonChanged
        work.record(kind(person=name, vendor=person.vendor, groups=groups))
        changed = True
    elsewhere = {user.person for user in await work.provisioned(USER)} if configuration.scim is not None else set()
    # Whom a sponsor let in by an invitation is no part of the file either, and ends with `offboard` or the contract.
    elsewhere |= {invitation.person for invitation in await work.invitations() if invitation.made}
    for name in sorted(known.keys() - configuration.people.keys() - elsewhere):
        await endings.person(known[name])
    return changed


async def _identities(work: UnitOfWork, configuration: Configuration, endings: Endings) -> bool:
    named = [replace(identity, configured=True) for identity in configuration.identities]
    changed = await _end_unnamed(work, {(one.kind, one.subject) for one in named}, endings)
    for identity in named:
        if await work.identity(identity.kind, identity.subject) == identity:
            continue
        await work.save(identity)
        work.record(IdentityLinked(person=identity.person, identity_kind=identity.kind, subject=identity.subject))
        changed = True
    return changed


async def _end_unnamed(work: UnitOfWork, named: set[tuple[str, str]], endings: Endings) -> bool:
    """Nobody signs in any more by what the file named and names no longer; the logins by such a way end."""
    gone = [one for one in await work.configured_identities() if (one.kind, one.subject) not in named]
    for identity in gone:
        await work.save(replace(identity, ended_at=endings.at))
        work.record(IdentityEnded(person=identity.person, identity_kind=identity.kind, subject=identity.subject))
        if identity.kind == OIDC:
            for login in await work.logins(active_at=endings.at, person=identity.person):
                await endings.because("a way to sign in is gone from the configuration").login(login)
    return bool(gone)


async def _contracts(work: UnitOfWork, configuration: Configuration, endings: Endings) -> bool:
    changed = False
    known = {contract.name: contract for contract in await work.contracts()}
    for name, said in sorted(configuration.contracts.items()):
        before = known.get(name)
        contract = said if before is None else await _lived(work, before, said)
        if before is not None and (before.ended_at is not None or before == contract):
            continue
        await work.save(contract)
        kind = ContractAdded if before is None else ContractChanged
        work.record(
            kind(
                contract=name,
                vendor=contract.vendor,
                sponsor=contract.sponsor,
                start=contract.start,
                end=contract.end,
                roles=tuple(sorted(contract.roles)),
            )
        )
        changed = True
    for name in sorted(known.keys() - configuration.contracts.keys()):
        await endings.contract(known[name])
    return changed


async def _lived(work: UnitOfWork, before: Contract, said: Contract) -> Contract:
    """What the file says of a contract, with what has happened to it since.

    A sponsor who has left does not come back by the file, and an agreed extension stays until the file names another
    end. Nothing here ends a pause: that takes a person who answers for the contract.
    """
    sponsor = await work.person(said.sponsor)
    extended = before.extended_from == said.end
    return replace(
        said,
        sponsor=before.sponsor if sponsor is not None and not sponsor.active else said.sponsor,
        end=before.end if extended else said.end,
        extended_from=before.extended_from if extended else None,
        confirmed_at=before.confirmed_at,
        paused_at=before.paused_at,
        paused_reason=before.paused_reason,
        warned_at=before.warned_at if extended or before.end == said.end else None,
    )


async def _activate(work: UnitOfWork, configuration: Configuration, activation: Activation) -> tuple[bool, PolicyText]:
    active = await work.policy()
    if active is not None and active.digest == configuration.digest:
        return False, active
    version = active.version + 1 if active is not None else 1
    policy = PolicyText(version, configuration.digest, configuration.text, configuration.cedar)
    await work.save(policy)
    work.record(
        PolicyActivated(
            version=version,
            digest=configuration.digest,
            request=activation.request,
            by=activation.by,
            alone=activation.alone,
        )
    )
    return True, policy


async def _end_what_fell(configuration: Configuration, work: UnitOfWork, endings: Endings) -> None:
    """The grants and logins that the people, contracts and roles of now would no longer carry."""
    people = {person.name: person for person in await work.people()}
    contracts = {contract.name: contract for contract in await work.contracts()}
    beside = permitted_beside(configuration)
    for grant in await work.grants(active_at=endings.at, limit=MANY):
        why = why_grant_fell(grant, people, contracts, configuration, endings.at)
        if why is None:
            asked = await work.request(grant.request)
            lent = None if asked is None else asked.content.get("lends")
            why = why_wider(configuration.roles[grant.role], lent, beside.get(grant.role, NOTHING))
        if why is not None:
            await endings.because(why).grant(grant)
    await endings.because("no running contract covers the person").stranded_logins()
    for login in await work.logins(active_at=endings.at):
        workload = configuration.workloads.get(login.workload)
        if login.workload and (workload is None or rule_of_login(workload) != login.rule):
            await endings.because(f"the workload {login.workload} is no longer what it was").login(login)


async def _not_revived(work: UnitOfWork, configuration: Configuration) -> tuple[str, ...]:
    ended: Sequence[Person | Contract] = [
        *(person for person in await work.people() if not person.active and person.name in configuration.people),
        *(c for c in await work.contracts() if c.ended_at is not None and c.name in configuration.contracts),
    ]
    return tuple(sorted(entity.name for entity in ended))
