"""On resources that have an account for each person, a grant has its account as long as it runs, and no longer.

Holds to:

* an account is made when its grant has started, named after the person and the grant, with what the role's actions
  need and an end that the resource itself keeps; it is in the ledger, and only then is it told to gateways
* when the grant is over, whatever ended it, the account is ended on the resource, with whoever is signed in with it
* a resource that does not answer is asked again, less and less often, until it is done: the account stays in the list
  of what remains until the resource has said that it is gone
* what a crash left (an account that was made and never written down) is found by the mark on it and ended
* an account is ended only when its grant is over, so that two control planes never end what the other makes
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from interlock.domain.accounts import UpstreamAccount, account_name
from interlock.domain.grants import Grant
from interlock.domain.resources import Resource
from interlock.domain.rights_events import AccountEnded, AccountMade
from interlock.domain.snapshot import UpstreamCredential
from interlock.errors import Failure, InterlockError
from interlock.ports.accounts import AccountKeeping, AccountWish
from interlock.services.credentials import Credentials
from interlock.services.desk import SYSTEM, Desk
from interlock.services.endings import MANY

LOOK_EVERY = timedelta(seconds=60)
"""How often a resource is asked which accounts it has."""

_LONGEST_PAUSE = timedelta(seconds=30)
_log = logging.getLogger("interlock.accounts")


@dataclass(slots=True)
class _Pause:
    """When a resource is asked again, and what the pause after that would be."""

    until: datetime
    length: timedelta


@dataclass(slots=True)
class AccountKeeper:
    """Keeps the accounts of all such resources. ``keepers`` are the protocols' ways, by the kind of resource."""

    desk: Desk
    credentials: Credentials
    keepers: Mapping[str, AccountKeeping]
    _pauses: dict[str, _Pause] = field(default_factory=dict)
    _looked_at: dict[str, datetime] = field(default_factory=dict)

    async def settle(self) -> None:
        """Make what is missing and end what is over, on every resource that is not being left alone for a while."""
        now = self.desk.clock.now()
        async with self.desk.state.reading() as reading:
            accounts = {account.id: account for account in await reading.accounts(live=True)}
            used = {account.resource for account in accounts.values()}
            resources = [
                resource
                for resource in self.desk.configuration.resources.values()
                if resource.kind in self.keepers and (resource.personal or resource.name in used)
            ]
            if not resources:
                return
            grants = {grant.id: grant for grant in await reading.grants(active_at=now, limit=MANY)}
        await asyncio.gather(*(self._settle(resource, grants, accounts, now) for resource in resources))

    async def _settle(
        self, resource: Resource, grants: Mapping[str, Grant], accounts: Mapping[str, UpstreamAccount], now: datetime
    ) -> None:
        pause = self._pauses.get(resource.name)
        if pause is not None and now < pause.until:
            return
        mine = [grant for grant in grants.values() if grant.resource == resource.name and resource.personal]
        running = {grant.id for grant in mine}
        missing = [grant for grant in mine if grant.id not in accounts]
        over = [a for a in accounts.values() if a.resource == resource.name and a.id not in running]
        looked_at = self._looked_at.get(resource.name)
        look = looked_at is None or now >= looked_at + LOOK_EVERY
        if not (missing or over or look):
            return
        try:
            maker = await self._maker(resource)
            for account in over:
                await self._end(resource, maker, account)
            for grant in missing:
                await self._make(resource, maker, grant)
            if look:
                await self._look(resource, maker)
                self._looked_at[resource.name] = now
        except InterlockError as error:
            length = timedelta(seconds=1) if pause is None else min(_LONGEST_PAUSE, pause.length * 2)
            if pause is None:
                _log.error("The accounts of %s are not as they must be, and will be: %s", resource.name, error)
            self._pauses[resource.name] = _Pause(self.desk.clock.now() + length, length)
        else:
            if self._pauses.pop(resource.name, None) is not None:
                _log.warning("The accounts of %s are as they must be again.", resource.name)

    async def _maker(self, resource: Resource) -> UpstreamCredential:
        if resource.credential is None:
            raise Failure(f"{resource.name} has no credential to make accounts with.", "Give it one in interlock.yaml.")
        return await self.credentials.fetch(resource.credential)

    async def _make(self, resource: Resource, maker: UpstreamCredential, grant: Grant) -> None:
        secrets, role = self.credentials.accounts, self.desk.configuration.roles.get(grant.role)
        if secrets is None or role is None:
            return
        name = account_name(grant.person, grant.id)
        wish = AccountWish(name, secrets.secret_of(name), role.allow, grant.ends_at, secrets.installation, grant.id)
        await self.keepers[resource.kind].make(resource, maker, wish)
        async with self.desk.ending(SYSTEM) as work:
            if await work.account(grant.id) is not None:
                return
            account = UpstreamAccount(grant.id, grant.person, resource.name, name, self.desk.clock.now())
            await work.save(account)
            work.record(
                AccountMade(
                    account=name,
                    grant=grant.id,
                    person=grant.person,
                    resource=resource.name,
                    ends_at=grant.ends_at,
                )
            )

    async def _end(self, resource: Resource, maker: UpstreamCredential, account: UpstreamAccount) -> None:
        await self.keepers[resource.kind].end(resource, maker, account.name)
        async with self.desk.ending(SYSTEM) as work:
            kept = await work.account(account.id)
            if kept is None or kept.ended_at is not None:
                return
            await work.save(replace(kept, ended_at=self.desk.clock.now()))
            work.record(
                AccountEnded(account=account.name, grant=account.id, person=account.person, resource=account.resource)
            )

    async def _look(self, resource: Resource, maker: UpstreamCredential) -> None:
        """End what is there and rests on nothing: a crash left it, or somebody restored the database."""
        secrets = self.credentials.accounts
        if secrets is None:
            return
        keeper = self.keepers[resource.kind]
        for found in await keeper.there(resource, maker, secrets.installation):
            async with self.desk.state.reading() as reading:
                grant = await reading.grant(found.grant)
            if grant is None or not grant.active(self.desk.clock.now()):
                _log.warning("%s on %s rests on no grant, and is ended.", found.name, resource.name)
                await keeper.end(resource, maker, found.name)
