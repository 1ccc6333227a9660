"""What was asked and lent, and the sessions that rest on it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import and_, exists, false, or_, select

from interlock.domain.accounts import UpstreamAccount
from interlock.domain.grants import Activity, Approval, Grant, Login, Request, RequestState
from interlock.store import tables
from interlock.store.reads import Reads, any_of, is_person
from interlock.store.rows import keepable


class RightsReads(Reads):
    """What was asked and lent, and the sessions that rest on it."""

    async def request(self, request_id: str) -> Request | None:
        return await self._one(Request, id=request_id)

    async def requests(
        self,
        *,
        state: str | None = None,
        person: str | None = None,
        before: Request | None = None,
        limit: int = 200,
    ) -> Sequence[Request]:
        """The newest first; with ``before`` those that come after it in that order."""
        table = tables.requests
        query = select(table).order_by(table.c.opened_at.desc(), table.c.id).limit(limit)
        if before is not None:
            same = and_(table.c.opened_at == before.opened_at, table.c.id > before.id)
            query = query.where(or_(table.c.opened_at < before.opened_at, same))
        if state is not None:
            query = query.where(table.c.state == state if keepable(state) else false())
        if person is not None:
            query = query.where(is_person(table, person))
        return await self._all(Request, query)

    async def open_holds(self, sessions: Sequence[str]) -> Sequence[Request]:
        table = tables.requests
        query = select(table).where(table.c.state == RequestState.OPEN.value, any_of(table.c.session, sessions))
        return await self._all(Request, query.order_by(table.c.opened_at, table.c.id))

    async def requests_about(self, artifact: str) -> Sequence[Request]:
        """Those that were asked for one artifact, the oldest first."""
        if not keepable(artifact):
            return []
        table = tables.requests
        query = select(table).where(table.c.artifact == artifact).order_by(table.c.opened_at, table.c.id)
        return await self._all(Request, query)

    async def approvals(self, request_id: str) -> Sequence[Approval]:
        """The first given first."""
        if not keepable(request_id):
            return []
        table = tables.approvals
        query = select(table).where(table.c.request == request_id).order_by(table.c.at, table.c.person)
        return await self._all(Approval, query)

    async def grant(self, grant_id: str) -> Grant | None:
        return await self._one(Grant, id=grant_id)

    async def grants(
        self,
        *,
        active_at: datetime | None = None,
        lasting_at: datetime | None = None,
        person: str | None = None,
        limit: int = 5000,
    ) -> Sequence[Grant]:
        """The newest first. Those that lend at ``active_at``; those that do at ``lasting_at`` or will later."""
        table = tables.grants
        query = select(table).order_by(table.c.starts_at.desc(), table.c.id).limit(limit)
        if active_at is not None:
            query = query.where(table.c.ended_at.is_(None), table.c.starts_at <= active_at, active_at < table.c.ends_at)
        if lasting_at is not None:
            query = query.where(table.c.ended_at.is_(None), lasting_at < table.c.ends_at)
        if person is not None:
            query = query.where(is_person(table, person))
        return await self._all(Grant, query)

    async def login(self, login_id: str) -> Login | None:
        return await self._one(Login, id=login_id)

    async def logins_named(self, login_ids: Sequence[str]) -> Mapping[str, Login]:
        return await self._named(Login, "id", login_ids)

    async def logins(
        self, *, active_at: datetime | None = None, person: str | None = None, key: str | None = None
    ) -> Sequence[Login]:
        """The newest first."""
        table = tables.logins
        query = select(table).order_by(table.c.signed_in_at.desc(), table.c.id)
        if active_at is not None:
            query = query.where(
                table.c.ended_at.is_(None), table.c.signed_in_at <= active_at, active_at < table.c.ends_at
            )
        if person is not None:
            query = query.where(is_person(table, person))
        if key is not None:
            query = query.where(table.c.key == key if keepable(key) else false())
        return await self._all(Login, query)

    async def signed_in(self, *, limit: int) -> Sequence[str]:
        """Persons who have ever signed in, ``limit`` at most, sorted: a login is kept when it is over."""
        person = tables.logins.c.person
        return [row[0] for row in await self._rows(select(person).distinct().order_by(person).limit(limit))]

    async def come_in(self) -> frozenset[str]:
        """Persons who have signed in, or could: by a password of their own or a passkey."""
        name = tables.people.c.name
        login = exists().where(tables.logins.c.person == name)
        password = exists().where(tables.local_credentials.c.person == name)
        passkey = exists().where(tables.passkeys.c.person == name, tables.passkeys.c.ended_at.is_(None))
        query = select(name).where(or_(login, password, passkey))
        return frozenset(row[0] for row in await self._rows(query))

    async def activity(self, session_id: str) -> Activity | None:
        return await self._one(Activity, id=session_id)

    async def activities_named(self, session_ids: Sequence[str]) -> Mapping[str, Activity]:
        return await self._named(Activity, "id", session_ids)

    async def activities(
        self,
        *,
        live: bool = False,
        person: str | None = None,
        resource: str | None = None,
        before: Activity | None = None,
        limit: int = 200,
    ) -> Sequence[Activity]:
        """The newest first; with ``before`` those that come after it in that order."""
        table = tables.activities
        query = select(table).order_by(table.c.opened_at.desc(), table.c.id).limit(limit)
        if live:
            query = query.where(table.c.closed_at.is_(None))
        if before is not None:
            same = and_(table.c.opened_at == before.opened_at, table.c.id > before.id)
            query = query.where(or_(table.c.opened_at < before.opened_at, same))
        if person is not None:
            query = query.where(is_person(table, person))
        if resource is not None:
            query = query.where(table.c.resource == resource)
        return await self._all(Activity, query)

    async def account(self, grant_id: str) -> UpstreamAccount | None:
        return await self._one(UpstreamAccount, id=grant_id)

    async def accounts(self, *, live: bool = False, person: str | None = None) -> Sequence[UpstreamAccount]:
        """With ``live`` those that their resource still has."""
        table = tables.accounts
        query = select(table).order_by(table.c.made_at, table.c.id)
        if live:
            query = query.where(table.c.ended_at.is_(None))
        if person is not None:
            query = query.where(is_person(table, person))
        return await self._all(UpstreamAccount, query)
