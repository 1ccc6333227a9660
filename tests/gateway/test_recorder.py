"""What a session's records hold, as bytes: whatever is said in them, each is one object with the fields in order."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.domain.actions import Action, Need
from interlock.domain.decisions import Decision, Effect
from interlock.gateway import records_in_c
from interlock.gateway.clock import WorkerClock
from interlock.gateway.journaling import FrameOwner, RecordTaker, Then
from interlock.gateway.recorder import Recording, show_parameters, write_parameters
from interlock.gateway.recovery import Remains
from interlock.gateway.sealing import number_of
from interlock.ports.control import SessionStart
from interlock.ports.statement import Described, Outcome, Statement
from interlock.ports.statement import Effect as When

_COUNTS = st.integers(0, 2**63 - 1)
_TEXTS = st.text(st.characters(), max_size=12) | st.sampled_from(['"', "\\", "\udc80", "\x00", '","n":7,', "ß\u2028"])
_NEEDS = st.lists(st.builds(Need, st.sampled_from(Action), _TEXTS), min_size=1, max_size=2).map(tuple)
_DECISIONS = st.builds(
    Decision,
    st.sampled_from(Effect),
    _TEXTS,
    policies=st.lists(_TEXTS, max_size=2).map(tuple),
    errors=st.lists(_TEXTS, max_size=1).map(tuple),
)
_STATEMENTS = st.builds(
    Statement,
    _TEXTS,
    st.builds(Described, _NEEDS, st.just(When.NEVER), summary=_TEXTS, unknown=_TEXTS),
    parameters=st.lists(st.none() | st.binary(max_size=4), max_size=2).map(tuple),
)


class _Pages(RecordTaker):
    """A journal that keeps what it is given."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def append(self, owner: FrameOwner, payload: bytes, then: Then | None = None) -> None:
        self.payloads.append(payload)


class _Shelf:
    def holds(self, file: int, session: str) -> None:
        return


def _recording(pages: _Pages, clock: WorkerClock | None = None) -> Recording:
    return Recording("s-1", pages, clock or WorkerClock(), _Shelf())


@settings(max_examples=60)
@given(st.lists(st.tuples(_STATEMENTS, _DECISIONS), min_size=1, max_size=4), st.integers(0, 3))
def test_a_statements_record_says_what_was_asked_and_decided(
    asked: list[tuple[Statement, Decision]], same: int
) -> None:
    pages = _Pages()
    recording = _recording(pages)
    # One decision over several statements, as when it is remembered, must not carry the words of another.
    shared = asked[same % len(asked)][1]
    said = [(statement, decision) for statement, own in asked for decision in (own, shared, own)]
    for number, (statement, decision) in enumerate(said, 1):
        recording.statement(number, statement, decision)
    for number, (payload, (statement, decision)) in enumerate(zip(pages.payloads, said, strict=True), 1):
        record = json.loads(payload)
        assert number_of(payload) == record["n"] == record["number"] == number
        assert list(record)[:10] == [
            *("session", "n", "at", "type", "number", "text", "parameters", "summary", "needs", "effect")
        ]
        assert b"\n" not in payload
        shown = {name: record[name] for name in ("summary", "needs", "effect", "reason", "policies")}
        assert shown == json.loads(
            json.dumps(
                {
                    "summary": statement.summary,
                    "needs": [str(need) for need in statement.needs],
                    "effect": decision.effect.value,
                    "reason": decision.reason,
                    "policies": list(decision.policies),
                }
            )
        )
        assert record["text"] == statement.text
        assert record.get("errors", []) == list(decision.errors)
        assert record.get("unknown", "") == statement.unknown
        assert len(record["parameters"]) == len(statement.parameters)


@settings(max_examples=60)
@given(st.builds(Outcome, _COUNTS, _COUNTS, _COUNTS, _TEXTS, _TEXTS), _COUNTS)
def test_an_outcomes_record_says_how_it_ended(outcome: Outcome, took_us: int) -> None:
    pages = _Pages()
    _recording(pages).outcome(4, outcome, took_us)
    record = json.loads(pages.payloads[0])
    fields = ("number", "rows", "changed", "size_bytes", "tag", "error", "took_us")
    assert tuple(record) == ("session", "n", "at", "type", *fields)
    assert tuple(record[name] for name in fields) == (
        *(4, outcome.rows, outcome.changed, outcome.size_bytes),
        *(outcome.tag, outcome.error, took_us),
    )


