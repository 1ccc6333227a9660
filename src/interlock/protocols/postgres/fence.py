"""A fence: a write runs sheltered, the server's counts say how many rows it changed, and past the fence it is undone.

::

    open a shelter, read the counts
    the statement; its answers are kept back
    deferred triggers, read the counts
    within the fence   keep it, then show the answers
    past the fence     undo it, ask people; released, it runs once more, without a fence

What cannot be counted is undone and held as not measured, never let through. Deferred triggers are run before the
counts are read: finally, in a transaction of the machine's own; else inside an inner savepoint that is undone, so
that they are still deferred afterwards.
"""

from collections.abc import Generator

from interlock.ports.protocol import Held, Impact, Proceed, Refused, Verdict
from interlock.protocols.postgres import hold, impact, messages, sampling, shelter
from interlock.protocols.postgres.hold import Found, Target
from interlock.protocols.postgres.impact import Change
from interlock.protocols.postgres.injection import Answer, Injection, Step
from interlock.protocols.postgres.names import Portal, Running
from interlock.protocols.postgres.relay import DENIED, CopiedData, Doubt, Relay, Script, Wait
from interlock.protocols.postgres.replies import FAILED, IDLE, Awaited
from interlock.protocols.postgres.shelter import Shelter
from interlock.protocols.postgres.sink import Payload

_NOT_FENCEABLE = "How many rows it changes cannot be counted, or it cannot run inside a transaction."
_TOO_MUCH_OUTPUT = "Its result is too large to be kept back until the rows that it changes are counted."
_NOT_SATISFIED = "A deferred constraint is not satisfied yet, and what its triggers would change cannot be counted."

_CONTROL = Refused(
    "This statement begins or ends a transaction and changes rows that a fence counts. Send the two apart.", "fence"
)
_COPY_LOST = Refused(
    "The COPY went past the fence and was rolled back, and its data is too large to be kept for an approval."
    " Load it in smaller parts, or ask for a role without a fence.",
    "fence",
)
_REBOUND = Refused("The prepared statement was replaced before it could run again. Send it once more.", "fence")

_LIMITS = [Step("SET LOCAL lock_timeout = 2000"), Step("SET LOCAL statement_timeout = 15000")]


def fence_query(relay: Relay, raw: bytes, running: Running, rows: int, target: Target) -> Script:
    """A simple query under a fence of ``rows``."""
    if relay.replies.expected:
        yield Wait.DRAINED
    classified = running.classified
    if classified.transaction_control:
        relay.replies.end(running, "not run: it controls transactions under a fence")
        relay.refuse(DENIED, _CONTROL, query=True)
    elif relay.replies.status == FAILED:
        # Nothing can change in a failed transaction; the server's own error is the best answer.
        relay.send_query(raw, running)
    elif not classified.fenceable:
        verdict = yield from _ask_about_uncounted(relay, running, target)
        yield from _answer_query(relay, raw, running, verdict)
    else:
        yield from _sheltered_query(relay, raw, running, rows)


def _sheltered_query(relay: Relay, raw: bytes, running: Running, rows: int) -> Script:
    inside = shelter.plan_shelter(relay)
    before = yield from relay.inject([*inside.opening, *_looks(running)])
    relay.replies.defer(running)
    if not before.succeeded:
        yield from shelter.leave(relay, inside)
        _fail_query(relay, running, [], before)
        return
    relay.sink.keep_back()
    relay.copied = CopiedData() if running.classified.copies_in else None
    relay.send_query(raw, running)
    if running.classified.copies_in:
        # A server that takes copy data would take our own messages for a mistake.
        yield Wait.DRAINED
    after = relay.start_injection(_checks(inside, running))
    yield from relay.await_injection(after)
    _doubt_names(relay, running, before, after)
    kept = relay.sink.take_kept()
    if running.error:
        yield from _undo_failed(relay, inside)
        _show_query(relay, running, kept)
        return
    if not after.succeeded and not _is_unsatisfied(after, inside):
        yield from _undo_failed(relay, inside)
        _fail_query(relay, running, kept, after)
        return
    found = _judge(relay, before, after, rows)
    if found is None:
        yield from _keep_query(relay, inside, running, kept)
        return
    yield from _hold_past_fence(relay, raw, running, inside, found)


