"""The machine in the middle changes nothing: a client hears what it would hear from the server itself.

The one exception is meant: what is refused fails at its place, with Interlock's sentence, as if the server had.
"""

from hypothesis import given, settings

from interlock.domain.decisions import Fence
from interlock.ports.protocol import Proceed, Refused, Verdict
from interlock.ports.statement import Statement
from interlock.protocols.postgres import messages
from tests.protocols.postgres.dialogues import Talk, commands, plans, shape
from tests.protocols.postgres.playbook import SENTENCE, ScriptedServer, refuse_no, split

_END = [messages.COPY_DONE, messages.SYNC, messages.SYNC]


@settings(max_examples=200, deadline=None)
@given(sent=commands, plan=plans)
def test_answers_are_those_of_the_server(sent: list[bytes], plan: list[tuple[int, bool, int]]) -> None:
    stream = b"".join([*sent, *_END])
    talk = Talk.start()
    talk.hold_dialogue(stream, plan)
    assert shape(talk.book.take_client()) == shape(ScriptedServer().receive(stream))
    talk.machine.client_bytes(messages.TERMINATE)
    assert talk.book.proceeded == set(talk.book.finished)


@settings(max_examples=200, deadline=None)
@given(sent=commands, plan=plans)
def test_verdicts_that_come_later_change_nothing(sent: list[bytes], plan: list[tuple[int, bool, int]]) -> None:
    stream = b"".join([*sent, *_END])
    talk = Talk.start()
    waiting: list[tuple[int, Proceed | Refused]] = []

    def later(statement: Statement) -> Verdict | None:
        verdict = refuse_no(statement)
        if isinstance(verdict, Proceed | Refused):
            waiting.append((len(talk.book.asked), verdict))
        return None

    def answer() -> bool:
        if not waiting:
            return False
        number, verdict = waiting.pop(0)
        if isinstance(verdict, Proceed):
            talk.book.proceeded.add(number)
        talk.machine.decided(number, verdict)
        return True

    talk.book.rule = later
    talk.hold_dialogue(stream, plan, answer)
    assert shape(talk.book.take_client()) == shape(ScriptedServer().receive(stream))


@settings(max_examples=200, deadline=None)
@given(sent=commands, plan=plans)
def test_fences_are_not_seen(sent: list[bytes], plan: list[tuple[int, bool, int]]) -> None:
    """Within the fence nothing differs; past it a statement that is approved runs as if nothing had happened."""
    stream = b"".join([*sent, *_END])
    talk = Talk.start()
    decided: set[int] = set()

    def fence(statement: Statement) -> Verdict | None:
        verdict = refuse_no(statement)
        fenced = isinstance(verdict, Proceed) and statement.text.startswith("UPDATE")
        return Proceed((Fence(10),)) if fenced else verdict

    def answer() -> bool:
        for number, impact in talk.book.held.items():
            if number not in decided:
                decided.add(number)
                assert impact.over_fence == 50
                denied = "denied" in talk.book.asked[number].text
                talk.machine.decided(number, Refused(SENTENCE) if denied else Proceed())
                return True
        return False

    talk.book.rule = fence
    talk.hold_dialogue(stream, plan, answer)
    assert shape(talk.book.take_client()) == shape(ScriptedServer(denies=True).receive(stream))
    talk.machine.client_bytes(messages.TERMINATE)
    assert talk.book.proceeded == set(talk.book.finished)


@settings(max_examples=200, deadline=None)
@given(sent=commands, plan=plans)
def test_nothing_refused_goes_upstream(sent: list[bytes], plan: list[tuple[int, bool, int]]) -> None:
    """A Parse goes up before it is decided on, and is only read there; no Query and no Bind of it ever does."""
    talk = Talk.start()
    talk.hold_dialogue(b"".join([*sent, *_END]), plan)
    texts: dict[str, str] = {}
    for code, body in split(bytes(talk.sent)):
        raw = code + (len(body) + 4).to_bytes(4, "big") + body
        if code == b"Q":
            assert messages.read_query(raw) != "SELECT 1 AS no"
        elif code == b"P":
            parsed = messages.read_parse(raw)
            if not parsed.name:
                texts[parsed.name] = parsed.text
        elif code == b"B":
            assert texts.get(messages.read_bind(raw).statement) != "SELECT 1 AS no"
