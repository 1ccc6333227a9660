"""The short way: one statement and its answer, each in one piece, with nothing else under way.

Nearly all that a client says is one of two things, whole and alone: a Query; or a Bind, Execute and Sync, maybe with a
Parse before them and a Describe between. Nearly all answers to it are rows and a tag, whole as well. That exchange is
taken here from the bytes as they came, without a message or an awaited answer made of each part. ::

    client   Q                                  server   [T] D... C Z
             [P] B [D] E S                               [1] 2 [T|n] D... C Z

Where the gateway has a precedent for it, nothing is made of the statement at all but its template: no text, no verdict,
no outcome (:mod:`interlock.ports.precedents`). Else it is asked about as everywhere; it keeps its place here while the
gateway writes its record down, as it does before every COMMIT.

It is the same as what ``relay.py``, ``steady.py`` and ``replies.py`` do with the messages one by one, and whoever
changes one of them changes the other. INVARIANT: as soon as anything does not fit (a second statement before the
answer, an answer in pieces, an error, a cancellation, an end), ``unfold`` brings everything into the state in which
the long way would have left it, and the long way goes on from there. So nothing but time depends on this file;
``tests/protocols/postgres/test_lane.py`` takes the same dialogues both ways.

Nothing goes upstream before its Proceed.
"""

from interlock.errors import Misuse
from interlock.ports.precedents import Precedents
from interlock.ports.protocol import Proceed, Refused, Verdict
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.framer import Framer
from interlock.protocols.postgres.messages import BindMessage
from interlock.protocols.postgres.names import Portal, Prepared, Running, new_portal, new_running
from interlock.protocols.postgres.reading import Reader, Reading
from interlock.protocols.postgres.relay import Relay
from interlock.protocols.postgres.replies import IDLE, Awaited
from interlock.protocols.postgres.scripts import Scripts, why_unusable
from interlock.protocols.postgres.whole import HEADER_BYTES, is_empty, is_ready, is_string, length_at

_LONGEST_BYTES = 16 * 1024
"""What is longer goes the long way, where the time is spent elsewhere."""

_HEADER_BYTES = HEADER_BYTES
_QUERY, _PARSE, _BIND = b"QPB"
_PARSED, _BOUND, _ROWS, _NO_ROWS, _ROW, _COMPLETE = b"12TnDC"
_IDLE = IDLE
_SELECT = b"S"[0]
"""How the tag of what changes nothing begins."""
_NOTHING: tuple[()] = ()

_EXECUTED = messages.execute("") + messages.SYNC
_TAILS = {messages.describe(b"P", "") + _EXECUTED: True, _EXECUTED: False}
"""What follows the Bind, and whether the portal is described."""

_KEPT_PARSES = 2048
_KEPT_PARSE_BYTES = 2048


