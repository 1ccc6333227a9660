"""Message by message through an open session: the common case of each, in which there is nothing to wait for.

How the pieces fit is told in :mod:`interlock.protocols.postgres.relay`; every other case is a script of
:mod:`interlock.protocols.postgres.scripts`.
"""

from collections.abc import Callable

from interlock.ports.protocol import Proceed
from interlock.protocols.postgres import fence, messages
from interlock.protocols.postgres.framer import Piece, Run
from interlock.protocols.postgres.names import Portal, Prepared, new_portal
from interlock.protocols.postgres.reading import Reader
from interlock.protocols.postgres.relay import DENIED, EXPECTED_LIMIT, Relay, Script, Wait
from interlock.protocols.postgres.replies import Awaited
from interlock.protocols.postgres.reported import Reported
from interlock.protocols.postgres.scripts import Scripts, is_free, why_unusable

_DESCRIBED = Awaited("D")
_QUERY, _PARSE, _BIND, _EXECUTE, _DESCRIBE, _CLOSE, _SYNC, _FLUSH, _TERMINATE, _CALL = b"QPBEDCSHXF"
_COPY_ENDS = b"cf"


class Steady:
    """The client's side of an open session. ``terminate`` is called when the client says that it is done."""

    def __init__(self, relay: Relay, reader: Reader, reported: Reported, terminate: Callable[[], None]) -> None:
        self._relay = relay
        self._replies = relay.replies
        self._reader = reader
        self._terminate = terminate
        self.scripts = Scripts(relay, reader, reported)
        self._script_of: dict[int, Callable[[bytes], Script]] = {
            _QUERY: self.scripts.query,
            _PARSE: self.scripts.parse,
            _BIND: self.scripts.bind,
            _EXECUTE: self.scripts.execute,
            _CALL: self.scripts.call_function,
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
        elif self._replies.skipping or code in _COPY_ENDS:
            return
        elif code == _FLUSH:
            self._relay.upstream.append(messages.FLUSH)
        elif code == _DESCRIBE:
            self._describe(piece.raw)
        elif code == _CLOSE:
            self._close(piece.raw)
        elif not self._at_once(code, piece.raw):
            self._relay.start(self._script_of[code](piece.raw))

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
        if not self._relay.is_settled():
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
        verdict = relay.ask_text(running, text)
        if isinstance(verdict, Proceed) and is_free(verdict, running.classified):
            relay.send_query(raw, running)
        else:
            relay.start(self.scripts.go_on_with_query(raw, text, running, verdict))
        return True

    def _parse_at_once(self, raw: bytes) -> bool:
        relay = self._relay
        parsed = messages.read_parse(raw)
        reading = self._reader.find(parsed.text, relay.admission.read_only)
        if reading is None or why_unusable(parsed.name) is not None:
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
        if why_unusable(bound.portal) is not None or why_unusable(bound.statement) is not None:
            return False
        portal = new_portal(bound.portal, found, bound)
        running = relay.number(portal.prepared.reading)
        verdict = relay.ask_portal(running, portal)
        if isinstance(verdict, Proceed) and is_free(verdict, running.classified):
            relay.send_bind(raw, portal, running, None)
        else:
            relay.start(self.scripts.go_on_with_bind(raw, portal, running, verdict))
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

    def _describe(self, raw: bytes) -> None:
        _, name = messages.read_named(raw, "Describe")
        if (unusable := why_unusable(name)) is not None:
            self._relay.refuse(DENIED, unusable, query=False)
            return
        self._relay.send(raw, _DESCRIBED)

    def _close(self, raw: bytes) -> None:
        relay = self._relay
        kind, name = messages.read_named(raw, "Close")
        if (unusable := why_unusable(name)) is not None:
            relay.refuse(DENIED, unusable, query=False)
        elif kind == b"S":
            relay.send(raw, Awaited("C", statement=self._replies.statements.ask(name, None, relay.batch)))
        else:
            relay.send(raw, Awaited("C", portal=self._replies.portals.ask(name, None, relay.batch)))


def _wait_for_room() -> Script:
    yield Wait.ROOM
