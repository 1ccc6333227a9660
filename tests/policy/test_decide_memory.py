"""A remembered decision is the decision that would be made anew."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.domain.actions import Action, Need
from interlock.domain.decisions import Effect
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

DEV, LEAD = PLAIN.people["dev@acme.example"], PLAIN.people["lead@example.com"]
ORDERS = PLAIN.resources["orders"]
FROZEN = replace(ORDERS, labels={**ORDERS.labels, "frozen": "x"})
NEEDS = [
    Need(action, part)
    for action in (Action.READ, Action.WRITE, Action.DESTROY, Action.EXECUTE)
    for part in ("", "table public.orders", "table payroll.a")
]

# Few values of each, so that questions often differ in one thing alone.
QUESTIONS = st.builds(
    Question,
    person=st.sampled_from([DEV, LEAD, replace(LEAD, groups=frozenset()), replace(DEV, ended_at=AT)]),
    resource=st.sampled_from(
        [ORDERS, replace(ORDERS, labels={}), replace(ORDERS, labels={**ORDERS.labels, "frozen": "x"})]
    ),
    roles=st.sampled_from([frozenset({"reader"}), frozenset({"writer"}), frozenset({"reader", "writer"})]),
    needs=st.lists(st.sampled_from(NEEDS), max_size=2).map(tuple),
    at=st.sampled_from([AT, AT - timedelta(seconds=1), AT + timedelta(hours=5), AT + timedelta(days=200)]),
    present_at=st.sampled_from([None, AT, AT - timedelta(hours=3)]),
)


def variants(question: Question) -> st.SearchStrategy[list[Question]]:
    """``question`` with one or two things about it changed, many times."""
    names = [field.name for field in fields(Question)]
    change = st.tuples(QUESTIONS, st.lists(st.sampled_from(names), min_size=1, max_size=2))
    return st.lists(
        change.map(lambda found: replace(question, **{name: getattr(found[0], name) for name in found[1]})),
        min_size=5,
        max_size=20,
    )


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SETS), QUESTIONS.flatmap(variants), st.integers(1, 4096))
def test_remembered_and_fresh_decisions_agree(
    configuration: Configuration, questions: list[Question], most: int
) -> None:
    remembering, fresh = Decider(configuration, remember=most), Decider(configuration, remember=0)
    for question in [*questions, *questions]:
        assert remembering.decide(question) == fresh.decide(question)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SETS), QUESTIONS, st.lists(QUESTIONS, min_size=5, max_size=20))
def test_what_lasts_is_the_answer_at_any_moment(
    configuration: Configuration, question: Question, moments: list[Question]
) -> None:
    decider, fresh = Decider(configuration), Decider(configuration, remember=0)
    decided = decider.decide(question)
    if decider.lasts(question):
        for moment in moments:
            assert fresh.decide(replace(question, at=moment.at, present_at=moment.present_at)) == decided


def test_an_allow_without_a_time_in_it_lasts() -> None:
    decider = Decider(PLAIN)
    question = Question(DEV, ORDERS, frozenset({"writer"}), (Need(Action.READ, "table t"),), AT, AT)
    assert not decider.lasts(question)
    decider.decide(question)
    assert decider.lasts(question)
    assert not decider.lasts(replace(question, resource=FROZEN))
    of_presence = replace(question, roles=frozenset({"reader"}))
    assert decider.decide(of_presence).effect is Effect.ALLOW
    assert not decider.lasts(of_presence)


def test_the_sentence_of_a_denial_is_of_its_own_moment() -> None:
    decider = Decider(PLAIN)
    question = Question(DEV, ORDERS, frozenset({"reader"}), (Need(Action.WRITE),), AT, AT)
    assert "--role writer" in decider.decide(question).reason
    later = AT + timedelta(days=200)
    assert "no contract that runs now" in decider.decide(replace(question, at=later, present_at=later)).reason


def test_no_more_is_remembered_than_was_said() -> None:
    decider = Decider(PLAIN, remember=3)
    for number in range(20):
        needs = (Need(Action.READ, f"table t{number}"),)
        assert decider.decide(Question(DEV, ORDERS, frozenset({"writer"}), needs, AT, AT)).effect is Effect.ALLOW
    assert len(decider._verdicts) == 3
    assert len(decider._rulings) == 1
