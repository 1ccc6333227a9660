"""What a message of the client's sets going when something has to be waited for or looked at: one script for each type.

How the pieces fit is told in :mod:`interlock.protocols.postgres.relay`; the common case is in
:mod:`interlock.protocols.postgres.steady` and starts no script.
"""

from collections.abc import Generator

from interlock.domain.decisions import Fence
from interlock.ports.protocol import Held, Proceed, Refused, Verdict
from interlock.protocols.postgres import fence, hold, messages
from interlock.protocols.postgres.classify import Classified
from interlock.protocols.postgres.classify_result import not_understood
from interlock.protocols.postgres.impact import PREPARED
from interlock.protocols.postgres.injection import Step
from interlock.protocols.postgres.mask import mask, masks_of
from interlock.protocols.postgres.names import NAME_BYTES, UNSETTLED, Names, Portal, Prepared, Running, T, new_portal
from interlock.protocols.postgres.reading import Reader, Reading, is_reserved, may_execute_prepared, show
from interlock.protocols.postgres.relay import DENIED, Relay, Script, Wait
from interlock.protocols.postgres.replies import FAILED, Awaited
from interlock.protocols.postgres.reported import FOLLOWED, Reported
from interlock.protocols.postgres.settings import name_in_log, says_who

MALFORMED = "08P01"

_SETTINGS = Step("SELECT " + ", ".join(f"pg_catalog.current_setting('{name}', true)" for name in FOLLOWED))

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


