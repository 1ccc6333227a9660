"""The open session: what the client sends is put in order, decided on, and sent on.

The client's messages wait in an *inbox* and are taken one at a time. What has to wait in the middle (for a verdict,
for the server to answer all that was sent, for statements of the machine's own) is written as a generator, a *script*,
that yields what it waits for; the next message is taken when it has ended. Most messages need no waiting, and a whole
batch then goes upstream in one piece.

INVARIANT: nothing of a statement is sent upstream before its Proceed, apart from its Parse, which a server only reads
(and where it does more, ``docs/postgres-classification.md`` says so: drivers want a Parse described before they bind).
The Bind is decided on, with its values, because planning may already run functions; the Execute that follows is the
same statement. A portal is one statement and is run once: what else would be run from it is decided on anew.

A refusal is put where the refused message stood, as a Bind of a prepared statement that does not exist. The server
fails at that place exactly as it would at any other error: what was sent before is answered before, a transaction is
failed, the rest of the batch is skipped; the client gets our sentence in the place of the server's.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum

from interlock.domain.decisions import Fence
from interlock.errors import Misuse
from interlock.ports.protocol import Admission, Outlet, Proceed, Refused, Verdict
from interlock.ports.statement import Effect, Statement, new_statement
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.framer import Piece
from interlock.protocols.postgres.injection import Answer, Injection, Row, Step
from interlock.protocols.postgres.names import Portal, Prepared, Running, new_running
from interlock.protocols.postgres.reading import RESERVED, Reading
from interlock.protocols.postgres.replies import FAILED, REFUSAL, Awaited, Replies
from interlock.protocols.postgres.sink import KEPT_LIMIT, Sink

INBOX_LIMIT = 256 * 1024
"""How many bytes of the client's messages may wait before the client is paused."""

EXPECTED_LIMIT = 8192
"""How many messages may be on their way upstream without an answer."""

_KEPT_BIND_BYTES = 64 * 1024
"""From this size on a Bind is not kept, unless a fence may need it again."""

DENIED = "42501"
CANCELLED = "57014"

_SYNCED = Awaited("S")
_MISSING = messages.bind("", f"{RESERVED}refused", messages.bind_tail())


# Names of the enumeration, which are looked up for every statement.
_NEVER, _AT_COMMIT, _NOW = Effect.NEVER, Effect.AT_COMMIT, Effect.NOW


class Wait(Enum):
    """What a script waits for."""

    DRAINED = "the server has answered everything that was sent"
    ROOM = "fewer messages are on their way"
    VERDICT = "decided() was called"
    INJECTED = "the machine's own statements are answered"


