"""A held statement: find out what it would do, ask people, wait.

The impact of a change of rows is found by running the statement on the client's own connection, sheltered, under a
time limit for locks and for itself, and undoing it. That of TRUNCATE and DROP is found by looking. With it
comes a sample of the rows (``sampling``).
"""

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from interlock.ports.protocol import Held, Impact, PartImpact, Refused, Verdict
from interlock.ports.sample import NO_SAMPLE, Sample
from interlock.protocols.postgres import impact, sampling, shelter
from interlock.protocols.postgres.classify import Classified
from interlock.protocols.postgres.impact import Change, Table
from interlock.protocols.postgres.injection import Injection, Step
from interlock.protocols.postgres.names import Running
from interlock.protocols.postgres.relay import CANCELLED, Relay, Wait
from interlock.protocols.postgres.replies import FAILED

_CASCADE = re.compile(r"\bcascade\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """The statement to measure: its text, or the prepared ``statement`` with the values in ``tail`` of its Bind."""

    text: str
    classified: Classified
    statement: str | None = None
    tail: bytes | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a statement would do, and some rows that it would touch."""

    impact: Impact
    sample: Sample = NO_SAMPLE


def hold(relay: Relay, running: Running, held: Held, target: Target) -> Generator[Wait, None, Verdict]:
    """Measure and ask. Everything that was sent before is answered first, so that the client waits for this alone."""
    if relay.replies.expected:
        yield Wait.DRAINED
    if relay.replies.skipping and relay.batch_open:
        relay.outlet.withdraw(running.number)
        return Refused("A statement before it in the batch failed.", "skipped")
    found = yield from measure(relay, held, target)
    if relay.cancelled:
        relay.outlet.withdraw(running.number)
        return Refused("canceling statement due to user request", "cancelled")
    return (yield from ask_people(relay, running, found))


def ask_people(relay: Relay, running: Running, found: Found) -> Generator[Wait, None, Verdict]:
    """Ask with the impact found, and wait for the answer for as long as it takes."""
    relay.expect_verdict(running)
    relay.holding = True
    relay.outlet.hold(running.number, found.impact, found.sample)
    verdict = yield from relay.await_verdict(running)
    relay.holding = False
    return verdict


def measure(relay: Relay, held: Held, target: Target) -> Generator[Wait, None, Found]:
    """Find out what the statement would do. Everything that was sent before must have been answered."""
    classified = target.classified
    if not held.measure or not classified.measurable:
        return Found(Impact(unmeasured="What this statement would do cannot be found out without doing it."))
    if relay.replies.status == FAILED:
        return Found(Impact(unmeasured="The transaction has failed; the statement would do nothing in it."))
    limits = [
        Step(f"SET LOCAL lock_timeout = {int(held.lock_wait_s * 1000)}"),
        Step(f"SET LOCAL statement_timeout = {int(held.measure_s * 1000)}"),
    ]
    if classified.impact == "describe":
        return (yield from _describe(relay, limits, target))
    return (yield from _run(relay, limits, target))


def _run(relay: Relay, limits: list[Step], target: Target) -> Generator[Wait, None, Found]:
    if target.statement is None:
        trial = Step(target.text, keeps_rows=False)
    else:
        trial = Step(statement=target.statement, tail=target.tail, keeps_rows=False)
    inside = shelter.plan_shelter(relay)
    steps = [*inside.opening, *limits, impact.MARKS, impact.COUNTS, trial]
    steps += [Step("SET CONSTRAINTS ALL IMMEDIATE"), impact.MARKS, impact.COUNTS]
    ran = yield from relay.inject(steps)
    change = _count_change(ran, len(inside.opening) + len(limits)) if ran.succeeded else Impact(unmeasured=_why(ran))
    seen = sampling.Inside()
    if isinstance(change, Change):
        seen = yield from sampling.look_inside(relay, change)
    undone = yield from shelter.leave(relay, inside)
    if not undone.succeeded:
        return Found(Impact(unmeasured=f"The measurement could not be undone: {undone.sentence}"))
    if isinstance(change, Impact):
        return Found(change)
    parts = yield from complete_parts(relay, limits, change, target.classified.target)
    sample = yield from sampling.sample_change(relay, change, seen)
    return Found(Impact(parts=parts), sample)


def _count_change(ran: Injection, first: int) -> Change | Impact:
    """What the trial changed, by the counts from answer ``first`` on; an Impact says why it is not known."""
    uncounted = impact.why_uncounted(impact.read_marks(ran.answers[first]), impact.read_marks(ran.answers[-2]))
    if uncounted:
        return Impact(unmeasured=uncounted)
    change = impact.compare(impact.read_counts(ran.answers[first + 1]), impact.read_counts(ran.answers[-1]))
    return change if change.countable else Impact(unmeasured=UNCOUNTABLE)


UNCOUNTABLE = "The server's counts of what it changed went backwards, as they do when a trigger truncates a table."


def _why(ran: Injection) -> str:
    if ran.sqlstate in ("55P03", CANCELLED):
        return f"Measuring took longer than it may: {ran.sentence}."
    return f"In a trial it failed: {ran.sentence} ({ran.sqlstate})."


def complete_parts(
    relay: Relay, limits: list[Step], change: Change, targets: Sequence[str]
) -> Generator[Wait, None, tuple[PartImpact, ...]]:
    """The parts with how many rows each table has: counted if the time allows it, else as the planner takes it."""
    named = yield from _look(relay, limits, [impact.find_targets(targets)])
    own = impact.read_tables(named.answers[0]) if named.succeeded else []
    tables = [*own, *(table for table in change.tables if table not in own)]
    totals = yield from _count(relay, limits, tables)
    return impact.describe_parts(change, own, totals)


def _count(relay: Relay, limits: list[Step], tables: list[Table]) -> Generator[Wait, None, dict[Table, int]]:
    counted = yield from _look(relay, limits, impact.count_rows(tables))
    if not counted.succeeded:
        counted = yield from _look(relay, limits, impact.estimate_rows(tables))
    return impact.read_totals(tables, counted)


def _look(relay: Relay, limits: list[Step], steps: list[Step]) -> Generator[Wait, None, Injection]:
    """Run queries sheltered, and give back their answers alone."""
    inside = shelter.plan_shelter(relay)
    looked = yield from relay.inject([*inside.opening, *limits, *steps])
    yield from shelter.leave(relay, inside)
    del looked.answers[: len(inside.opening) + len(limits)]
    looked.steps = steps
    return looked


def _describe(relay: Relay, limits: list[Step], target: Target) -> Generator[Wait, None, Found]:
    """TRUNCATE and DROP: the rows of the tables, of those that go with them, and what depends on them."""
    named = yield from _look(relay, limits, [impact.find_targets(target.classified.target)])
    if not named.succeeded:
        return Found(Impact(unmeasured=_why(named)))
    tables = impact.read_tables(named.answers[0])
    if not tables:
        return Found(Impact(unmeasured="The tables that it names were not found."))
    around = yield from _look(relay, limits, [impact.find_referencing(tables), impact.find_dependents(tables)])
    if not around.succeeded:
        return Found(Impact(unmeasured=_why(around)))
    dependents = tuple(impact.text(row[0]) for row in around.answers[1].rows)
    summary = target.classified.summary
    if summary.startswith("TRUNCATE"):
        dependents = tuple(f"rows of {table.part}" for table in impact.read_tables(around.answers[0]))
        if _CASCADE.search(target.text):
            tables += impact.read_tables(around.answers[0])
            dependents = ()
    totals = yield from _count(relay, limits, tables)
    gone = Change({table: (0, 0, totals.get(table, 0)) for table in tables}, countable=True)
    sample = yield from sampling.sample_tables(relay, tables)
    return Found(Impact(parts=impact.describe_parts(gone, tables, totals), dependents=dependents), sample)
