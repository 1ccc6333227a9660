"""Persons, their vendors and contracts, and how they came."""

from collections.abc import Sequence

from sqlalchemy import select

from interlock.domain.people import Contract, Extension, Identity, Invitation, Person, Vendor
from interlock.domain.provisioning import Provisioned
from interlock.store import tables
from interlock.store.reads import Reads, is_person


class PeopleReads(Reads):
    """Persons, their vendors and contracts, and how they came."""

    async def person(self, name: str) -> Person | None:
        return await self._one(Person, name=name)

    async def people(self) -> Sequence[Person]:
        query = select(tables.people).order_by(tables.people.c.name)
        if self._known is None:
            return await self._all(Person, query)
        change = await self._last_change(tables.people)
        people = self._known.at(change)
        return self._known.keep(change, await self._all(Person, query)) if people is None else people

    async def identity(self, kind: str, subject: str) -> Identity | None:
        return await self._one(Identity, kind=kind, subject=subject)

    async def identities(self, person: str) -> Sequence[Identity]:
        table = tables.identities
        return await self._all(Identity, select(table).where(is_person(table, person)).order_by(table.c.subject))

    async def configured_identities(self) -> Sequence[Identity]:
        """Those that the configuration named and that have not ended."""
        table = tables.identities
        query = select(table).where(table.c.configured, table.c.ended_at.is_(None))
        return await self._all(Identity, query.order_by(table.c.kind, table.c.subject))

    async def vendors(self) -> Sequence[Vendor]:
        return await self._all(Vendor, select(tables.vendors).order_by(tables.vendors.c.name))

    async def contract(self, name: str) -> Contract | None:
        return await self._one(Contract, name=name)

    async def contracts(self) -> Sequence[Contract]:
        return await self._all(Contract, select(tables.contracts).order_by(tables.contracts.c.name))

    async def extension(self, contract: str) -> Extension | None:
        return await self._one(Extension, contract=contract)

    async def invitation(self, invitation_id: str) -> Invitation | None:
        return await self._one(Invitation, id=invitation_id)

    async def invitation_of(self, code_hash: str) -> Invitation | None:
        return await self._one(Invitation, code_hash=code_hash)

    async def invitations(self, *, person: str | None = None) -> Sequence[Invitation]:
        """The newest first."""
        table = tables.invitations
        query = select(table).order_by(table.c.invited_at.desc(), table.c.id)
        if person is not None:
            query = query.where(is_person(table, person))
        return await self._all(Invitation, query)

    async def provisioned_one(self, resource_id: str) -> Provisioned | None:
        return await self._one(Provisioned, id=resource_id)

    async def provisioned(self, kind: str, *, deleted: bool = False) -> Sequence[Provisioned]:
        """Those of a kind, the oldest first; with ``deleted`` those too that were deleted."""
        table = tables.provisioned
        query = select(table).where(table.c.kind == kind).order_by(table.c.created_at, table.c.id)
        if not deleted:
            query = query.where(table.c.deleted_at.is_(None))
        return await self._all(Provisioned, query)