Script = Generator[Wait, None, None]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Names of prepared statements that code of the database's own may have prepared anew: what each stood for before,
    and what the server said then of each (its name, and when it was made)."""

    known: dict[str, Prepared]
    made: frozenset[Row]


class CopiedData:
    """Copy data that may be needed a second time. ``pieces`` is None when it grew over the limit."""

    def __init__(self) -> None:
        self.pieces: list[bytes | memoryview] | None = []
        self._size_bytes = 0

    def keep(self, raw: bytes | memoryview) -> None:
        self._size_bytes += len(raw)
        if self._size_bytes > KEPT_LIMIT:
            self.pieces = None
        elif self.pieces is not None:
            self.pieces.append(raw)


class Relay:
    """What the scripts work with: the way up, the way down, and the questions to the gateway."""

    def __init__(self, outlet: Outlet, admission: Admission, sink: Sink, replies: Replies) -> None:
        self.outlet = outlet
        self.admission = admission
        self.sink = sink
        self.replies = replies
        self.inbox: deque[Piece] = deque()
        self.batch = 0
        self.batch_open = False
        self.batch_executed = 0
        self.cancelled = False
        self.holding = False
        self.copied: CopiedData | None = None
        self.doubt: Doubt | None = None
        self.upstream: list[bytes | memoryview] = []
        self._inbox_bytes = 0
        self._paused = False
        self._script: Script | None = None
        self._stepping = False
        self._wait = Wait.DRAINED
        self._read_only = admission.read_only
        self._unflushed = False
        self._number = 0
        self._asking = 0
        self._verdict: Verdict | None = None
        self._injection: Injection | None = None

    # --- the inbox

    def put(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            self.inbox.append(piece)
            self._inbox_bytes += len(piece.raw)

    def take(self) -> Piece:
        piece = self.inbox.popleft()
        self._inbox_bytes -= len(piece.raw)
        return piece

    def control_flow(self) -> None:
        """Pause the client when too much waits, and let it go on when it does not."""
        if not self._paused and self._inbox_bytes > INBOX_LIMIT:
            self._paused = True
            self.outlet.pause_client()
        elif self._paused and self._inbox_bytes <= INBOX_LIMIT // 2:
            self._paused = False
            self.outlet.resume_client()

    # --- the script that is under way

    @property
    def busy(self) -> bool:
        return self._script is not None

    def start(self, script: Script) -> None:
        self._script = script
        self._step()

    def resume(self) -> bool:
        """Let the script go on if what it waits for has come. Whether it could."""
        if self._script is None or not self._is_ready():
            return False
        self._step()
        return True

    @property
    def awaiting(self) -> int | None:
        """The number of the statement whose verdict is waited for, held or not."""
        return self._asking if self.busy and self._wait is Wait.VERDICT and self._verdict is None else None

    def cancel(self) -> None:
        """The client wants the statement at hand to stop: it does not run, if it has not run yet."""
        self.cancelled = self.busy and self._wait in (Wait.VERDICT, Wait.INJECTED)

    def abandon(self) -> None:
        """Forget the script and everything that waits. Also from inside the script."""
        self.inbox.clear()
        script, self._script = self._script, None
        if script is not None and not self._stepping:
            script.close()

    def _step(self) -> None:
        script = self._script
        if script is None:
            return
        self._stepping = True
        try:
            self._wait = next(script)
        except StopIteration:
            self._script = None
            return
        finally:
            self._stepping = False
        if self._wait is not Wait.VERDICT:
            self._flush_batch()

    def _is_ready(self) -> bool:
        match self._wait:
            case Wait.DRAINED:
                return not self.replies.expected
            case Wait.ROOM:
                return len(self.replies.expected) < EXPECTED_LIMIT
            case Wait.VERDICT:
                return self._verdict is not None
            case Wait.INJECTED:
                return self._injection is None or self._injection.done

    def _flush_batch(self) -> None:
        """Ask the server for the answers that it would keep until the Sync."""
        if self._unflushed and self.replies.expected:
            self.upstream.append(messages.FLUSH)
            self._unflushed = False

    # --- the way up

    def send(self, raw: bytes, awaited: Awaited) -> None:
        """Send a message of the extended protocol that belongs to the client's batch."""
        self.upstream.append(raw)
        self.replies.expect(awaited)
        self.batch_open = True
        self._unflushed = True

    def send_query(self, raw: bytes, running: Running, *, replayed: bool = False) -> None:
        """Send a simple query. ``replayed``: its copy data follows from here, and the client is not asked for it."""
        self.upstream.append(raw)
        names = self.replies
        self.batch += 1
        # It forgets the unnamed statement and destroys the unnamed portal, where there are some.
        forgotten = names.statements.ask("", None, self.batch) if names.statements.may_hold("") else None
        destroyed = names.portals.ask("", None, self.batch) if names.portals.may_hold("") else None
        self.replies.expect(Awaited("Q", running, statement=forgotten, portal=destroyed, replayed=replayed))
        self._close_batch()

    def send_bind(self, raw: bytes, portal: Portal, running: Running, fence: Fence | None) -> None:
        """Send the Bind of a portal that may run, which has to keep to ``fence``."""
        portal.running = running
        portal.fence = fence
        if fence is None and len(raw) > _KEPT_BIND_BYTES:
            portal.bound = None
        self.send(raw, Awaited("B", None, None, self.replies.portals.ask(portal.name, portal, self.batch)))

    def send_sync(self) -> None:
        self.upstream.append(messages.SYNC)
        self.replies.expect(_SYNCED)
        self.replies.skipping = False
        self._close_batch()

    def end_batch(self) -> Generator[Wait, None, Injection]:
        """End the batch's own transaction with a Sync of the machine's, when a simple query comes without one."""
        ended = yield from self.inject([])
        self._close_batch()
        return ended

    def _close_batch(self) -> None:
        self.replies.server_skipping = False
        self.batch += 1
        self.batch_open = False
        self.batch_executed = 0
        self._unflushed = False

    # --- what may be relied on

    def is_idle(self) -> bool:
        """Whether nothing is under way in either direction, and nothing to wait for or to look at."""
        replies = self.replies
        if self._script is not None or self.batch_open or self.inbox or self.upstream or replies.expected:
            return False
        if replies.skipping or replies.server_skipping or replies.implicit_block or replies.copying is not None:
            return False
        return self.is_settled()

    def is_settled(self) -> bool:
        """Whether there is nothing to wait for or to look at: the common case, told without starting a script."""
        replies = self.replies
        if replies.unsettled or replies.stale_settings or self.doubt is not None:
            return False
        return not (self._read_only and (replies.transaction_over or self.crosses_transactions()))

    def crosses_transactions(self) -> bool:
        """Whether the message at hand would be in a transaction after one that is not known to have ended well.

        Code out of sight (behind a view, a cast, a policy) may have lifted what holds a reader's next transaction
        read-only. The server reports it at the end, so nothing of the next one is sent before.
        """
        if not self._read_only:
            return False
        replies = self.replies
        return bool(replies.ending_block or (replies.expected and not self.batch_open))

    # --- asking

    def ask_text(self, running: Running, shown: str) -> Verdict | None:
        """Ask the gateway about a text. None: ``await_verdict`` has to be waited for."""
        return self._ask(running, new_statement(shown, running.reading.described(self.effect_of(running.reading))))

    def ask_portal(self, running: Running, portal: Portal) -> Verdict | None:
        """As ``ask_text``, about a prepared statement with the values that were bound to it, where they are known."""
        bound = portal.bound
        described = running.reading.described(self.effect_of(running.reading))
        if bound is None:
            return self._ask(running, new_statement(portal.prepared.shown, described))
        return self._ask(running, new_statement(portal.prepared.shown, described, bound.parameters, bound.formats))

    def _ask(self, running: Running, statement: Statement) -> Verdict | None:
        self.expect_verdict(running)
        verdict = self.outlet.ask(running.number, statement)
        return None if verdict is None else self.note(running, verdict)

    def expect_verdict(self, running: Running) -> None:
        """From now on ``decided`` is listened to for ``running``."""
        self._asking = running.number
        self._verdict = None

    def await_verdict(self, running: Running) -> Generator[Wait, None, Verdict]:
        if self._verdict is None:
            yield Wait.VERDICT
        verdict, self._verdict = self._verdict, None
        if verdict is None:
            raise Misuse("a script went on without the verdict that it waits for")
        return self.note(running, verdict)

    def note(self, running: Running, verdict: Verdict) -> Verdict:
        """A statement that may proceed is finished once, whatever happens from here."""
        if isinstance(verdict, Proceed) and not running.over:
            self.replies.proceeding[running.number] = running
        return verdict

    def decided(self, number: int, verdict: Proceed | Refused) -> None:
        if number == self._asking:
            self._verdict = verdict

    def resolve_doubt(self, answer: Answer) -> None:
        """Forget the names that were prepared anew, or are gone, by what the server says now."""
        doubt, self.doubt = self.doubt, None
        if doubt is None:
            return
        same = {messages.decode(row[0] or b"") for row in doubt.made & frozenset(answer.rows)}
        known = self.replies.statements.known
        for name, prepared in doubt.known.items():
            if name and name not in same and known.get(name) is prepared:
                del known[name]

    def count(self) -> int:
        """The number of the statement that is asked about next."""
        self._number += 1
        return self._number

    def number(self, reading: Reading) -> Running:
        return new_running(self.count(), reading)

    def effect_of(self, reading: Reading) -> Effect:
        """When the change of a statement that would be sent now can take effect."""
        if not reading.changes:
            return _NEVER
        classified = reading.classified
        certain = self.replies.in_block and not self.replies.ending_block and not self.replies.implicit_block
        if certain and classified.transactional and not classified.transaction_control:
            return _AT_COMMIT
        return _NOW

    # --- refusing

    def refuse(self, sqlstate: str, refusal: Refused, *, query: bool) -> None:
        """Refuse the message at hand. The client sees the sentence where the message's answer would have been."""
        said = messages.error(sqlstate, refusal.sentence)
        replies = self.replies
        if query and not replies.expected and replies.status != FAILED and not replies.in_block and not self.batch_open:
            self.sink.write(said)
            self.sink.write(messages.ready(replies.status))
            return
        self.send(_MISSING, Awaited(REFUSAL, refusal=said))
        if query:
            self.send_sync()
        else:
            replies.skipping = True

    def turn_down(self, running: Running, verdict: Verdict, *, query: bool) -> None:
        """Answer a statement that does not run: it was refused, or the client cancelled it while it waited."""
        cancelled, self.cancelled = self.cancelled, False
        if isinstance(verdict, Proceed):
            self.replies.end(running, "cancelled before it ran")
        if self.replies.skipping and not query:
            return
        if cancelled:
            self.refuse(CANCELLED, Refused("canceling statement due to user request"), query=query)
        elif isinstance(verdict, Refused):
            self.refuse(DENIED, verdict, query=query)

    # --- the machine's own statements

    def inject(self, steps: list[Step], *, sync: bool = True) -> Generator[Wait, None, Injection]:
        """Run statements of the machine's own. Everything sent before must have been answered.

        With ``sync`` they end with one: the caller has made sure that a transaction block is open, or that none of the
        client's work is lost by it.
        """
        if self.replies.expected:
            yield Wait.DRAINED
        injection = self.start_injection(steps, sync=sync)
        yield from self.await_injection(injection)
        return injection

    def start_injection(self, steps: list[Step], *, sync: bool = True) -> Injection:
        """Send the steps without waiting; see ``inject``."""
        injection = Injection(steps)
        if sync and self.replies.server_skipping:
            self.upstream.append(messages.SYNC)
            self.replies.expect(Awaited("S", injection=injection))
            self.replies.server_skipping = False
        built = [message for step in steps for message in step.build()]
        for at, (kind, raw) in enumerate(built):
            self.upstream.append(raw)
            self.replies.expect(Awaited(kind, injection=injection, last=not sync and at == len(built) - 1))
        if sync:
            self.upstream.append(messages.SYNC)
            self.replies.expect(Awaited("S", injection=injection, last=True))
        self._unflushed = not sync
        return injection

    def await_injection(self, injection: Injection) -> Generator[Wait, None, None]:
        self._injection = injection
        if not injection.done:
            yield Wait.INJECTED
        self._injection = None
