"""Message by message through an open session: what each of the client's messages sets going.

How the pieces fit is told in :mod:`interlock.protocols.postgres.relay`; here stands one script for each type.
"""

from collections.abc import Callable, Generator

from interlock.domain.decisions import Fence
from interlock.ports.protocol import Held, Proceed, Refused, Verdict
from interlock.ports.statement import Statement
from interlock.protocols.postgres import fence, hold, messages
from interlock.protocols.postgres.classify import Classified
from interlock.protocols.postgres.classify_result import not_understood
from interlock.protocols.postgres.framer import Piece, Run
from interlock.protocols.postgres.impact import PREPARED
from interlock.protocols.postgres.injection import Step
from interlock.protocols.postgres.names import NAME_BYTES, UNSETTLED, Names, Portal, Prepared, Running, T
from interlock.protocols.postgres.reading import Reader, Reading, is_reserved, may_execute_prepared, show
from interlock.protocols.postgres.relay import DENIED, EXPECTED_LIMIT, Relay, Script, Wait
from interlock.protocols.postgres.replies import FAILED, Awaited
from interlock.protocols.postgres.reported import FOLLOWED, Reported

MALFORMED = "08P01"

_SETTINGS = Step("SELECT " + ", ".join(f"pg_catalog.current_setting('{name}', true)" for name in FOLLOWED))

_KEPT_BIND_BYTES = 64 * 1024

_DESCRIBED = Awaited("D")
_QUERY, _PARSE, _BIND, _EXECUTE, _DESCRIBE, _CLOSE, _SYNC, _FLUSH, _TERMINATE = b"QPBEDCSHX"
_COPY_ENDS = b"cf"

_RESERVED_NAME = Refused("Names that begin with __interlock_ are taken by Interlock. Use another name.", "reserved")
_UNSURE_NAME = Refused(
    f"The name of a statement or portal must be of at most {NAME_BYTES} ASCII characters here: servers cut longer ones"
    " and rewrite others, so that two names could mean one thing. Use another name.",
    "name",
)
_FETCHED_PORTAL = Refused(
    "FETCH and MOVE do not go through Interlock for a portal that was made by Bind. Run it with Execute.", "portal"
)
_OTHER_MEANING = Refused(
    "What this EXECUTE names was prepared anew after it was decided on. Bind it again, or send it as a query.",
    "changed",
)


