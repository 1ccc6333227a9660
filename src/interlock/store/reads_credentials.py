"""By what people, programs and gateways are known."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import false, select

from interlock.domain.notices import ChatLink
from interlock.domain.oauth import Delegation, OauthClient, Passkey
from interlock.domain.signin import (
    Attempts,
    ConnectionPass,
    ConnectionPassword,
    Enrolment,
    GatewayIdentity,
    LocalCredential,
)
from interlock.store import tables
from interlock.store.reads import Reads, is_person
from interlock.store.rows import keepable


class CredentialReads(Reads):
    """By what people, programs and gateways are known."""

    async def local_credential(self, person: str) -> LocalCredential | None:
        return await self._one(LocalCredential, person=person)

    async def enrolment(self, code_hash: str) -> Enrolment | None:
        return await self._one(Enrolment, code_hash=code_hash)

    async def attempts(self, subject: str) -> Attempts | None:
        return await self._one(Attempts, subject=subject)

    async def connection_password(self, hash_hex: str) -> ConnectionPassword | None:
        return await self._one(ConnectionPassword, hash=hash_hex)

    async def connection_pass(self, pass_id: str) -> ConnectionPass | None:
        return await self._one(ConnectionPass, id=pass_id)

    async def connection_passes(self, *, login: str, resource: str, since: datetime) -> Sequence[ConnectionPass]:
        if not keepable(login) or not keepable(resource):
            return ()
        table = tables.connection_passes
        query = select(table).where(table.c.login == login, table.c.resource == resource, table.c.expires_at >= since)
        return await self._all(ConnectionPass, query.order_by(table.c.present_at.desc(), table.c.id))

    async def gateway(self, key: str) -> GatewayIdentity | None:
        return await self._one(GatewayIdentity, key=key)

    async def oauth_client(self, client_id: str) -> OauthClient | None:
        return await self._one(OauthClient, id=client_id)

    async def oauth_clients(self, *, owner: str | None = None) -> Sequence[OauthClient]:
        table = tables.oauth_clients
        query = select(table).order_by(table.c.registered_at, table.c.id)
        if owner is not None:
            query = query.where(table.c.owner == owner if keepable(owner) else false())
        return await self._all(OauthClient, query)

    async def delegation(self, delegation_id: str) -> Delegation | None:
        return await self._one(Delegation, id=delegation_id)

    async def delegations(
        self,
        *,
        person: str | None = None,
        login: str | None = None,
        client: str | None = None,
        code_hash: str | None = None,
    ) -> Sequence[Delegation]:
        """The newest first."""
        table = tables.delegations
        query = select(table).order_by(table.c.given_at.desc(), table.c.id)
        wanted = {"person": person, "login": login, "client": client, "code_hash": code_hash}
        for column, value in ((table.c[name], value) for name, value in wanted.items()):
            if value is not None:
                query = query.where(column == value if keepable(value) else false())
        return await self._all(Delegation, query)

    async def passkey(self, passkey_id: str) -> Passkey | None:
        return await self._one(Passkey, id=passkey_id)

    async def passkeys(self, person: str) -> Sequence[Passkey]:
        """Those that work, the oldest first."""
        table = tables.passkeys
        query = select(table).where(is_person(table, person), table.c.ended_at.is_(None)).order_by(table.c.added_at)
        return await self._all(Passkey, query)

    async def chat_link(self, notifier: str, subject: str) -> ChatLink | None:
        return await self._one(ChatLink, notifier=notifier, subject=subject)

    async def chat_links(self, person: str) -> Sequence[ChatLink]:
        """Those that are not over, the oldest first."""
        table = tables.chat_links
        mine = select(table).where(table.c.person == person, table.c.ended_at.is_(None))
        return await self._all(ChatLink, mine.order_by(table.c.linked_at, table.c.subject))