class Lane:
    """The short way of one session. ``taken`` while an answer is awaited on it, ``asked`` while a verdict is."""

    def __init__(
        self,
        relay: Relay,
        reader: Reader,
        scripts: Scripts,
        framers: tuple[Framer, Framer],
        precedents: Precedents,
    ) -> None:
        """``framers`` are the client's and the server's."""
        self.taken = False
        self.asked = False
        self._relay = relay
        self._replies = relay.replies
        self._reader = reader
        self._read_only = relay.admission.read_only
        self._scripts = scripts
        self._precedents = precedents
        self._client, self._server = framers
        self._statements = relay.replies.statements
        self._portals = relay.replies.portals
        # The statement that is under way: None for one that followed a precedent, of which only what is below is known.
        self._running: Running | None = None
        self._number = 0
        self._reading: Reading | None = None
        # What is sent when the verdict has come.
        self._payload = b""
        # Of one that was bound: what to, and with which values.
        self._prepared: Prepared | None = None
        self._bound: BindMessage | None = None
        self._parsed: Prepared | None = None
        self._described = False
        self._batch = 0
        # What came of it.
        self._rows = 0
        self._size_bytes = 0
        self._parses: dict[bytes, Prepared] = reader.kept_parses(read_only=self._read_only)

    # --- the client

    def ask(self, payload: bytes) -> bool:
        """Take ``payload`` the short way. False: it has to go the long way, and nothing happened."""
        if self.taken or self.asked:
            self.unfold()
            return False
        size = len(payload)
        if size < _HEADER_BYTES or size > _LONGEST_BYTES or not self._client.is_clear() or not self._relay.is_idle():
            return False
        # As for each message of the long way: a cancellation of what came before is no cancellation of this.
        self._relay.cancelled = False
        code = payload[0]
        if code == _QUERY:
            return self._ask_query(payload, size)
        if code == _BIND:
            return self._ask_bound(payload, None, 0)
        return code == _PARSE and self._ask_parsed(payload, size)

    def _ask_query(self, payload: bytes, size: int) -> bool:
        relay = self._relay
        if length_at(payload, 1) != size - 1 or payload[size - 1]:
            return False
        reading = self._reader.find_in(payload, _HEADER_BYTES, size - 1, self._read_only)
        if reading is None or not reading.steady:
            return False
        number = relay.count()
        described = reading.described(relay.effect_of(reading))
        running = None
        if not self._precedents.follow(number, described, payload, _HEADER_BYTES, size - 1, _NOTHING, _NOTHING):
            running = new_running(number, reading)
            text = payload[_HEADER_BYTES : size - 1].decode("ascii")
            verdict = relay.ask_text(running, text)
            if verdict is None:
                self._wait(number, reading, running, payload)
                return True
            if not isinstance(verdict, Proceed) or verdict.obligations:
                relay.start(self._scripts.go_on_with_query(payload, text, running, verdict))
                return True
        self._take(number, reading, running, payload)
        return True

    def _ask_parsed(self, payload: bytes, size: int) -> bool:
        """A Parse of the unnamed statement; anything else goes the long way."""
        parse_end = length_at(payload, 1) + 1
        if not _HEADER_BYTES < parse_end <= size or payload[_HEADER_BYTES]:
            return False
        raw = payload[:parse_end]
        prepared = self._parses.get(raw)
        if prepared is None:
            parsed = messages.read_parse(raw)
            reading = self._reader.find(parsed.text, self._read_only)
            if reading is None or not reading.steady:
                return False
            prepared = Prepared(parsed.text, reading)
            if parse_end <= _KEPT_PARSE_BYTES:
                if len(self._parses) >= _KEPT_PARSES:
                    self._parses.clear()
                self._parses[raw] = prepared
        return self._ask_bound(payload, prepared, parse_end)

    def _ask_bound(self, payload: bytes, parsed: Prepared | None, at: int) -> bool:
        """The Bind that begins at ``at``, and all that has to follow it. ``parsed`` is what a Parse before it made."""
        relay = self._relay
        size = len(payload)
        if size - at < _HEADER_BYTES or payload[at] != _BIND:
            return False
        end = at + 1 + length_at(payload, at + 1)
        described = _TAILS.get(payload[end:]) if at < end <= size else None
        if described is None:
            return False
        bound = messages.read_bind(payload, at, end)
        prepared = self._find(bound, parsed)
        if prepared is None:
            return False
        reading = prepared.reading
        number = relay.count()
        running = None
        waits = False
        if not self._follow(number, prepared, bound):
            portal = new_portal("", prepared, bound)
            running = new_running(number, reading)
            verdict = relay.ask_portal(running, portal)
            waits = verdict is None and parsed is None
            if not waits and (not isinstance(verdict, Proceed) or verdict.obligations):
                self._go_on(payload, parsed, portal, running, verdict, at, end)
                return True
        self._prepared = prepared
        self._bound = bound
        self._parsed = parsed
        self._described = described
        if waits and running is not None:
            self._wait(number, reading, running, payload)
        else:
            self._take(number, reading, running, payload)
        return True

    def _follow(self, number: int, prepared: Prepared, bound: BindMessage) -> bool:
        """Whether there is a precedent for a prepared statement with these values."""
        text = prepared.ascii
        if text is None:
            return False
        reading = prepared.reading
        described = reading.described(self._relay.effect_of(reading))
        return self._precedents.follow(number, described, text, 0, len(text), bound.parameters, bound.formats)

    def _find(self, bound: BindMessage, parsed: Prepared | None) -> Prepared | None:
        """The statement that is bound to the unnamed portal, when it is certain and its kind may go this way."""
        if bound.portal:
            return None
        if parsed is not None:
            return None if bound.statement else parsed
        found = self._statements.known.get(bound.statement)
        if found is None or not found.reading.steady:
            return None
        return found if not bound.statement or why_unusable(bound.statement) is None else None

    def _go_on(
        self,
        payload: bytes,
        parsed: Prepared | None,
        portal: Portal,
        running: Running,
        verdict: Verdict | None,
        at: int,
        end: int,
    ) -> None:
        """It was asked about and may not go yet, or not at all: the long way from here, message by message."""
        relay = self._relay
        if parsed is not None:
            relay.send(payload[:at], Awaited("P", None, self._statements.ask("", parsed, relay.batch)))
        relay.start(self._scripts.go_on_with_bind(payload[at:end], portal, running, verdict))
        relay.put(self._client.feed(payload[end:]))

    def _wait(self, number: int, reading: Reading, running: Running, payload: bytes) -> None:
        """It was asked about, and what the gateway says comes later: ``decided``."""
        self._number = number
        self._reading = reading
        self._running = running
        self._payload = payload
        self.asked = True

    def decided(self, number: int, verdict: Proceed | Refused) -> bool:
        """Take the verdict that was waited for. False: it is another's, or takes the statement off the short way."""
        relay, reading, running = self._relay, self._reading, self._running
        if not self.asked or number != self._number or reading is None or running is None:
            return False
        if not isinstance(verdict, Proceed) or verdict.obligations or not relay.is_idle():
            return False
        self.asked = False
        relay.note(running, verdict)
        payload, self._payload = self._payload, b""
        self._take(number, reading, running, payload)
        return True

    def _take(self, number: int, reading: Reading, running: Running | None, payload: bytes) -> None:
        """It may go: send it on. No answer but its own is awaited now."""
        relay = self._relay
        if self._bound is None:
            # As send_query: the batch of the query, and the one after it.
            relay.batch += 1
        self._batch = relay.batch
        relay.batch += 1
        self._number = number
        self._reading = reading
        self._running = running
        if running is not None:
            self._replies.begin(running)
        self.taken = True
        relay.outlet.to_upstream(payload)

    # --- the server

    def take_answer(self, payload: bytes) -> bool:
        """Take the whole answer. False: ``payload`` is not just that, and the long way goes on."""
        if not self.taken or not self._server.is_clear():
            self.unfold()
            return False
        at = 0
        end = len(payload)
        if self._bound is not None:
            if self._parsed is not None and is_empty(payload, 0, end, _PARSED):
                at = _HEADER_BYTES
            if (at == 0) != (self._parsed is None) or not is_empty(payload, at, end, _BOUND):
                self.unfold()
                return False
            at += _HEADER_BYTES
        tag_at = self._scan(payload, at, end)
        if tag_at == 0:
            self.unfold()
            return False
        # The client gets its answer first: what comes of it is written down while it reads.
        self._relay.sink.pass_on(payload)
        self._finish(payload, tag_at, end - 7, payload[end - 1])
        return True

    def _scan(self, payload: bytes, at: int, end: int) -> int:
        """Where the tag stands if, from ``at``, there are just rows, the tag, and a ReadyForQuery; else 0."""
        # Rows are described for a query, and for a portal when that was asked.
        optional = self._bound is None
        described = optional or self._described
        rows = 0
        size = 0
        while end - at >= _HEADER_BYTES:
            code = payload[at]
            length = length_at(payload, at + 1)
            after = at + 1 + length
            if length < 4 or after > end:
                return 0
            if code == _ROW:
                if described and not optional:
                    return 0
                rows += 1
                size += after - at
            elif code == _COMPLETE:
                if (described and not optional) or not is_ready(payload, after, end):
                    return 0
                if not is_string(payload, at + _HEADER_BYTES, after):
                    return 0
                self._rows = rows
                self._size_bytes = size
                return at + _HEADER_BYTES
            elif not described or rows or (code != _ROWS and code != _NO_ROWS):
                return 0
            else:
                described = False
            at = after
        return 0

    def _finish(self, payload: bytes, tag_at: int, tag_end: int, status: int) -> None:
        """As ``Replies`` at the end of such an exchange. The tag stands from ``tag_at`` to ``tag_end``."""
        replies, running, reading = self._replies, self._running, self._reading
        self.taken = False
        changed = 0
        ends = reading is not None and reading.ends_transaction
        if payload[tag_at] != _SELECT:
            changed = messages.count_changed_in(payload, tag_at, tag_end)
        portal = None
        bound = self._bound is not None
        if not bound:
            # Its end is told with the ReadyForQuery, after what the transaction took with it.
            replies.become_ready(status)
            if self._statements.known:
                self._statements.known.pop("", None)
            self._replace_portal(None)
        else:
            if status != _IDLE and not ends:
                # Inside a transaction the portal stays.
                portal = self._make_portal(self._make_running() if running is None else running)
            if self._parsed is not None:
                self._statements.known[""] = self._parsed
                self._parsed = None
            self._bound = self._prepared = None
            self._replace_portal(portal)
            if ends:
                replies.forget_portals()
        if running is None:
            if portal is not None and portal.running is not None:
                portal.running.begun = portal.running.over = True
            self._precedents.ended(self._rows, changed, self._size_bytes, payload, tag_at, tag_end)
        else:
            self._running = None
            running.rows = self._rows
            running.size_bytes = self._size_bytes
            running.tag = messages.decode(payload[tag_at:tag_end])
            running.changed = changed
            replies.end(running)
        if bound:
            replies.become_ready(status)

    def _make_running(self) -> Running:
        """What asking would have made of the statement that is under way."""
        reading = self._reading
        if reading is None:
            raise Misuse("nothing is under way on the short way")
        return new_running(self._number, reading)

    def _make_portal(self, running: Running) -> Portal:
        prepared = self._prepared
        if prepared is None:
            raise Misuse("nothing was bound on the short way")
        portal = new_portal("", prepared, self._bound)
        portal.running = running
        return portal

    def _replace_portal(self, portal: Portal | None) -> None:
        known = self._portals.known
        before = known.pop("", None) if known else None
        if before is not None and before.running is not None:
            self._replies.end(before.running)
        if portal is not None:
            known[""] = portal

    # --- back to the long way

    def unfold(self) -> None:
        """What is under way here goes on message by message, as if it had been asked about and sent so."""
        if self.asked:
            self._unfold_asked()
        if not self.taken:
            return
        self.taken = False
        replies, statements, portals = self._replies, self._statements, self._portals
        running, parsed, batch = self._running, self._parsed, self._batch
        self._running = self._parsed = None
        if running is None:
            running = self._make_running()
            replies.proceeding[running.number] = running
        if self._bound is None:
            forgotten = statements.ask("", None, batch) if statements.may_hold("") else None
            destroyed = portals.ask("", None, batch) if portals.may_hold("") else None
            replies.expect(Awaited("Q", running, forgotten, destroyed))
            return
        portal = self._make_portal(running)
        self._bound = self._prepared = None
        if parsed is not None:
            replies.expect(Awaited("P", None, statements.ask("", parsed, batch)))
        replies.expect(Awaited("B", None, None, portals.ask("", portal, batch)))
        if self._described:
            replies.expect(Awaited("D"))
        replies.expect(Awaited("E", running))
        replies.expect(Awaited("S"))

    def _unfold_asked(self) -> None:
        running, prepared, bound = self._running, self._prepared, self._bound
        if running is None:
            raise Misuse("nothing was asked about on the short way")
        self.asked = False
        self._running = None
        payload, self._payload = self._payload, b""
        if prepared is None or bound is None:
            text = payload[_HEADER_BYTES:-1].decode("ascii")
            self._relay.start(self._scripts.go_on_with_query(payload, text, running, None))
            return
        self._bound = self._prepared = None
        end = 1 + length_at(payload, 1)
        self._go_on(payload, None, new_portal("", prepared, bound), running, None, 0, end)