def _hold_past_fence(relay: Relay, raw: bytes, running: Running, inside: Shelter, found: "Change | Impact") -> Script:
    seen = (yield from sampling.look_inside(relay, found)) if isinstance(found, Change) else sampling.Inside()
    yield from shelter.leave(relay, inside)
    copied, relay.copied = relay.copied, None
    if copied is not None and copied.pieces is None:
        relay.replies.end_deferred(running, "rolled back: past the fence")
        relay.refuse(DENIED, _COPY_LOST, query=True)
        return
    said = yield from _say(relay, found, running, seen)
    verdict = yield from hold.ask_people(relay, running, said)
    yield from _answer_query(relay, raw, running, verdict, copied)


def _answer_query(
    relay: Relay, raw: bytes, running: Running, verdict: Verdict, copied: CopiedData | None = None
) -> Script:
    """Run a query that waited for people, or answer that it does not run."""
    running.deferred = False
    if not isinstance(verdict, Proceed) or relay.cancelled:
        relay.replies.end(running, "rolled back: past the fence and not approved")
        relay.turn_down(running, verdict, query=True)
        return
    running.start_again()
    replayed = copied is not None
    relay.send_query(raw, running, replayed=replayed)
    if copied is not None and copied.pieces is not None:
        relay.upstream += copied.pieces
    if replayed or running.classified.copies_in:
        yield Wait.DRAINED


def _keep_query(relay: Relay, inside: Shelter, running: Running, kept: list[Payload]) -> Script:
    """Within the fence: keep the change, and only then tell the client that it is done."""
    if inside.whole:
        committed = yield from relay.inject([shelter.COMMIT])
        if not committed.succeeded:
            # A cancel that comes late stops the commit before it began, and leaves the transaction open.
            yield from shelter.leave(relay, inside)
            _fail_query(relay, running, kept, committed)
            return
    else:
        yield from shelter.release(relay, inside)
    _show_query(relay, running, kept)


def _show_query(relay: Relay, running: Running, kept: list[Payload]) -> None:
    """The answers that were kept back. Their last is a ReadyForQuery, whose status may be another by now."""
    for payload in kept[:-1] or _error_alone(running):
        relay.sink.write(payload)
    relay.sink.write(messages.ready(relay.replies.status))
    relay.replies.end_deferred(running)


def _error_alone(running: Running) -> list[Payload]:
    """The error of a statement whose answers grew too large to be kept back."""
    sqlstate, _, said = running.error.partition(": ")
    return [messages.error(sqlstate, said)] if running.error else []


def _fail_query(relay: Relay, running: Running, kept: list[Payload], failed: Injection) -> None:
    """The server failed after the statement: its error stands where the end of the statement would have been told."""
    for payload in kept[:-2]:
        relay.sink.write(payload)
    relay.sink.write(messages.relay_error(failed.error))
    relay.sink.write(messages.ready(relay.replies.status))
    relay.replies.end_deferred(running, f"{failed.sqlstate}: {failed.sentence}")


def _undo_failed(relay: Relay, inside: Shelter) -> Script:
    """After an error a transaction of the machine's own goes; the client's own is failed, as it would be without us."""
    if inside.whole:
        yield from shelter.leave(relay, inside)


# --- the extended protocol


def fence_portal(relay: Relay, raw: bytes, portal: Portal, running: Running, rows: int) -> Script:
    """An Execute under a fence of ``rows``."""
    if relay.replies.expected:
        yield Wait.DRAINED
    if relay.replies.skipping:
        relay.replies.end(running, "not run, because a statement before it in the batch failed")
        return
    portal.fence = None
    if not running.classified.fenceable:
        verdict = yield from _ask_about_uncounted(relay, running, Target(portal.prepared.text, running.classified))
        yield from _answer_portal(relay, raw, portal, running, verdict, rebind=False)
    else:
        yield from _sheltered_portal(relay, raw, portal, running, rows)


