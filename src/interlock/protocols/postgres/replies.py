"""What the server owes: for every message that went upstream, the answers that end it, in order.

The queue of awaited answers is what keeps everything in step. It says which statement a row belongs to, which answers
are for the machine's own messages and never shown, at which place a refusal stands, and, after an error, what the
server skips: everything up to the next Sync (PostgreSQL documentation, "Extended Query"). ::

    sent        the answers on the way          the answer that ends it
    Query       T D C I G H d c n               Z
    Parse                                       1
    Bind                                        2
    Describe    t                               T n
    Execute     D G H d c                       C I s
    Close                                       3
    Sync                                        Z
    refusal     (a Bind that must fail)         E

An ErrorResponse ends Parse to Close, and with them everything up to the next Sync; a Query and a Sync still get
their ReadyForQuery after it. Notices, notifications and parameter reports may come at any time.
"""

from collections import deque
from collections.abc import Callable

from interlock.errors import PeerError
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.classify import Classified
from interlock.protocols.postgres.framer import Message, Piece, Run
from interlock.protocols.postgres.injection import Injection
from interlock.protocols.postgres.names import Asked, Names, Portal, Prepared, Running
from interlock.protocols.postgres.reading import Reading
from interlock.protocols.postgres.row_mask import RowMask
from interlock.protocols.postgres.sink import Sink

REFUSAL = "refusal"

_ANSWERS: dict[str, bytes] = {
    "Q": b"TDCIGHdcnZ",
    "P": b"1",
    "B": b"2",
    "D": b"tTn",
    "E": b"DGHdcCIs",
    "C": b"3",
    "S": b"Z",
    REFUSAL: b"",
}
_LAST: dict[str, bytes] = {"Q": b"Z", "P": b"1", "B": b"2", "D": b"Tn", "E": b"CIs", "C": b"3", "S": b"Z", REFUSAL: b""}

IDLE, IN_TRANSACTION, FAILED = b"I"[0], b"T"[0], b"E"[0]

_ERROR, _READY, _COMPLETE, _EMPTY, _SUSPENDED = b"E"[0], b"Z"[0], b"C"[0], b"I"[0], b"s"[0]
_ASIDE = b"ENAS"
_COPY_IN, _NOTICE, _NOTIFICATION, _PARAMETER = b"G"[0], b"N"[0], b"A"[0], b"S"[0]
_DESCRIPTION, _NOTHING_SHOWN = b"T"[0], b"n"[0]


class Awaited:
    """One message whose answers have not all come.

    ``injection`` is given when the client must not see them; ``last`` marks the one that completes the injection.
    ``refusal`` is what the client sees in place of the error that a refusal provokes. of ``quiet`` ones it sees
    nothing but an error. ``replayed`` is for a query whose copy data is sent without asking the client again.
    """

    def __init__(
        self,
        kind: str,
        running: Running | None = None,
        statement: Asked[Prepared] | None = None,
        portal: Asked[Portal] | None = None,
        injection: Injection | None = None,
        last: bool = False,
        refusal: bytes = b"",
        quiet: bool = False,
        replayed: bool = False,
    ) -> None:
        self.kind = kind
        self.running = running
        self.statement = statement
        self.portal = portal
        self.injection = injection
        self.last = last
        self.refusal = refusal
        self.quiet = quiet
        self.replayed = replayed


