"""Duties and their evidence, the policy and its changes, what the watch found."""

from collections.abc import Collection, Sequence

from sqlalchemy import ARRAY, Text, any_, cast, func, literal, or_, select

from interlock.domain.delivery import Evidence
from interlock.domain.detections import Alarm
from interlock.domain.duties import Duty
from interlock.domain.proposals import Proposal
from interlock.domain.snapshot import PolicyText
from interlock.store import tables
from interlock.store.reads import Reads
from interlock.store.rows import keepable

MOST_SINCE = 1000
"""So much new evidence is read by itself; when there is more, everything is read."""

_UNSEALED = tuple(
    literal("").label("envelope") if one is tables.evidence.c.envelope else one for one in tables.evidence.c
)


class WorkReads(Reads):
    """Duties and their evidence, the policy and its changes, what the watch found."""

    async def policy(self) -> PolicyText | None:
        """The version that was activated last."""
        table = tables.policies
        found = await self._all(PolicyText, select(table).order_by(table.c.version.desc()).limit(1))
        return found[0] if found else None

    async def policies(self, *, upto: int, limit: int) -> Sequence[PolicyText]:
        """The versions from ``upto`` down, the newest first."""
        table = tables.policies
        query = select(table).where(table.c.version <= upto).order_by(table.c.version.desc()).limit(limit)
        return await self._all(PolicyText, query)

    async def policy_versions(self, *, before: int, limit: int) -> Sequence[tuple[int, str]]:
        """Numbers and digests of the versions below ``before``, the newest first: without their texts."""
        table = tables.policies
        query = select(table.c.version, table.c.digest).where(table.c.version < before)
        return [(row[0], row[1]) for row in await self._rows(query.order_by(table.c.version.desc()).limit(limit))]

    async def proposal(self, request_id: str) -> Proposal | None:
        return await self._one(Proposal, request=request_id)

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

    async def artifacts(self, chain: str, *, limit: int = 20) -> Sequence[str]:
        """The artifacts of a chain, the one of which a duty was taken last first."""
        if not keepable(chain):
            return []
        table = tables.duties
        newest = func.max(table.c.taken_at)
        query = select(table.c.artifact).where(table.c.chain == chain).group_by(table.c.artifact)
        return [row[0] for row in await self._rows(query.order_by(newest.desc(), table.c.artifact).limit(limit))]
