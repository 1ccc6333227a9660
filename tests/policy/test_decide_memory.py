"""A remembered decision is the decision that would be made anew."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.domain.actions import Action, Need
from interlock.domain.people import Person
from interlock.domain.resources import Resource
from interlock.policy.configuration import Configuration
from interlock.policy.decide import Decider, Question
from tests.policy.example import PAYROLL, load

AT = datetime(2026, 12, 1, 10, tzinfo=UTC)
TIMED = 'forbid (principal, action == Action::"write", resource) when { context.at.toTime() >= duration("10h") };'
PRESENT = """@mfa("1h") permit (principal, action, resource)
when { context.roles.contains("writer") && context has present_at }
when { context.at.durationSince(context.present_at) < duration("2h") };
"""
LABELLED = 'forbid (principal, action, resource) when { resource.hasTag("frozen") };'
PLAIN = load()
SETS = [
    PLAIN,
    *(load(cedar={"x.cedar": cedar}) for cedar in (PAYROLL, TIMED, PRESENT, LABELLED)),
    load(cedar={"a.cedar": PAYROLL, "b.cedar": TIMED, "c.cedar": PRESENT, "d.cedar": LABELLED}),
]

PEOPLE = st.builds(
    Person,
    name=st.sampled_from(sorted(PLAIN.people)),
    vendor=st.sampled_from([None, "acme", "globex"]),
    groups=st.frozensets(st.sampled_from(["dba", "ops"]), max_size=2),
    ended_at=st.sampled_from([None, None, AT]),
)
RESOURCES = st.builds(
    Resource,
    name=st.sampled_from(["orders", "scratch"]),
    kind=st.sampled_from(["postgres", "toy"]),
    host=st.just("h"),
    port=st.just(1),
    labels=st.sampled_from([{}, {"environment": "production"}, {"environment": "production", "frozen": "x"}]),
)
MOMENTS = st.sampled_from([AT, AT - timedelta(seconds=1), AT + timedelta(hours=5), AT + timedelta(days=200)])
NEEDS = st.builds(
    Need, st.sampled_from(Action), st.sampled_from(["", "table public.orders", "table payroll.a", "table payroll.b"])
)
QUESTIONS = st.builds(
    Question,
    person=PEOPLE,
    resource=RESOURCES,
    roles=st.frozensets(st.sampled_from(["reader", "writer", "shell"]), max_size=2),
    needs=st.lists(NEEDS, max_size=3).map(tuple),
    at=MOMENTS,
    present_at=st.none() | MOMENTS,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SETS), st.lists(QUESTIONS, min_size=2, max_size=12), st.integers(1, 4096))
def test_remembered_and_fresh_decisions_agree(
    configuration: Configuration, questions: list[Question], most: int
) -> None:
    remembering, fresh = Decider(configuration, remember=most), Decider(configuration, remember=0)
    for question in [*questions, *questions]:
        assert remembering.decide(question) == fresh.decide(question)