class Scripts:
    """The scripts of one open session."""

    def __init__(self, relay: Relay, reader: Reader, reported: Reported) -> None:
        self._relay = relay
        self._replies = relay.replies
        self._reader = reader
        self._reported = reported

    # --- simple queries

    def query(self, raw: bytes) -> Script:
        relay = self._relay
        if relay.batch_open:
            yield Wait.DRAINED
        if self._skips() or (self._replies.implicit_block and not (yield from self._end_batch())):
            return
        yield from self._settle()
        if raw.find(0, 5) != len(raw) - 1:
            relay.refuse(MALFORMED, Refused("The statement holds a NUL byte, and was not sent on."), query=True)
            return
        text = messages.read_query(raw)
        reading = yield from self._read(text)
        unusable = self._find_taken(reading) or (yield from self._find_fetched(reading.classified))
        if unusable is not None:
            relay.refuse(DENIED, unusable, query=True)
            return
        running = relay.number(reading)
        yield from self.go_on_with_query(raw, text, running, relay.ask_text(running, show(text)))

    def go_on_with_query(self, raw: bytes, text: str, running: Running, verdict: Verdict | None) -> Script:
        """A query that was asked about. Without a verdict it comes later."""
        relay, classified = self._relay, running.classified
        if verdict is None:
            verdict = yield from relay.await_verdict(running)
        target = hold.Target(text, classified)
        sheltered = isinstance(verdict, Held) or (isinstance(verdict, Proceed) and not is_free(verdict, classified))
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
        masked = masks_of(verdict) if isinstance(verdict, Proceed) else ()
        if masked and not relay.cancelled and not (yield from mask(relay, running, masked, target.text)):
            return
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

    def call_function(self, raw: bytes) -> Script:
        if self._relay.batch_open:
            yield Wait.DRAINED
        if self._skips():
            return
        sentence = "Calls of functions by number do not go through Interlock. Write SELECT function(…)."
        self._relay.refuse(DENIED, Refused(sentence), query=True)

    # --- the extended protocol

    def parse(self, raw: bytes) -> Script:
        relay = self._relay
        yield from self._settle()
        if self._skips():
            return
        parsed = messages.read_parse(raw)
        reading = yield from self._read(parsed.text)
        if self._skips():
            return
        unusable = self._find_taken(reading) or why_unusable(parsed.name)
        if unusable is not None:
            relay.refuse(DENIED, unusable, query=False)
            return
        prepared = Prepared(parsed.text, reading)
        relay.send(raw, Awaited("P", statement=self._replies.statements.ask(parsed.name, prepared, relay.batch)))

    def bind(self, raw: bytes) -> Script:
        relay = self._relay
        yield from self._settle()
        if self._skips():
            return
        bound = messages.read_bind(raw)
        unusable = why_unusable(bound.portal) or why_unusable(bound.statement)
        if unusable is not None:
            relay.refuse(DENIED, unusable, query=False)
            return
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
        portal = new_portal(bound.portal, prepared, bound)
        if (yield from self._decide_portal(portal)) and portal.running is not None:
            relay.send_bind(raw, portal, portal.running, portal.fence)

    def go_on_with_bind(self, raw: bytes, portal: Portal, running: Running, verdict: Verdict | None) -> Script:
        """A statement with its values that was asked about. Without a verdict it comes later."""
        if (yield from self._judge_portal(portal, running, verdict)):
            self._relay.send_bind(raw, portal, running, portal.fence)

    def _decide_portal(self, portal: Portal) -> Generator[Wait, None, bool]:
        """Ask about a statement with its values. Whether it may run; if not it was refused, or is skipped."""
        running = self._relay.number(portal.prepared.reading)
        return (yield from self._judge_portal(portal, running, self._relay.ask_portal(running, portal)))

    def _judge_portal(self, portal: Portal, running: Running, verdict: Verdict | None) -> Generator[Wait, None, bool]:
        relay, classified = self._relay, running.classified
        if verdict is None:
            verdict = yield from relay.await_verdict(running)
        if isinstance(verdict, Held):
            tail = None if portal.bound is None else portal.bound.tail
            name = None if portal.bound is None else portal.bound.statement
            target = hold.Target(portal.prepared.text, classified, name, tail)
            verdict = yield from hold.hold(relay, running, verdict, target)
        masked = masks_of(verdict) if isinstance(verdict, Proceed) and not self._skips() else ()
        if masked and not relay.cancelled:
            name = "" if portal.bound is None else portal.bound.statement
            if not (yield from mask(relay, running, masked, portal.prepared.text, name)):
                return False
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

    def execute(self, raw: bytes) -> Script:
        relay = self._relay
        name, _ = messages.read_execute(raw)
        yield from self._settle()
        if self._skips():
            return
        if (unusable := why_unusable(name)) is not None:
            relay.refuse(DENIED, unusable, query=False)
            return
        portal = yield from self._find(self._replies.portals, name)
        if portal is None and not self._skips():
            yield from self._probe(b"P", name)
            portal = new_portal(name, _unseen("portal", name), None)
        if portal is None or self._skips():
            return
        again = portal.running is None or portal.running.over
        if again and not (yield from self._decide_portal(portal)):
            return
        running = portal.running
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

    # --- what the scripts share

    def _find_taken(self, reading: Reading) -> Refused | None:
        """Why its text cannot be taken at all: it takes a name of ours, or on a shared account one of somebody's."""
        if reading.takes_reserved:
            return _RESERVED_NAME
        admission = self._relay.admission
        if admission.resource.personal or all(
            name is not None and says_who(admission.person, name) for name in reading.classified.renames
        ):
            return None
        return Refused(
            f"{admission.resource.name} is one account for everybody, and its server's log tells people apart by"
            f" application_name: here it begins with your own name, as in"
            f" SET application_name = '{name_in_log(admission.person)} my program'.",
            "shared-name",
        )

    def _skips(self) -> bool:
        """Whether the batch failed: everything up to the client's next Sync is skipped, as the server does."""
        return self._replies.skipping

    def _settle(self) -> Script:
        """Wait for statements after which settings or names may be others, and look at what became of them.

        A server reports changed settings with ReadyForQuery; inside a batch it is asked.
        """
        replies = self._replies
        if replies.unsettled or self._relay.crosses_transactions():
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


def fence_of(verdict: Proceed, classified: Classified) -> int | None:
    """The fence that a statement has to keep to, in rows, or None."""
    if not verdict.obligations:
        return None
    fences = [obligation.rows for obligation in verdict.obligations if isinstance(obligation, Fence)]
    return min(fences) if fences and classified.changes_rows else None


def is_free(verdict: Proceed, classified: Classified) -> bool:
    """Whether a statement may go as it is, with nothing to keep to."""
    return not verdict.obligations or (fence_of(verdict, classified) is None and not masks_of(verdict))


def why_unusable(name: str) -> Refused | None:
    if is_reserved(name):
        return _RESERVED_NAME
    return None if name.isascii() and len(name) <= NAME_BYTES else _UNSURE_NAME


def _unseen(what: str, name: str) -> Prepared:
    why = f"the {what} {name!r} was not made where Interlock could read it"
    return Prepared(f"({what} {name})", Reading(not_understood(why)))
