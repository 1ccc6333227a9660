"""The segments that a gateway stored of a session's recording take their places, and stand in the ledger.

Holds to:

* only while the session is open
* each follows on the last one that is known, by number and by hash: none is left out, replaced, repeated or moved
* idempotent: what is known already, under the same number with the same hash, changes nothing
"""

import re
from datetime import datetime

from interlock.domain.grants import Activity
from interlock.domain.recordings import Segment
from interlock.domain.work_events import RecordingKept
from interlock.errors import Refusal
from interlock.ports.control import SegmentReport
from interlock.ports.state import UnitOfWork

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


async def keep_segments(
    work: UnitOfWork, activity: Activity, last: Segment | None, report: SegmentReport, now: datetime
) -> bool:
    """Whether something new was written. ``last`` is the last segment that is known of the session ``activity``, which
    the gateway that reports has. Raises Refusal (``other-segments``)."""
    count, head, records = (last.number, last.digest, last.records) if last else (0, "", 0)
    known = min(count - report.first + 1, len(report.segments))
    if known < 0 or report.first < 1:
        raise _other(report, f"segment {report.first} cannot follow on segment {count}")
    if known:
        rows = await work.segments(report.session, after=report.first - 1, limit=known)
        if [row.digest for row in rows] != [segment.digest for segment in report.segments[:known]]:
            raise _other(report, "a segment that is known was reported with another hash")
    fresh = report.segments[known:]
    if not fresh:
        return False
    if activity.closed_at is not None:
        raise _other(report, "it is closed")
    if not known and report.previous != head:
        raise _other(report, "it does not follow on the last segment that is known")
    for number, segment in enumerate(fresh, count + 1):
        if segment.records <= records or _DIGEST.fullmatch(segment.digest) is None:
            raise _other(report, f"segment {number} says what cannot be")
        records = segment.records
        await work.save(Segment(report.session, number, segment.digest, records, now))
    work.record(
        RecordingKept(
            session=report.session,
            first=count + 1,
            previous=head,
            digests=tuple(segment.digest for segment in fresh),
            records=records,
        )
    )
    return True


def _other(report: SegmentReport, why: str) -> Refusal:
    return Refusal(
        "other-segments",
        f"The recording of {report.session} is not taken as it was reported: {why}.",
        "Find out what that gateway's host does; its journal has what was recorded.",
    )
