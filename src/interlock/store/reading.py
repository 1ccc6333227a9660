"""Reads of one consistent state."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    Select,
    Table,
    Text,
    and_,
    any_,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from interlock.domain.accounts import UpstreamAccount
from interlock.domain.delivery import Evidence
from interlock.domain.detections import Alarm
from interlock.domain.duties import Duty
from interlock.domain.grants import Activity, Approval, Grant, Login, Request
from interlock.domain.notices import ChatLink
from interlock.domain.oauth import Delegation, OauthClient, Passkey
from interlock.domain.people import Contract, Extension, Identity, Invitation, Person, Vendor
from interlock.domain.proposals import Proposal
from interlock.domain.provisioning import Provisioned
from interlock.domain.recordings import RecordingKey, Segment
from interlock.domain.retention import LegalHold
from interlock.domain.signin import Attempts, ConnectionPassword, Enrolment, GatewayIdentity, LocalCredential
from interlock.domain.snapshot import PolicyText
from interlock.errors import Misuse
from interlock.ledger.canonical import canonical
from interlock.ports.state import Entity, LedgerEntry, Mark
from interlock.store import tables
from interlock.store.chronicle import Page
from interlock.store.failures import as_failures
from interlock.store.known_people import KnownPeople
from interlock.store.rows import form_of, form_of_table, keepable

E = TypeVar("E", bound=Entity)
MOST_SINCE = 1000
"""So much new evidence is read by itself; when there is more, everything is read."""

_UNSEALED = tuple(
    literal("").label("envelope") if one is tables.evidence.c.envelope else one for one in tables.evidence.c
)

AnyRow = Row[*tuple[Any, ...]]


class PostgresReading:
    """Implements :class:`interlock.ports.state.Reading` on one connection, for as long as its block lasts.

    With ``known`` the people are read again only when one of them has changed. It needs one snapshot for all reads.
    """

    def __init__(self, connection: AsyncConnection, known: KnownPeople | None = None) -> None:
        self._connection = connection
        self._known = known
        self._over = False

    def end(self) -> None:
        """Nothing can be asked from here on."""
        self._over = True

    async def person(self, name: str) -> Person | None:
        return await self._one(Person, name=name)

    async def people(self) -> Sequence[Person]:
        query = select(tables.people).order_by(tables.people.c.name)
        if self._known is None:
            return await self._all(Person, query)
        change = await self._last_change(tables.people)
        people = self._known.at(change)
        return self._known.keep(change, await self._all(Person, query)) if people is None else people

    async def _last_change(self, table: Table) -> tuple[int, bytes] | None:
        """Where the last change of a row of ``table`` stands in the ledger, and the link there; None before any."""
        changes, ledger = tables.changes, tables.ledger
        last = select(changes.c.position).where(changes.c.entity == table.name)
        last = last.order_by(changes.c.position.desc()).limit(1)
        entry = select(ledger.c.position, ledger.c.link).where(ledger.c.position == last.scalar_subquery())
        found = await self._rows(entry)
        return (found[0].position, bytes(found[0].link)) if found else None

    async def identity(self, kind: str, subject: str) -> Identity | None:
        return await self._one(Identity, kind=kind, subject=subject)

    async def identities(self, person: str) -> Sequence[Identity]:
        table = tables.identities
        return await self._all(Identity, select(table).where(_is_person(table, person)).order_by(table.c.subject))

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

    async def request(self, request_id: str) -> Request | None:
        return await self._one(Request, id=request_id)

    async def requests(
        self, *, state: str | None = None, person: str | None = None, limit: int = 200
    ) -> Sequence[Request]:
        """The newest first."""
        table = tables.requests
        query = select(table).order_by(table.c.opened_at.desc(), table.c.id).limit(limit)
        if state is not None:
            query = query.where(table.c.state == state if keepable(state) else false())
        if person is not None:
            query = query.where(_is_person(table, person))
        return await self._all(Request, query)

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
            query = query.where(_is_person(table, person))
        return await self._all(Grant, query)

    async def login(self, login_id: str) -> Login | None:
        return await self._one(Login, id=login_id)

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
            query = query.where(_is_person(table, person))
        if key is not None:
            query = query.where(table.c.key == key if keepable(key) else false())
        return await self._all(Login, query)

    async def signed_in(self, *, limit: int) -> Sequence[str]:
        """Persons who have ever signed in, ``limit`` at most, sorted: a login is kept when it is over."""
        person = tables.logins.c.person
        return [row[0] for row in await self._rows(select(person).distinct().order_by(person).limit(limit))]

    async def activity(self, session_id: str) -> Activity | None:
        return await self._one(Activity, id=session_id)

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
            query = query.where(_is_person(table, person))
        if resource is not None:
            query = query.where(table.c.resource == resource)
        return await self._all(Activity, query)

    async def recorded(self, *, after: Activity | None = None, limit: int = 500) -> Sequence[Activity]:
        """Sessions that are over and whose recording can still be read, the oldest first; those behind ``after``."""
        table, keys = tables.activities, tables.recording_keys
        query = select(table).join(keys, and_(keys.c.session == table.c.id, keys.c.destroyed_at.is_(None)))
        query = query.where(table.c.closed_at.is_not(None)).order_by(table.c.opened_at, table.c.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(table.c.opened_at, table.c.id) > tuple_(after.opened_at, after.id))
        return await self._all(Activity, query)

    async def local_credential(self, person: str) -> LocalCredential | None:
        return await self._one(LocalCredential, person=person)

    async def enrolment(self, code_hash: str) -> Enrolment | None:
        return await self._one(Enrolment, code_hash=code_hash)

    async def attempts(self, subject: str) -> Attempts | None:
        return await self._one(Attempts, subject=subject)

    async def connection_password(self, hash_hex: str) -> ConnectionPassword | None:
        return await self._one(ConnectionPassword, hash=hash_hex)

    async def gateway(self, key: str) -> GatewayIdentity | None:
        return await self._one(GatewayIdentity, key=key)

    async def policy(self) -> PolicyText | None:
        """The version that was activated last."""
        table = tables.policies
        found = await self._all(PolicyText, select(table).order_by(table.c.version.desc()).limit(1))
        return found[0] if found else None

    async def policies(self, *, limit: int = 50) -> Sequence[PolicyText]:
        """The versions, the newest first."""
        return await self._all(
            PolicyText, select(tables.policies).order_by(tables.policies.c.version.desc()).limit(limit)
        )

    async def proposal(self, request_id: str) -> Proposal | None:
        return await self._one(Proposal, request=request_id)

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
        query = select(table).where(_is_person(table, person), table.c.ended_at.is_(None)).order_by(table.c.added_at)
        return await self._all(Passkey, query)

    async def invitation(self, invitation_id: str) -> Invitation | None:
        return await self._one(Invitation, id=invitation_id)

    async def invitation_of(self, code_hash: str) -> Invitation | None:
        return await self._one(Invitation, code_hash=code_hash)

    async def invitations(self, *, person: str | None = None) -> Sequence[Invitation]:
        """The newest first."""
        table = tables.invitations
        query = select(table).order_by(table.c.invited_at.desc(), table.c.id)
        if person is not None:
            query = query.where(_is_person(table, person))
        return await self._all(Invitation, query)

    async def extension(self, contract: str) -> Extension | None:
        return await self._one(Extension, contract=contract)

    async def provisioned_one(self, resource_id: str) -> Provisioned | None:
        return await self._one(Provisioned, id=resource_id)

    async def provisioned(self, kind: str, *, deleted: bool = False) -> Sequence[Provisioned]:
        """Those of a kind, the oldest first; with ``deleted`` those too that were deleted."""
        table = tables.provisioned
        query = select(table).where(table.c.kind == kind).order_by(table.c.created_at, table.c.id)
        if not deleted:
            query = query.where(table.c.deleted_at.is_(None))
        return await self._all(Provisioned, query)

    async def duties(self, chain: str, artifact: str) -> Sequence[Duty]:
        """All that were taken, the voided ones among them, in their order."""
        if not (keepable(chain) and keepable(artifact)):
            return []
        table = tables.duties
        query = select(table).where(table.c.chain == chain, table.c.artifact == artifact)
        return await self._all(Duty, query.order_by(table.c.taken_at, table.c.id))

    async def alarm(self, detection: str, position: int) -> Alarm | None:
        if not keepable(detection):
            return None
        table = tables.alarms
        query = select(table).where(table.c.detection == detection, table.c.position == position)
        found = await self._all(Alarm, query)
        return found[0] if found else None

    async def alarms(self, *, limit: int = 200) -> Sequence[Alarm]:
        """The newest first."""
        table = tables.alarms
        query = select(table).order_by(table.c.position.desc(), table.c.detection).limit(limit)
        return await self._all(Alarm, query)

    async def evidence(self, repository: str, commits: Collection[str], *, sealed: bool = True) -> Sequence[Evidence]:
        """What was done on any of ``commits``, or brought one of them, in the order of its time; the voided too."""
        table, wanted = tables.evidence, list(commits)
        brought = table.c.commits.bool_op("&&")(cast(wanted, ARRAY(Text)))
        those = any_(cast(wanted, ARRAY(Text)))
        about = or_(table.c.commit == those, table.c.landed == those, brought)
        query = select(*(table.c if sealed else _UNSEALED)).where(table.c.repository == repository, about)
        return await self._all(Evidence, query.order_by(table.c.at, table.c.id))

    async def evidence_since(self, mark: tuple[int, bytes]) -> Sequence[Evidence] | None:
        """What was given or voided after ``mark``; None when the ledger does not go through it, or it is too much."""
        ledger, changes, table = tables.ledger, tables.changes, tables.evidence
        position, link = mark
        through = select(literal(1)).where(ledger.c.position == position, ledger.c.link == link).exists()
        keys = select(changes.c.key[1].label("id")).where(
            changes.c.entity == table.name, changes.c.position > position, through
        )
        one = keys.distinct().limit(MOST_SINCE + 1).subquery()
        found = await self._all(Evidence, select(*_UNSEALED).select_from(table).join(one, one.c.id == table.c.id))
        # The last change of all came after the mark: nothing at all means that this is another history.
        return found if 0 < len(found) <= MOST_SINCE else None

    async def last_changes(self, kinds: Sequence[str]) -> Mapping[str, Mark]:
        """One look for all of them: an index gives each."""
        changes, ledger = tables.changes, tables.ledger
        kind = func.unnest(cast(list(kinds), ARRAY(Text))).table_valued("name").render_derived()
        last = select(changes.c.position).where(changes.c.entity == kind.c.name)
        place = last.order_by(changes.c.position.desc()).limit(1).scalar_subquery()
        query = select(kind.c.name, ledger.c.position, ledger.c.link).select_from(kind)
        query = query.join(ledger, ledger.c.position == place)
        found: dict[str, Mark] = dict.fromkeys(kinds)
        for row in await self._rows(query):
            found[row[0]] = (row[1], bytes(row[2]))
        return found

    async def evidence_one(self, evidence_id: str) -> Evidence | None:
        return await self._one(Evidence, id=evidence_id)

    async def evidence_of_start(self, repository: str, start: str) -> Sequence[Evidence]:
        """Those whose source begins so."""
        table = tables.evidence
        begins = table.c.source.startswith(start, autoescape=True)
        query = select(table).where(table.c.repository == repository, begins)
        return await self._all(Evidence, query.order_by(table.c.at, table.c.id))

    async def evidence_of_source(self, repository: str, source: str) -> Sequence[Evidence]:
        table = tables.evidence
        query = select(table).where(table.c.repository == repository, table.c.source == source)
        return await self._all(Evidence, query.order_by(table.c.at, table.c.id))

    async def evidence_of_build(self, subject: str) -> Sequence[Evidence]:
        if not keepable(subject):
            return []
        table = tables.evidence
        query = select(table).where(table.c.subject == subject, table.c.subject != "")
        return await self._all(Evidence, query.order_by(table.c.at, table.c.id))

    async def last_evidence(self, repository: str, duty: str, environment: str) -> Evidence | None:
        """The one that counts and was given last."""
        table = tables.evidence
        query = select(table).where(
            table.c.repository == repository,
            table.c.duty == duty,
            table.c.environment == environment,
            table.c.voided_at.is_(None),
        )
        found = await self._all(Evidence, query.order_by(table.c.at.desc(), table.c.id.desc()).limit(1))
        return found[0] if found else None

    async def segments(self, session: str, *, after: int = 0, limit: int = 1000) -> Sequence[Segment]:
        """Those of a session's recording with a number above ``after``, in their order."""
        if not keepable(session):
            return []
        table = tables.segments
        query = select(table).where(table.c.session == session, table.c.number > after)
        return await self._all(Segment, query.order_by(table.c.number).limit(limit))

    async def last_segment(self, session: str) -> Segment | None:
        if not keepable(session):
            return None
        table = tables.segments
        query = select(table).where(table.c.session == session).order_by(table.c.number.desc()).limit(1)
        found = await self._all(Segment, query)
        return found[0] if found else None

    async def recording_key(self, session: str) -> RecordingKey | None:
        return await self._one(RecordingKey, session=session)

    async def recording_keys(self, *, wrapped_by_other_than: str, limit: int = 1000) -> Sequence[RecordingKey]:
        """Those that are not destroyed and that another version of the master key wrapped."""
        table = tables.recording_keys
        query = select(table).where(table.c.master != wrapped_by_other_than, table.c.destroyed_at.is_(None))
        return await self._all(RecordingKey, query.order_by(table.c.session).limit(limit))

    async def account(self, grant_id: str) -> UpstreamAccount | None:
        return await self._one(UpstreamAccount, id=grant_id)

    async def accounts(self, *, live: bool = False, person: str | None = None) -> Sequence[UpstreamAccount]:
        """With ``live`` those that their resource still has."""
        table = tables.accounts
        query = select(table).order_by(table.c.made_at, table.c.id)
        if live:
            query = query.where(table.c.ended_at.is_(None))
        if person is not None:
            query = query.where(_is_person(table, person))
        return await self._all(UpstreamAccount, query)

    async def recording_keys_to_erase(self, *, limit: int = 100) -> Sequence[RecordingKey]:
        """Those of deleted recordings whose segments are not gone yet."""
        table = tables.recording_keys
        query = select(table).where(table.c.destroyed_at.is_not(None), table.c.erased_at.is_(None))
        return await self._all(RecordingKey, query.order_by(table.c.session).limit(limit))

    async def legal_hold(self, hold_id: str) -> LegalHold | None:
        return await self._one(LegalHold, id=hold_id)

    async def chat_link(self, notifier: str, subject: str) -> ChatLink | None:
        return await self._one(ChatLink, notifier=notifier, subject=subject)

    async def chat_links(self, person: str) -> Sequence[ChatLink]:
        """Those that are not over, the oldest first."""
        table = tables.chat_links
        mine = select(table).where(table.c.person == person, table.c.ended_at.is_(None))
        return await self._all(ChatLink, mine.order_by(table.c.linked_at, table.c.subject))

    async def legal_holds(self) -> Sequence[LegalHold]:
        """All that were ever placed, the oldest first."""
        table = tables.legal_holds
        return await self._all(LegalHold, select(table).order_by(table.c.placed_at, table.c.id))

    async def artifacts(self, chain: str, *, limit: int = 20) -> Sequence[str]:
        """The artifacts of a chain, the one of which a duty was taken last first."""
        if not keepable(chain):
            return []
        table = tables.duties
        newest = func.max(table.c.taken_at)
        query = select(table.c.artifact).where(table.c.chain == chain).group_by(table.c.artifact)
        return [row[0] for row in await self._rows(query.order_by(newest.desc(), table.c.artifact).limit(limit))]

    async def ledger(self, *, after: int = 0, limit: int = 1000) -> Sequence[LedgerEntry]:
        table = tables.ledger
        query = select(table).where(table.c.position > after).order_by(table.c.position).limit(limit)
        return [_entry(row) for row in await self._rows(query)]

    async def ledger_search(
        self, text: str = "", *, limit: int = 200, before: int | None = None, kind: str = "", actor: str = ""
    ) -> Sequence[LedgerEntry]:
        """The newest ``limit`` entries, in their order, whose body has ``text`` in it (letter case aside).

        ``before``: only those before that position; ``kind``, ``actor``: only of that kind, by that one.
        """
        table = tables.ledger
        if not (keepable(text.replace("\0", "")) and keepable(kind) and keepable(actor)):
            return []
        query = select(table).order_by(table.c.position.desc()).limit(limit)
        if text:
            # as it stands in the body: within quotes, escaped as JSON escapes
            written = canonical(text).decode()[1:-1]
            query = query.where(func.convert_from(table.c.body, "UTF8").icontains(written, autoescape=True))
        if before is not None:
            query = query.where(table.c.position < before)
        for column, wanted in ((table.c.kind, kind), (table.c.actor, actor)):
            if wanted:
                query = query.where(column == wanted)
        return [_entry(row) for row in reversed(await self._rows(query))]

    async def ledger_head(self) -> int:
        """The last entry's position, 0 when there is none."""
        rows = await self._rows(select(func.max(tables.ledger.c.position)))
        return rows[0][0] or 0

    async def changed(self, after: int, *, limit: int) -> Page:
        """What changed after a position, as it now is, and the position up to which that is all.

        ``limit`` bounds how many keys are looked at; a unit of work is never divided.
        """
        table = tables.changes
        rows = select(table.c.entity, table.c.key, table.c.position).where(table.c.position > after)
        touched = await self._rows(rows.order_by(table.c.position).limit(limit))
        full = len(touched) == limit
        if full:
            upto = touched[-1].position
            touched = await self._rows(rows.where(table.c.position <= upto))
        else:
            upto = max(await self.ledger_head(), after)
        last: dict[str, dict[tuple[str, ...], int]] = {}
        for name, key, position in touched:
            place = last.setdefault(name, {})
            place[tuple(key)] = max(position, place.get(tuple(key), 0))
        entities: list[tuple[int, Entity]] = []
        for name in sorted(last):
            form = form_of_table(name)
            found = await self._by_keys(name, tuple(last[name]))
            entities += [(last[name][form.key_of(entity)], entity) for entity in found]
        return Page(upto, entities, full)

    async def _by_keys(self, name: str, keys: Sequence[tuple[str, ...]]) -> Sequence[Entity]:
        form = form_of_table(name)
        matches = or_(*(and_(*_equals(form.table, form.key_values(key))) for key in keys))
        return [form.read(row._mapping) for row in await self._rows(select(form.table).where(matches))]

    async def _one(self, entity: type[E], **key: str) -> E | None:
        if not all(keepable(value) for value in key.values()):
            return None
        form = form_of(entity)
        found = await self._all(entity, select(form.table).where(*_equals(form.table, key)))
        return found[0] if found else None

    async def _all(self, entity: type[E], query: Select[*tuple[Any, ...]]) -> Sequence[E]:
        form = form_of(entity)
        return [form.read(row._mapping) for row in await self._rows(query)]

    async def _rows(self, query: Select[*tuple[Any, ...]]) -> Sequence[AnyRow]:
        if self._over:
            raise Misuse("the state was read after its block ended")
        with as_failures():
            return (await self._connection.execute(query)).all()


def _is_person(table: Table, person: str) -> ColumnElement[bool]:
    return table.c.person == person if keepable(person) else false()


def _equals(table: Table, key: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in key.items()]


def _entry(row: AnyRow) -> LedgerEntry:
    return LedgerEntry(
        position=row.position,
        at=row.at,
        actor=row.actor,
        kind=row.kind,
        body=bytes(row.body),
        link=bytes(row.link).hex(),
    )