class Steady:
    """The client's side of an open session. ``terminate`` is called when the client says that it is done."""

    def __init__(self, relay: Relay, reader: Reader, reported: Reported, terminate: Callable[[], None]) -> None:
        self._relay = relay
        self._replies = relay.replies
        self._reader = reader
        self._reported = reported
        self._terminate = terminate
        self._scripts: dict[int, Callable[[bytes], Script]] = {
            ord("Q"): self._query,
            ord("P"): self._parse,
            ord("B"): self._bind,
            ord("E"): self._execute,
            ord("F"): self._call_function,
        }

    def pump(self) -> None:
        """Go as far as possible: with the script under way, then with the messages that wait."""
        relay = self._relay
        while True:
            if self._replies.copying is not None and relay.inbox:
                self._copy(relay.take())
            elif relay.busy:
                if not relay.resume():
                    break
            elif not relay.inbox:
                break
            elif len(self._replies.expected) >= EXPECTED_LIMIT:
                relay.start(_wait_for_room())
            else:
                self._begin(relay.take())
        relay.control_flow()

    def _begin(self, piece: Piece) -> None:
        if isinstance(piece, Run):
            return
        code = piece.code
        self._relay.cancelled = False
        if code == _SYNC:
            if self._replies.implicit_block:
                self._relay.start(fence.close_block(self._relay))
            else:
                self._relay.send_sync()
        elif code == _TERMINATE:
            self._relay.start(self._say_goodbye())
        elif self._skips() or code in _COPY_ENDS:
            return
        elif code == _FLUSH:
            self._relay.upstream.append(messages.FLUSH)
        elif code == _DESCRIBE:
            self._describe(piece.raw)
        elif code == _CLOSE:
            self._close(piece.raw)
        elif not self._at_once(code, piece.raw):
            self._relay.start(self._scripts[code](piece.raw))

    def _copy(self, piece: Piece) -> None:
        """The server takes copy data. A message that has no place here ends the copy, as it would at a server."""
        relay = self._relay
        code = chr(piece.code)
        if code in "dcf":
            relay.upstream.append(piece.raw)
            if relay.copied is not None:
                relay.copied.keep(piece.raw)
        if code in "cf":
            # The client's own Sync waits behind the COPY, and without one the server would keep its answer.
            relay.upstream.append(messages.FLUSH)
            self._replies.copying = None
        elif code == "X":
            self._terminate()
        elif code not in "dSH":
            relay.upstream.append(messages.copy_fail(f"unexpected message type {code!r} during COPY from stdin"))
            self._replies.copying = None

    def _say_goodbye(self) -> Script:
        """A client may leave without waiting for its answers; what it asked for before is still done."""
        yield Wait.DRAINED
        self._terminate()

    # --- at once: the common case of each message, in which there is nothing to wait for before it is asked about

    def _at_once(self, code: int, raw: bytes) -> bool:
        """Whether the message was dealt with. If not, nothing happened, and its script has to run."""
        if not self._is_settled():
            return False
        if code == _QUERY:
            return self._query_at_once(raw)
        if code == _BIND:
            return self._bind_at_once(raw)
        if code == _EXECUTE:
            return self._execute_at_once(raw)
        return code == _PARSE and self._parse_at_once(raw)

    def _query_at_once(self, raw: bytes) -> bool:
        relay, replies = self._relay, self._replies
        if relay.batch_open or replies.implicit_block or raw.find(0, 5) != len(raw) - 1:
            return False
        text = messages.decode(raw[5:-1])
        reading = self._reader.find(text, relay.admission.read_only)
        if reading is None:
            return False
        running = relay.number(reading)
        verdict = relay.ask(running, Statement(text, reading.described(relay.effect_of(reading))))
        if _runs(verdict):
            relay.send_query(raw, running)
        else:
            relay.start(self._go_on_with_query(raw, text, running, verdict))
        return True

    def _parse_at_once(self, raw: bytes) -> bool:
        relay = self._relay
        parsed = messages.read_parse(raw)
        reading = self._reader.find(parsed.text, relay.admission.read_only)
        if reading is None or _why_unusable(parsed.name) is not None:
            return False
        prepared = Prepared(parsed.text, reading)
        relay.send(raw, Awaited("P", None, self._replies.statements.ask(parsed.name, prepared, relay.batch)))
        return True

    def _bind_at_once(self, raw: bytes) -> bool:
        relay = self._relay
        bound = messages.read_bind(raw)
        found = self._replies.statements.find(bound.statement, relay.batch)
        if not isinstance(found, Prepared) or not found.reading.plain:
            return False
        prepared = found
        if _why_unusable(bound.portal) is not None or _why_unusable(bound.statement) is not None:
            return False
        reading = prepared.reading
        portal = Portal(bound.portal, prepared, bound)
        running = relay.number(reading)
        described = reading.described(relay.effect_of(reading))
        verdict = relay.ask(running, Statement(prepared.shown, described, bound.parameters, bound.formats))
        if _runs(verdict):
            self._send_bind(raw, portal, running, None)
        else:
            relay.start(self._go_on_with_bind(raw, portal, running, verdict))
        return True

    def _execute_at_once(self, raw: bytes) -> bool:
        relay = self._relay
        name, _ = messages.read_execute(raw)
        found = self._replies.portals.find(name, relay.batch)
        if not isinstance(found, Portal) or found.running is None or found.running.over:
            return False
        portal = found
        if not portal.prepared.reading.plain or portal.fence is not None:
            return False
        relay.batch_executed += 1
        relay.send(raw, Awaited("E", found.running))
        return True

    # --- simple queries

    def _query(self, raw: bytes) -> Script:
        relay = self._relay
        if relay.batch_open:
            yield Wait.DRAINED
        if self._skips() or (self._replies.implicit_block and not (yield from self._end_batch())):
            return
        if not self._is_settled():
            yield from self._settle()
        if raw.find(0, 5) != len(raw) - 1:
            relay.refuse(MALFORMED, Refused("The statement holds a NUL byte, and was not sent on."), query=True)
            return
        text = messages.read_query(raw)
        reading = yield from self._read(text)
        unusable = _RESERVED_NAME if reading.takes_reserved else (yield from self._find_fetched(reading.classified))
        if unusable is not None:
            relay.refuse(DENIED, unusable, query=True)
            return
        running = relay.number(reading)
        statement = Statement(show(text), reading.described(relay.effect_of(reading)))
        yield from self._go_on_with_query(raw, text, running, relay.ask(running, statement))

    def _go_on_with_query(self, raw: bytes, text: str, running: Running, verdict: Verdict | None) -> Script:
        """A query that was asked about. Without a verdict it comes later."""
        relay, classified = self._relay, running.classified
        if verdict is None:
            verdict = yield from relay.await_verdict(running)
        target = hold.Target(text, classified)
        sheltered = isinstance(verdict, Held) or (
            isinstance(verdict, Proceed) and fence_of(verdict, classified) is not None
        )
        if sheltered and not (yield from self._end_batch()):
            relay.outlet.withdraw(running.number)
            self._replies.end(running, "not run, because the batch before it failed")
            return
        if isinstance(verdict, Held):
            verdict = yield from hold.hold(relay, running, verdict, target)
        yield from self._carry_out_query(raw, running, verdict, target)

    def _end_batch(self) -> Generator[Wait, None, bool]:
        """End a batch without a Sync, whose transaction a simple query would go on with, before the query is sheltered.

        Whether that went well; if not, that is the query's answer.
        """
        relay = self._relay
        if self._replies.implicit_block:
            yield from fence.commit_block(relay)
            failed = self._skips()
            self._replies.skipping = False
        elif relay.batch_open and not self._replies.in_block:
            ended = yield from relay.end_batch()
            failed = ended.error is not None
            if failed:
                relay.sink.write(messages.relay_error(ended.error))
        else:
            return True
        if failed:
            relay.sink.write(messages.ready(self._replies.status))
        return not failed

    def _carry_out_query(self, raw: bytes, running: Running, verdict: Verdict, target: hold.Target) -> Script:
        relay = self._relay
        if not isinstance(verdict, Proceed) or relay.cancelled:
            relay.turn_down(running, verdict, query=True)
            return
        rows = fence_of(verdict, running.classified)
        if rows is not None:
            yield from fence.fence_query(relay, raw, running, rows, target)
            return
        relay.send_query(raw, running)
        if running.classified.copies_in:
            yield Wait.DRAINED

    def _call_function(self, raw: bytes) -> Script:
        if self._relay.batch_open:
            yield Wait.DRAINED
        if self._skips():
            return
        sentence = "Calls of functions by number do not go through Interlock. Write SELECT function(…)."
        self._relay.refuse(DENIED, Refused(sentence), query=True)

    # --- the extended protocol

    def _parse(self, raw: bytes) -> Script:
        relay = self._relay
        if not self._is_settled():
            yield from self._settle()
        if self._skips():
            return
        parsed = messages.read_parse(raw)
        reading = yield from self._read(parsed.text)
        if self._skips():
            return
        unusable = _RESERVED_NAME if reading.takes_reserved else _why_unusable(parsed.name)
        if unusable is not None:
            relay.refuse(DENIED, unusable, query=False)
            return
        prepared = Prepared(parsed.text, reading)
        relay.send(raw, Awaited("P", statement=self._replies.statements.ask(parsed.name, prepared, relay.batch)))

    def _bind(self, raw: bytes) -> Script:
        relay = self._relay
        if not self._is_settled():
            yield from self._settle()
        if self._skips():
            return
        bound = messages.read_bind(raw)
        unusable = _why_unusable(bound.portal) or _why_unusable(bound.statement)
        if unusable is not None:
            relay.refuse(DENIED, unusable, query=False)
            return
        prepared = self._replies.statements.find(bound.statement, relay.batch)
        if prepared is UNSETTLED:
            prepared = yield from self._find(self._replies.statements, bound.statement)
        if prepared is None and not self._skips():
            yield from self._probe(b"S", bound.statement)
            prepared = _unseen("statement", bound.statement)
        if prepared is None or self._skips():
            return
        if prepared.classified.executes is not None:
            prepared = Prepared(prepared.text, (yield from self._read(prepared.text)))
            if self._skips():
                return
        portal = Portal(bound.portal, prepared, bound)
        if (yield from self._decide_portal(portal)) and portal.running is not None:
            self._send_bind(raw, portal, portal.running, portal.fence)

    def _go_on_with_bind(self, raw: bytes, portal: Portal, running: Running, verdict: Verdict | None) -> Script:
        """A statement with its values that was asked about. Without a verdict it comes later."""
        if (yield from self._judge_portal(portal, running, verdict)):
            self._send_bind(raw, portal, running, portal.fence)

    def _send_bind(self, raw: bytes, portal: Portal, running: Running, fence: Fence | None) -> None:
        portal.running = running
        portal.fence = fence
        if fence is None and len(raw) > _KEPT_BIND_BYTES:
            portal.bound = None
        relay = self._relay
        relay.send(raw, Awaited("B", None, None, self._replies.portals.ask(portal.name, portal, relay.batch)))

    def _decide_portal(self, portal: Portal) -> Generator[Wait, None, bool]:
        """Ask about a statement with its values. Whether it may run; if not it was refused, or is skipped."""
        relay, reading, bound = self._relay, portal.prepared.reading, portal.bound
        running = relay.number(reading)
        described = reading.described(relay.effect_of(reading))
        statement = Statement(portal.prepared.shown, described)
        if bound is not None:
            statement = Statement(portal.prepared.shown, described, bound.parameters, bound.formats)
        return (yield from self._judge_portal(portal, running, relay.ask(running, statement)))

    def _judge_portal(self, portal: Portal, running: Running, verdict: Verdict | None) -> Generator[Wait, None, bool]:
        relay, classified = self._relay, running.classified
        if verdict is None:
            verdict = yield from relay.await_verdict(running)
        if isinstance(verdict, Held):
            tail = None if portal.bound is None else portal.bound.tail
            name = None if portal.bound is None else portal.bound.statement
            target = hold.Target(portal.prepared.text, classified, name, tail)
            verdict = yield from hold.hold(relay, running, verdict, target)
        if not isinstance(verdict, Proceed) or relay.cancelled:
            relay.turn_down(running, verdict, query=False)
            return False
        if self._skips():
            self._replies.end(running, "not run, because a statement before it in the batch failed")
            return False
        portal.running = running
        rows = fence_of(verdict, classified)
        portal.fence = None if rows is None else Fence(rows)
        return True

    def _execute(self, raw: bytes) -> Script:
        relay = self._relay
        name, _ = messages.read_execute(raw)
        if not self._is_settled():
            yield from self._settle()
        if self._skips():
            return
        if (unusable := _why_unusable(name)) is not None:
            relay.refuse(DENIED, unusable, query=False)
            return
        portal = self._replies.portals.find(name, relay.batch)
        if portal is UNSETTLED:
            portal = yield from self._find(self._replies.portals, name)
        if portal is None and not self._skips():
            yield from self._probe(b"P", name)
            portal = Portal(name, _unseen("portal", name), None)
        if portal is None or self._skips():
            return
        again = portal.running is None or portal.running.over
        if again and not (yield from self._decide_portal(portal)):
            return
        running, classified = portal.running, portal.prepared.classified
        changed = None
        if classified.executes is not None or classified.fetches:
            changed = yield from self._find_other_meaning(portal.prepared)
        if running is None or self._skips():
            return
        if changed is not None:
            self._replies.end(running, "not run: its names have another meaning now")
            relay.refuse(DENIED, changed, query=False)
            return
        if portal.fence is not None and not running.begun:
            yield from fence.fence_portal(relay, raw, portal, running, portal.fence.rows)
            return
        relay.batch_executed += 1
        relay.send(raw, Awaited("E", running))
        if running.classified.copies_in:
            yield Wait.DRAINED

    def _describe(self, raw: bytes) -> None:
        _, name = messages.read_named(raw, "Describe")
        if (unusable := _why_unusable(name)) is not None:
            self._relay.refuse(DENIED, unusable, query=False)
            return
        self._relay.send(raw, _DESCRIBED)

    def _close(self, raw: bytes) -> None:
        relay = self._relay
        kind, name = messages.read_named(raw, "Close")
        if (unusable := _why_unusable(name)) is not None:
            relay.refuse(DENIED, unusable, query=False)
        elif kind == b"S":
            relay.send(raw, Awaited("C", statement=self._replies.statements.ask(name, None, relay.batch)))
        else:
            relay.send(raw, Awaited("C", portal=self._replies.portals.ask(name, None, relay.batch)))

    # --- what the scripts share

    def _skips(self) -> bool:
        """Whether the batch failed: everything up to the client's next Sync is skipped, as the server does."""
        return self._replies.skipping

    def _is_settled(self) -> bool:
        """Whether there is nothing to wait for or to look at: the common case, told without starting a script."""
        replies, relay = self._replies, self._relay
        if replies.unsettled or replies.stale_settings or relay.doubt is not None:
            return False
        return not (relay.admission.read_only and (replies.transaction_over or self._crosses_transactions()))

    def _settle(self) -> Script:
        """Wait for statements after which settings or names may be others, and look at what became of them.

        A server reports changed settings with ReadyForQuery; inside a batch it is asked.
        """
        replies = self._replies
        if replies.unsettled or self._crosses_transactions():
            yield Wait.DRAINED
        is_new = self._relay.admission.read_only and replies.transaction_over
        if (replies.stale_settings or is_new) and replies.expected:
            yield Wait.DRAINED
        yield from self._settle_names()
        if not (replies.stale_settings or is_new) or self._skips():
            return
        # Looking must not be the first query of the client's next transaction.
        injection = yield from self._relay.inject([_SETTINGS], sync=is_new and not replies.in_block)
        if not injection.succeeded:
            self._relay.sink.write(messages.error(injection.sqlstate or "XX000", injection.sentence))
            replies.skipping = True
            return
        replies.transaction_over = False
        replies.stale_settings = False
        for name, setting in zip(FOLLOWED, injection.answers[0].rows[0], strict=True):
            if setting is not None:
                self._reported.follow(name, messages.decode(setting))

    def _settle_names(self) -> Script:
        """Ask what became of the names of prepared statements, when an error kept it from being asked at once."""
        relay = self._relay
        if relay.doubt is None or self._skips() or self._replies.status == FAILED:
            return
        injection = yield from relay.inject([PREPARED], sync=not relay.batch_open)
        if injection.succeeded:
            relay.resolve_doubt(injection.answers[0])
        else:
            self._replies.statements.known.clear()

    def _crosses_transactions(self) -> bool:
        """Whether the message at hand would be in a transaction after one that is not known to have ended well.

        Code out of sight (behind a view, a cast, a policy) may have lifted what holds a reader's next transaction
        read-only. The server reports it at the end, so nothing of the next one is sent before.
        """
        if not self._relay.admission.read_only:
            return False
        replies = self._replies
        return bool(replies.ending_block or (replies.expected and not self._relay.batch_open))

    def _find_other_meaning(self, prepared: Prepared) -> Generator[Wait, None, Refused | None]:
        """Why it may not be executed now: the names in it mean something else than when it was decided on."""
        classified = prepared.classified
        if classified.executes is not None and (yield from self._read(prepared.text)).classified != classified:
            return _OTHER_MEANING
        return (yield from self._find_fetched(classified))

    def _find_fetched(self, classified: Classified) -> Generator[Wait, None, Refused | None]:
        """FETCH would run a portal of the extended protocol without what its Execute has to keep to."""
        for name in classified.fetches:
            if (yield from self._find(self._replies.portals, name)) is not None:
                return _FETCHED_PORTAL
        return None

    def _read(self, text: str) -> Generator[Wait, None, Reading]:
        prepared: dict[str, Classified] = {}
        statements = self._replies.statements
        if may_execute_prepared(text):
            if not statements.settled:
                yield Wait.DRAINED
            prepared = {name: known.classified for name, known in statements.known.items() if name}
        read_only = self._relay.admission.read_only
        return self._reader.read(text, read_only=read_only, ascii_only=self._reported.ascii_only, prepared=prepared)

    def _find(self, names: Names[T], name: str) -> Generator[Wait, None, T | None]:
        found = names.find(name, self._relay.batch)
        if found is UNSETTLED:
            yield Wait.DRAINED
            found = names.find(name, self._relay.batch)
        return None if found is UNSETTLED else found

    def _probe(self, kind: bytes, name: str) -> Script:
        """A name that nobody saw made: if the server does not have it either, its own error is the answer."""
        self._relay.send(messages.describe(kind, name), Awaited("D", quiet=True))
        yield Wait.DRAINED


def _runs(verdict: Verdict | None) -> bool:
    """Whether it is a yes without conditions."""
    return isinstance(verdict, Proceed) and not verdict.obligations


def fence_of(verdict: Proceed, classified: Classified) -> int | None:
    """The fence that a statement has to keep to, in rows, or None."""
    if not verdict.obligations:
        return None
    fences = [obligation.rows for obligation in verdict.obligations if isinstance(obligation, Fence)]
    return min(fences) if fences and classified.changes_rows else None


def _why_unusable(name: str) -> Refused | None:
    if is_reserved(name):
        return _RESERVED_NAME
    return None if name.isascii() and len(name) <= NAME_BYTES else _UNSURE_NAME


def _unseen(what: str, name: str) -> Prepared:
    why = f"the {what} {name!r} was not made where Interlock could read it"
    return Prepared(f"({what} {name})", Reading(not_understood(why)))


def _wait_for_room() -> Script:
    yield Wait.ROOM