def _sheltered_portal(relay: Relay, raw: bytes, portal: Portal, running: Running, rows: int) -> Script:
    replies = relay.replies
    inside = shelter.plan_shelter(relay, portal.name)
    before = yield from relay.inject([*inside.opening, *_looks(running)])
    replies.defer(running)
    replies.implicit_block = replies.implicit_block or inside.whole
    if not before.succeeded:
        _fail_portal(relay, running, before)
        return
    relay.sink.keep_back()
    relay.copied = CopiedData() if running.classified.copies_in else None
    relay.batch_executed += 1
    relay.send(raw, Awaited("E", running))
    if running.classified.copies_in:
        yield Wait.DRAINED
    after = relay.start_injection(_checks(inside, running, come_back=True))
    yield from relay.await_injection(after)
    _doubt_names(relay, running, before, after)
    kept = relay.sink.take_kept()
    if running.error:
        _show_portal(relay, running, kept)
    elif not after.succeeded and not _is_unsatisfied(after, inside):
        _fail_portal(relay, running, after)
    else:
        found = _judge(relay, before, after, rows)
        if found is None:
            yield from shelter.release(relay, inside)
            _show_portal(relay, running, kept)
        else:
            yield from _hold_portal(relay, raw, portal, running, inside, found)


def _hold_portal(
    relay: Relay, raw: bytes, portal: Portal, running: Running, inside: Shelter, found: "Change | Impact"
) -> Script:
    seen = (yield from sampling.look_inside(relay, found)) if isinstance(found, Change) else sampling.Inside()
    yield from shelter.leave(relay, inside)
    if inside.whole:
        relay.replies.implicit_block = False
        relay.batch_executed -= 1
    copied, relay.copied = relay.copied, None
    if copied is not None and copied.pieces is None:
        relay.replies.end_deferred(running, "rolled back: past the fence")
        relay.refuse(DENIED, _COPY_LOST, query=False)
        return
    said = yield from _say(relay, found, running, seen)
    verdict = yield from hold.ask_people(relay, running, said)
    yield from _answer_portal(relay, raw, portal, running, verdict, rebind=True, copied=copied)


def _answer_portal(
    relay: Relay,
    raw: bytes,
    portal: Portal,
    running: Running,
    verdict: Verdict,
    *,
    rebind: bool,
    copied: CopiedData | None = None,
) -> Script:
    """Run a portal that waited for people, bound anew because the rollback took it, or answer that it does not run."""
    replies = relay.replies
    running.deferred = False
    bound = portal.bound
    again: Verdict = verdict
    known = None if bound is None else replies.statements.known.get(bound.statement)
    if rebind and (known is None or known.text != portal.prepared.text):
        again = _REBOUND
    if not isinstance(again, Proceed) or relay.cancelled:
        replies.end(running, "rolled back: past the fence and not approved")
        relay.turn_down(running, again, query=False)
        return
    running.start_again()
    if rebind and bound is not None:
        relay.send(messages.close(b"P", bound.portal), Awaited("C", quiet=True))
        asked = replies.portals.ask(bound.portal, portal, relay.batch)
        relay.send(messages.bind(bound.portal, bound.statement, bound.tail), Awaited("B", portal=asked, quiet=True))
    relay.batch_executed += 1
    relay.send(raw, Awaited("E", running, replayed=copied is not None))
    if copied is not None and copied.pieces is not None:
        relay.upstream += copied.pieces
    if running.classified.copies_in:
        yield Wait.DRAINED


def _show_portal(relay: Relay, running: Running, kept: list[Payload]) -> None:
    for payload in kept or _error_alone(running):
        relay.sink.write(payload)
    relay.replies.end_deferred(running)


def _fail_portal(relay: Relay, running: Running, failed: Injection) -> None:
    relay.sink.write(messages.relay_error(failed.error))
    relay.replies.skipping = True
    relay.replies.end_deferred(running, f"{failed.sqlstate}: {failed.sentence}")


# --- the block that was made of a batch


