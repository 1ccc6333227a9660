"""Each rule over a stream that fires it and one that does not."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, get_args

import pytest

from interlock.domain.detections import (
    BeforeEnd,
    BrokenGlass,
    Detection,
    FirstUse,
    OffHours,
    Refusals,
    Repeated,
    Response,
    Rule,
    SamePair,
    Volume,
)
from interlock.domain.event import Event
from interlock.domain.identity_events import SignInRefused
from interlock.domain.rights_events import (
    ApprovalGiven,
    ApprovalVoided,
    ContractAdded,
    ContractChanged,
    GrantStarted,
    PersonAdded,
    RequestEnded,
    RequestOpened,
)
from interlock.domain.work_events import SessionClosed, SessionCounted, SessionOpened
from interlock.ledger.entries import Recorded
from interlock.ledger.watch import Finding, Watch, digest_of

NOON = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)
"""A Monday."""

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DEV, LEAD, DBA = "dev@acme", "lead", "dba"


@dataclass
class Stream:
    """Entries one after another, watched for one rule; after each the memory goes through JSON, as at a restart."""

    rule: Rule
    response: Response = Response.NOTIFY
    now: datetime = NOON
    position: int = 0
    memory: Any = None
    found: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.say(
            PersonAdded(person=DEV, vendor="acme", groups=()),
            PersonAdded(person=LEAD, vendor=None, groups=()),
            PersonAdded(person=DBA, vendor=None, groups=("dba",)),
        )

    def say(self, *events: Event) -> None:
        for event in events:
            watch = Watch([Detection("it", self.rule, self.response)], self.memory)
            self.position += 1
            self.found += watch.take(Recorded(self.position, self.now, "system", event))
            self.memory = json.loads(json.dumps(watch.memory()))

    def later(self, by: timedelta) -> None:
        self.now += by

    def open(
        self, session: str = "s-1", *, person: str = DEV, resource: str = "orders", grants: Sequence[str] = ("g-1",)
    ) -> None:
        self.say(
            SessionOpened(
                session=session,
                person=person,
                resource=resource,
                login="l-1",
                grants=tuple(grants),
                gateway="gw",
                address="10.0.0.1",
                client="psql",
                opened_at=self.now,
            )
        )

    def count(self, rows: int = 0, refused: int = 0, *, session: str = "s-1", person: str = DEV) -> None:
        self.say(SessionCounted(session=session, person=person, resource="orders", rows=rows, refused=refused))

    def close(self, rows: int = 0, refused: int = 0, *, session: str = "s-1", person: str = DEV) -> None:
        self.say(
            SessionClosed(
                session=session,
                person=person,
                resource="orders",
                closed_at=self.now,
                why="left",
                statements=1,
                rows=rows,
                refused=refused,
            )
        )

    def lend(self, number: int, *approvers: str, contract: str | None = None, ends: timedelta = HOUR) -> None:
        request = f"r-{number}"
        self.ask(request)
        for approver in approvers:
            self.say(ApprovalGiven(request=request, person=approver, digest="d", present_at=self.now))
        self.say(
            GrantStarted(
                grant=f"g-{number}",
                request=request,
                person=DEV,
                role="reader",
                resource="orders",
                key="k",
                starts_at=self.now,
                ends_at=self.now + ends,
                contract=contract,
            ),
            RequestEnded(request=request, state="approved", by=LEAD, reason=""),
        )

    def ask(self, request: str, kind: str = "grant", session: str = "") -> None:
        self.say(
            RequestOpened(
                request=request,
                request_kind=kind,
                person=DEV,
                resource="orders",
                role="reader",
                digest="d",
                reason="a task",
                content={"session": session} if session else {},
            )
        )

    @property
    def said(self) -> list[str]:
        return [finding.sentence for finding in self.found]


def test_a_contractors_first_use_fires_once_for_each_resource() -> None:
    stream = Stream(FirstUse())
    stream.open()
    stream.open("s-2")
    stream.open("s-3", resource="stock")
    assert stream.said == [
        "dev@acme of acme uses orders for the first time.",
        "dev@acme of acme uses stock for the first time.",
    ]
    assert [finding.session for finding in stream.found] == ["s-1", "s-3"]


def test_an_employees_first_use_is_none_of_a_contractor() -> None:
    stream = Stream(FirstUse())
    stream.open(person=LEAD)
    assert not stream.found


def test_off_hours_fires_at_night_and_at_the_week_end() -> None:
    stream = Stream(OffHours())
    stream.later(10 * HOUR)
    stream.open()
    stream.later(5 * DAY - 10 * HOUR)
    stream.open("s-2")
    assert stream.said == [
        "dev@acme uses orders at 22:00 on a Monday (UTC).",
        "dev@acme uses orders at 12:00 on a Saturday (UTC).",
    ]


def test_off_hours_fires_when_a_session_of_the_day_is_used_at_night_and_once() -> None:
    stream = Stream(OffHours())
    stream.open()
    stream.later(10 * HOUR)
    stream.count(rows=100)
    stream.count(rows=200)
    stream.close(rows=200)
    assert stream.said == ["dev@acme uses orders at 22:00 on a Monday (UTC)."]


def test_off_hours_are_quiet_in_the_day_of_their_zone() -> None:
    stream = Stream(OffHours(zone="Pacific/Auckland"))
    stream.later(10 * HOUR)  # 22:00 UTC is 11:00 on Tuesday in Auckland in November
    stream.open()
    assert not stream.found
    over_midnight = Stream(OffHours(start=OffHours().end, end=OffHours().start))
    over_midnight.later(10 * HOUR)
    over_midnight.open()
    assert not over_midnight.found


def _days_of(rows: int, stream: Stream) -> None:
    for number in range(5):
        session = f"s-{number + 10}"
        stream.open(session)
        stream.count(rows=rows // 2, session=session)
        stream.close(rows=rows, session=session)
        stream.later(DAY)


def test_volume_fires_past_the_persons_own_baseline_once_a_day() -> None:
    stream = Stream(Volume(times=3, least=1000))
    _days_of(500, stream)
    stream.open()
    stream.count(rows=1400)
    assert not stream.found
    stream.count(rows=1600)
    stream.count(rows=9000)
    assert stream.said == ["dev@acme has had 1,600 rows today; the busiest of the last 28 days had 500."]
    assert stream.found[0].session == "s-1"


def test_volume_is_quiet_for_who_always_reads_much_and_for_who_has_no_baseline() -> None:
    much = Stream(Volume(times=3, least=1000))
    _days_of(4000, much)
    much.open()
    much.close(rows=9000)
    assert not much.found
    new = Stream(Volume(times=3, least=1000))
    new.open()
    new.close(rows=900_000)
    assert not new.found


def test_volume_forgets_days_that_are_long_over() -> None:
    stream = Stream(Volume(times=3, least=1000))
    _days_of(4000, stream)
    stream.later(60 * DAY)
    stream.open()
    stream.close(rows=900_000)
    assert not stream.found, "there is no baseline any more"


def test_refusals_of_all_kinds_add_up() -> None:
    stream = Stream(Refusals(count=5, within=10 * timedelta(minutes=1)))
    stream.open()
    stream.count(refused=2)
    stream.say(SignInRefused(person=DEV, address="10.0.0.1", reason="wrong code", blocked_until=None))
    stream.ask("r-7")
    stream.say(RequestEnded(request="r-7", state="denied", by=LEAD, reason="no"))
    assert not stream.found
    stream.count(refused=3)
    assert stream.said == ["dev@acme was refused 5 times within 10m."]


def test_refusals_are_quiet_when_they_are_spread_or_somebody_elses() -> None:
    stream = Stream(Refusals(count=3, within=timedelta(minutes=10)))
    for _ in range(6):
        stream.say(SignInRefused(person=DEV, address="10.0.0.1", reason="wrong code", blocked_until=None))
        stream.later(timedelta(minutes=6))
    stream.say(SignInRefused(person=LEAD, address="10.0.0.1", reason="wrong code", blocked_until=None))
    assert not stream.found


def test_the_same_pair_fires_at_the_count() -> None:
    stream = Stream(SamePair(count=3))
    stream.lend(1, LEAD)
    stream.lend(2, LEAD, DBA)
    assert not stream.found
    stream.lend(3, LEAD)
    assert stream.said == ["The last 3 requests of dev@acme were all approved by lead."]
    assert stream.found[0].grant == "g-3"


def test_another_approver_in_between_breaks_the_pair() -> None:
    stream = Stream(SamePair(count=3))
    for number, approver in enumerate((LEAD, LEAD, DBA, LEAD, LEAD)):
        stream.lend(number, approver)
    assert not stream.found


def test_a_voided_approval_does_not_count_for_the_pair() -> None:
    stream = Stream(SamePair(count=2))
    stream.lend(1, LEAD)
    stream.ask("r-2")
    stream.say(
        ApprovalGiven(request="r-2", person=LEAD, digest="d", present_at=None),
        ApprovalVoided(request="r-2", person=LEAD, reason="left"),
        ApprovalGiven(request="r-2", person=DBA, digest="d", present_at=None),
        RequestEnded(request="r-2", state="approved", by=DBA, reason=""),
    )
    assert not stream.found


def test_what_is_found_of_a_grant_reaches_the_session_that_rests_on_it() -> None:
    stream = Stream(SamePair(count=2), Response.CUT)
    stream.lend(1, LEAD)
    stream.lend(2, LEAD)
    assert [finding.session for finding in stream.found] == [""]
    stream.open("s-9", grants=("g-1",))
    assert len(stream.found) == 1
    stream.open("s-10", grants=("g-2",))
    assert [finding.session for finding in stream.found] == ["", "s-10"]


def _with_contract(stream: Stream, end: datetime) -> None:
    stream.say(ContractAdded(contract="work", vendor="acme", sponsor=LEAD, start=NOON, end=end, roles=("reader",)))
    stream.lend(1, LEAD, contract="work")


def test_use_just_before_a_contracts_end_fires() -> None:
    stream = Stream(BeforeEnd(within=3 * DAY))
    _with_contract(stream, NOON + 2 * DAY)
    stream.open()
    assert stream.said == ["dev@acme uses orders under the contract work, which ends 2026-11-18 12:00 UTC."]


def test_use_long_before_the_end_or_after_an_extension_is_quiet() -> None:
    stream = Stream(BeforeEnd(within=3 * DAY))
    _with_contract(stream, NOON + 2 * DAY)
    stream.say(
        ContractChanged(
            contract="work", vendor="acme", sponsor=LEAD, start=NOON, end=NOON + 60 * DAY, roles=("reader",)
        )
    )
    stream.open()
    stream.open("s-2", grants=("g-unknown",))
    assert not stream.found


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassBroken(Event):
    """What a break-glass is to the watch: an event of this kind that names person, grant, resource and reason."""

    kind: ClassVar[str] = "glass.broken"
    grant: str
    person: str
    resource: str
    reason: str


def test_a_broken_glass_fires_and_reaches_the_session_on_its_grant() -> None:
    stream = Stream(BrokenGlass(), Response.HOLD)
    stream.say(GlassBroken(grant="g-1", person=DEV, resource="orders", reason="the shop is down"))
    stream.open()
    assert stream.said == ["dev@acme broke the glass on orders: the shop is down"] * 2
    assert [finding.session for finding in stream.found] == ["", "s-1"]


def test_a_grant_that_others_approved_breaks_no_glass() -> None:
    stream = Stream(BrokenGlass(), Response.HOLD)
    stream.lend(1, LEAD)
    stream.open()
    assert not stream.found


def test_an_event_of_ones_own_choice_fires_by_its_fields_and_number() -> None:
    stream = Stream(Repeated("session.opened", {"client": "psql", "grants": "g-1"}, count=2, within=HOUR))
    stream.open()
    stream.open("s-2", grants=("g-3", "g-1"))
    assert stream.said == ["session.opened 2 times within 1h: dev@acme."]


def test_an_event_with_other_fields_or_too_few_is_quiet() -> None:
    stream = Stream(Repeated("session.opened", {"client": "dbeaver"}))
    stream.open()
    few = Stream(Repeated("session.opened", {}, count=2, within=HOUR))
    few.open()
    few.later(2 * HOUR)
    few.open("s-2")
    assert not stream.found
    assert not few.found


def test_the_digest_follows_what_is_looked_for() -> None:
    one, other = Detection("it", Refusals(count=3)), Detection("it", Refusals(count=4))
    assert digest_of([one]) != digest_of([other])
    assert digest_of([one, Detection("a", FirstUse())]) == digest_of([Detection("a", FirstUse()), one])


_RULES: tuple[Rule, ...] = (
    FirstUse(),
    OffHours(),
    Volume(),
    Refusals(),
    SamePair(),
    BeforeEnd(),
    BrokenGlass(),
    Repeated("session.cut"),
)


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: str(rule.detect))
def test_every_kind_of_rule_has_a_digest(rule: Rule) -> None:
    """Without one nothing at all is watched."""
    assert {type(one) for one in _RULES} == set(get_args(Rule))
    plain = [Detection("it", rule, response) for response in Response]
    assert len({digest_of([one]) for one in plain}) == len(plain)