class Replies:
    """Takes what the server sends and gives the client what is for it.

    ``status`` is the server's last word on the transaction; ``in_block`` whether the client is in a transaction block
    now, also between two ReadyForQuery; ``implicit_block`` that the machine made a block of what would have been the
    batch's own transaction, and has to end it with the batch. ``proceeding`` are the statements that were told to
    proceed and have not ended, by number. ``copying`` is what takes copy data now. ``skipping`` is
    true from an error until the client's next Sync, ``server_skipping`` until the next Sync of anyone.
    ``transaction_over`` says that the last thing executed in this batch ended a transaction, ``hides_details`` that the
    details of errors are not for the client.
    """

    def __init__(self, sink: Sink, finish: Callable[[Running], None], settle: Callable[[str, str], None]) -> None:
        self._sink = sink
        self._finish = finish
        self._settle = settle
        self.expected: deque[Awaited] = deque()
        self.statements: Names[Prepared] = Names()
        self.portals: Names[Portal] = Names()
        self.status = IDLE
        self.in_block = False
        self.implicit_block = False
        self.skipping = False
        self.server_skipping = False
        self.copying: Awaited | None = None
        self.unsettled = 0
        self.ending_block = 0
        self.stale_settings = False
        self.transaction_over = False
        self.fatal = False
        self.hides_details = False
        self.proceeding: dict[int, Running] = {}

    def expect(self, awaited: Awaited) -> None:
        self.expected.append(awaited)
        if awaited.running is not None:
            self.begin(awaited.running)

    def begin(self, running: Running) -> None:
        """It is on its way: what it may change is not certain until it has ended."""
        if not running.begun:
            running.begun = True
            self.unsettled += running.reading.unsettles
            self.ending_block += running.reading.ends_transaction

    def take(self, piece: Piece) -> None:
        if isinstance(piece, Run):
            self._take_run(piece)
            return
        code = piece.code
        if code not in _ASIDE:
            self._take_answer(piece)
        elif code == _PARAMETER:
            self._settle(*messages.read_parameter_status(piece.raw))
            self._sink.interject(piece.raw)
        elif code == _NOTIFICATION:
            self._sink.interject(piece.raw)
        elif code == _NOTICE:
            if not self.expected or self.expected[0].injection is None:
                self._sink.write(piece.raw)
        else:
            self._take_error(piece)

    def abandon(self, error: str) -> None:
        """The connection is over: every statement that was told to proceed and has not ended ends with ``error``."""
        self.expected.clear()
        for running in tuple(self.proceeding.values()):
            self.end_deferred(running, error)

    def defer(self, running: Running) -> None:
        """From now on the end of ``running`` is not told until ``end_deferred``."""
        running.deferred = True

    def end_deferred(self, running: Running, error: str = "") -> None:
        running.deferred = False
        self.end(running, error)

    def end(self, running: Running, error: str = "") -> None:
        if running.over or running.deferred:
            return
        if running.begun:
            self.unsettled -= running.reading.unsettles
            self.ending_block -= running.reading.ends_transaction
        running.over = True
        running.error = running.error or error
        if self.proceeding.pop(running.number, None) is not None:
            self._finish(running)

    def _take_run(self, run: Run) -> None:
        head = self.expected[0] if self.expected else None
        if head is None or head.kind not in "QE":
            raise _out_of_place(run)
        if head.injection is not None:
            head.injection.take_rows(run.raw)
            return
        running = head.running
        if running is not None:
            running.rows += run.begun
            if running.mask is not None:
                self._take_masked(run, running, running.mask)
                return
            running.size_bytes += len(run.raw)
        self._sink.write(run.raw, run.whole)

    def _take_masked(self, run: Run, running: Running, mask: RowMask) -> None:
        covered = mask.take(bytes(run.raw))
        running.size_bytes += len(covered)
        self._sink.write(covered, run.whole or mask.covers)

    def _take_answer(self, message: Message) -> None:
        code = message.code
        head = self.expected[0] if self.expected else None
        if head is None or code not in _ANSWERS[head.kind]:
            raise _out_of_place(message)
        last = code in _LAST[head.kind]
        if last:
            self.expected.popleft()
        if head.injection is not None:
            self._take_injected(head, message, head.injection)
            return
        if code == _COMPLETE:
            self._complete(head, messages.read_tag(message.raw))
        elif code == _COPY_IN:
            if not head.replayed:
                self.copying = head
                self._sink.interject(message.raw)
            return
        elif code == _READY:
            self.become_ready(messages.read_ready(message.raw))
        elif code == _DESCRIPTION and head.running is not None and head.running.mask is not None:
            head.running.mask.check(message.raw)
        if last:
            self._confirm(head, code)
        if not head.quiet:
            self._sink.write(message.raw)

    def _take_injected(self, head: Awaited, message: Message, injection: Injection) -> None:
        if message.code == _COMPLETE:
            injection.take_end(messages.read_tag(message.raw))
        elif message.code in (_EMPTY, _SUSPENDED):
            injection.take_end("")
        elif message.code in (_DESCRIPTION, _NOTHING_SHOWN):
            injection.take_description(message.raw if message.code == _DESCRIPTION else b"")
        elif message.code == _READY:
            self.become_ready(messages.read_ready(message.raw))
        elif message.code == _COPY_IN:
            raise _out_of_place(message)
        if head.last:
            injection.done = True

    def _complete(self, head: Awaited, tag: str) -> None:
        running = head.running
        if running is None:
            return
        running.tag = tag
        running.add_changed(messages.count_changed(tag))
        classified = running.classified
        if tag.startswith("COPY "):
            if classified.copies_in:
                running.add_changed(messages.read_count(tag[5:]))
            elif classified.copies_out:
                running.rows = messages.read_count(tag[5:])
        elif tag == "PREPARE" or tag.startswith(("DEALLOCATE", "DISCARD")):
            self._follow_names(running, tag)
        if head.kind == "E":
            self._follow_block(classified, tag)

    def _follow_block(self, classified: Classified, tag: str) -> None:
        """Inside a batch no ReadyForQuery says where BEGIN or COMMIT leads. Of an unknown text only the tag tells."""
        begins = tag in ("BEGIN", "START TRANSACTION") if classified.unknown else classified.begins_transaction
        ends = tag in ("COMMIT", "PREPARE TRANSACTION") if classified.unknown else classified.ends_transaction
        if ends:
            self.forget_portals()
        if begins or ends:
            self.in_block = begins
            self.implicit_block = False

    def _follow_names(self, running: Running, tag: str) -> None:
        """PREPARE and DEALLOCATE as statements change the same names as the protocol's Parse and Close."""
        known = self.statements.known
        classified = running.classified
        if tag == "PREPARE":
            # They are done in the order in which they stand, so the place says which one this was.
            for name, prepared in classified.prepares[running.prepared : running.prepared + 1]:
                known[name] = Prepared(f"PREPARE {name}", Reading(prepared))
            running.prepared += 1
        elif tag == "DEALLOCATE":
            for name in classified.deallocates[running.deallocated : running.deallocated + 1]:
                known.pop(name, None)
            running.deallocated += 1
        else:
            if tag != "DISCARD ALL" and not tag.startswith("DEALLOCATE"):
                return
            known.clear()
            self.forget_portals()

    def _confirm(self, head: Awaited, code: int) -> None:
        if head.statement is not None:
            self.statements.confirm(head.statement)
        if head.portal is not None:
            before = self.portals.confirm(head.portal)
            if before is not None and before.running is not None:
                self.end(before.running)
        if head.running is None or head.kind not in "QE":
            return
        if head.kind == "E":
            self.stale_settings |= head.running.classified.may_change_settings
            self.transaction_over = head.running.reading.ends_transaction
        if code != _SUSPENDED:
            self.copying = None
            self.end(head.running)

    def become_ready(self, status: int) -> None:
        self.status = status
        self.in_block = status == IN_TRANSACTION
        self.copying = None
        self.stale_settings = self.transaction_over = False
        if status == IDLE and self.portals.known:
            self.forget_portals()

    def forget_portals(self) -> None:
        """A transaction ended, and its portals with it."""
        for portal in self.portals.known.values():
            if portal.running is not None:
                self.end(portal.running)
        self.portals.known.clear()

    def _take_error(self, message: Message) -> None:
        fields = messages.read_fields(message.raw)
        said = f"{fields.get('C', '')}: {fields.get('M', '')}"
        if fields.get("V", fields.get("S")) in ("FATAL", "PANIC"):
            self.fatal = True
            self._sink.write(message.raw)
            self.abandon(said)
            return
        if not self.expected:
            raise _out_of_place(message)
        head = self.expected[0]
        if self.hides_details:
            # Details may be values of a row, as of one that breaks a constraint.
            fields = {code: text for code, text in fields.items() if code not in "DW"}
        self.copying = None
        if head.running is not None:
            head.running.error = said
        if head.injection is not None:
            head.injection.take_error(fields)
        elif self.hides_details and not head.refusal:
            self._sink.write(messages.relay_error(fields))
        else:
            self._sink.write(head.refusal or message.raw)
        if head.kind not in "QS":
            self._skip_batch()

    def _skip_batch(self) -> None:
        """The server skips everything up to the next Sync, and so does the machine."""
        first = self.expected.popleft()
        own = first.injection is not None
        if first.statement is not None and first.statement.name == "":
            self.statements.known.pop("", None)
        self._drop(first, "")
        while self.expected and self.expected[0].kind != "S":
            self._drop(self.expected.popleft(), "not run, because a statement before it in the batch failed")
        if not self.expected:
            self.server_skipping = True
            self.skipping = True
        elif not own and not any(awaited.kind == "S" and awaited.injection is None for awaited in self.expected):
            self.skipping = True

    def _drop(self, awaited: Awaited, error: str) -> None:
        if awaited.statement is not None:
            self.statements.fail(awaited.statement)
        if awaited.portal is not None:
            self.portals.fail(awaited.portal)
            portal = awaited.portal.thing
            if portal is not None and portal.running is not None:
                self.end(portal.running, error or "not run")
        if awaited.running is not None:
            self.end(awaited.running, error)
        if awaited.injection is not None and awaited.last:
            awaited.injection.done = True


def _out_of_place(piece: Piece) -> PeerError:
    return PeerError(f"The database sent {chr(piece.code)!r} where PostgreSQL's protocol has no place for it.")