def commit_block(relay: Relay) -> Script:
    """End the block as the batch's own transaction would have ended. A commit that fails is told."""
    if relay.replies.expected:
        yield Wait.DRAINED
    if not relay.replies.implicit_block:
        return
    relay.replies.implicit_block = False
    committed = yield from relay.inject([shelter.COMMIT])
    if not committed.succeeded and relay.replies.status != IDLE:
        yield from relay.inject([shelter.ROLLBACK])
    relay.batch_executed = 0
    if not committed.succeeded and not relay.replies.skipping:
        relay.sink.write(messages.relay_error(committed.error))
        relay.replies.skipping = True


def close_block(relay: Relay) -> Script:
    """The client's Sync, with a block open that the machine made of its batch."""
    yield from commit_block(relay)
    relay.send_sync()


# --- what both share


def _ask_about_uncounted(relay: Relay, running: Running, target: Target) -> Generator[Wait, None, Verdict]:
    """What cannot run under a fence (TRUNCATE, DROP, CALL) is held; of some it can be said what would go."""
    found = Found(Impact(unmeasured=_NOT_FENCEABLE))
    if target.classified.impact == "describe":
        found = yield from hold.measure(relay, Held(measure=True), target)
    if relay.cancelled:
        relay.outlet.withdraw(running.number)
        return Refused("canceling statement due to user request", "cancelled")
    return (yield from hold.ask_people(relay, running, found))


def _looks(running: Running) -> list[Step]:
    """What is looked at before and after. Code that nobody knows may also prepare statements anew."""
    return [impact.MARKS, impact.COUNTS, *([impact.PREPARED] if running.classified.unvetted else [])]


def _checks(inside: Shelter, running: Running, *, come_back: bool = False) -> list[Step]:
    if inside.whole and not come_back:
        return [Step("SET CONSTRAINTS ALL IMMEDIATE"), *_looks(running)]
    return [*shelter.CHECK_AND_COME_BACK, *_looks(running), *shelter.COME_BACK]


def _doubt_names(relay: Relay, running: Running, before: Injection, after: Injection) -> None:
    """What a name stood for counts no more when the statement may have prepared it anew. No rollback undoes that."""
    if not running.classified.unvetted:
        return
    relay.doubt = Doubt(dict(relay.replies.statements.known), frozenset(_answer(before, impact.PREPARED).rows))
    if after.succeeded:
        relay.resolve_doubt(_answer(after, impact.PREPARED))


def _answer(injection: Injection, step: Step) -> Answer:
    """The answer to ``step``, in an injection that succeeded so far."""
    return injection.answers[next(at for at, one in enumerate(injection.steps) if one is step)]


def _is_unsatisfied(after: Injection, inside: Shelter) -> bool:
    """Whether only a deferred constraint failed, in a block of the client's that may still satisfy it."""
    return inside.clients and after.sqlstate.startswith("23") and len(after.answers) == 1


def _judge(relay: Relay, before: Injection, after: Injection, rows: int) -> "Change | Impact | None":
    """None when the statement kept within the fence; else what is known of it."""
    if not after.succeeded:
        return Impact(unmeasured=_NOT_SATISFIED)
    marks = [impact.read_marks(_answer(injection, impact.MARKS)) for injection in (before, after)]
    if uncounted := impact.why_uncounted(*marks):
        return Impact(unmeasured=uncounted)
    counts = [impact.read_counts(_answer(injection, impact.COUNTS)) for injection in (before, after)]
    change = impact.compare(*counts)
    if not change.countable:
        return Impact(unmeasured=hold.UNCOUNTABLE)
    if change.rows > rows:
        return change
    return Impact(unmeasured=_TOO_MUCH_OUTPUT) if relay.sink.overflowed else None


def _say(
    relay: Relay, found: "Change | Impact", running: Running, seen: sampling.Inside
) -> Generator[Wait, None, Found]:
    if isinstance(found, Impact):
        return Found(found)
    parts = yield from hold.complete_parts(relay, _LIMITS, found, running.classified.target)
    sample = yield from sampling.sample_change(relay, found, seen)
    return Found(Impact(parts=parts, over_fence=found.rows), sample)