def test_the_time_is_told_to_the_microsecond_across_seconds_and_back() -> None:
    told = [0.0, 0.25, 1.000001, 59.999999, 60.0, 0.5]
    start = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)
    reading = iter(told)
    clock = WorkerClock(steady=lambda: 0.0, wall=lambda: 0.0)
    clock.anchor(start)
    clock.steady = lambda: next(reading)
    pages = _Pages()
    recording = _recording(pages, clock)
    for number in range(len(told)):
        recording.released(number, "allow", "")
    for seconds, payload in zip(told, pages.payloads, strict=True):
        at = json.loads(payload)["at"]
        assert len(at) == len("2026-11-24T23:59:00.000000Z")
        assert abs(datetime.fromisoformat(at) - start - timedelta(seconds=seconds)) <= timedelta(microseconds=1)


def test_whoever_finishes_a_dead_workers_session_knows_all_of_its_start() -> None:
    pages = _Pages()
    at = datetime(2026, 11, 28, 12, 30, 15, 250_000, UTC)
    start = SessionStart("s-1", "dev", "orders", "l-1", ("g-1", "g-2"), "10.0.0.1", "psql", at, "p-1")
    _recording(pages).open(start)
    found = Remains("s-1")
    found.add(1, 0, pages.payloads[0])
    assert found.start is not None
    assert replace(found.start, opened_at=at) == start


_ASCII = st.binary(max_size=20).map(lambda raw: bytes(byte & 127 for byte in raw))
_VALUES = st.lists(st.none() | st.binary(max_size=6) | _ASCII, max_size=4).map(tuple)


@given(_ASCII, _VALUES, st.lists(st.integers(0, 1), max_size=3).map(tuple), _STATEMENTS, _DECISIONS, _COUNTS, _COUNTS)
def test_what_follows_a_precedent_is_written_as_what_was_asked(
    said: bytes,
    values: tuple[bytes | None, ...],
    formats: tuple[int, ...],
    asked: Statement,
    decision: Decision,
    rows: int,
    number: int,
) -> None:
    """From the bytes as they came, or from a statement and an outcome: the same records, and those that json writes."""
    clock = WorkerClock(steady=lambda: 1.25, wall=lambda: 1_000_000.5)
    pages, others = _Pages(), _Pages()
    payload = b"\xff" + said + b"\xff"
    of_bytes, of_objects = _recording(pages, clock), _recording(others, clock)
    of_bytes.statement_of(
        number, asked.described, decision, payload, 1, len(payload) - 1, False, values, formats, clock.read()
    )
    of_bytes.outcome_of(number, rows, 3, 4, payload, 1, len(payload) - 1, False, 5, clock.read())
    of_objects.statement(number, Statement(said.decode(), asked.described, values, formats), decision)
    of_objects.outcome(number, Outcome(rows, 3, 4, "", said.decode()), 5)
    assert pages.payloads == others.payloads
    statement, outcome = (json.loads(one) for one in pages.payloads)
    assert statement["text"] == outcome["tag"] == said.decode()
    assert statement["parameters"] == list(show_parameters(values, formats))
    assert statement["at"] == outcome["at"] == "1970-01-12T13:46:40.500000Z"
    assert (outcome["number"], outcome["rows"], outcome["took_us"]) == (number, rows, 5)


@given(_ASCII, _VALUES, st.lists(st.integers(0, 1), max_size=3).map(tuple), _COUNTS)
def test_records_are_the_same_with_and_without_a_compiler(
    said: bytes, values: tuple[bytes | None, ...], formats: tuple[int, ...], number: int
) -> None:
    clock = WorkerClock(steady=lambda: 1.25, wall=lambda: 1_000_000.5)
    pages = _Pages()
    recording = _recording(pages, clock)
    described = Described((), When.NEVER)
    decision = Decision(Effect.ALLOW, "yes")
    recording.statement_of(number, described, decision, said, 0, len(said), False, values, formats, clock.read())
    recording.outcome_of(number, 1, 2, 3, said, 0, len(said), False, 4, clock.read())
    beginning = (b'{"session":"s-1","n":', 1, b"1970-01-12T13:46:40", 500_000, number)
    shown = records_in_c.list_values(values, formats)
    assert shown is None or shown == write_parameters(values, formats)
    decided = pages.payloads[0].partition(b'"summary"')[2][:-1]
    assert pages.payloads[0] == records_in_c.statement_record(
        *beginning, said, 0, len(said), False, write_parameters(values, formats), b'"summary"' + decided
    )
    beginning = (*beginning[:1], 2, *beginning[2:])
    assert pages.payloads[1] == records_in_c.outcome_record(*beginning, 1, 2, 3, said, 0, len(said), False, b'""', 4)
