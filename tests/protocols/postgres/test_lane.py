"""The short way through an open session differs from the long one in nothing but time.

Each dialogue is held with machines that differ in how its bytes come: whole (the short way, where it may be taken),
the client's in two pieces (the long way), the server's in two pieces (begun on the short way, ended on the long one);
and in whether the gateway lets statements follow precedents.
"""

from collections.abc import Callable, Collection
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.domain.decisions import Fence
from interlock.errors import PeerError
from interlock.ports.protocol import Proceed, Refused, Verdict
from interlock.ports.statement import Statement
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.session import PostgresMachine
from tests.protocols.postgres.dialogues import TEXTS, single
from tests.protocols.postgres.playbook import Playbook, ScriptedServer, open_session, refuse_no

Cut = Callable[[bytes], list[bytes]]


def _whole(stream: bytes) -> list[bytes]:
    return [stream]


def _in_two(stream: bytes) -> list[bytes]:
    return [stream[:1], stream[1:]]


def _late(stream: bytes) -> list[bytes]:
    return [stream[:-1], stream[-1:]]


Way = tuple[Cut, Cut, bool]

WAYS: list[Way] = [
    (cut_client, cut_server, precedents)
    for precedents in (False, True)
    for cut_client, cut_server in [(_whole, _whole), (_in_two, _in_two), (_whole, _in_two), (_whole, _late)]
]
SHORT: list[tuple[Cut, bool]] = [(_whole, False), (_whole, True)]


def run(statement: str, *, parse: str | None = None, described: bool = True) -> bytes:
    """What a driver sends for a statement with values."""
    said = b"" if parse is None else messages.parse(statement, parse)
    said += messages.bind("", statement, messages.bind_tail(["7"]))
    said += messages.describe(b"P", "") if described else b""
    return said + messages.execute("") + messages.SYNC


texts = st.sampled_from(TEXTS)
exchanges = st.one_of(
    st.builds(messages.query, texts),
    st.builds(lambda text, described: run("", parse=text, described=described), texts, st.booleans()),
    st.builds(lambda described: run("", described=described), st.booleans()),
    st.builds(lambda text: messages.parse("a", text) + messages.SYNC, texts),
    st.builds(lambda described: run("a", described=described), st.booleans()),
    st.lists(single, min_size=1, max_size=3).map(b"".join),
)


def hold(
    chunks: list[bytes],
    way: Way,
    rule: Callable[[Statement], Verdict | None],
    *,
    late: bool = False,
    cancels: Collection[int] = (),
) -> dict[str, Any]:
    """All that came of the dialogue, on either side and at the gateway. ``late``: verdicts are not there at once.

    The client cancels behind the chunks that ``cancels`` names, before anything is answered: too late for this server.
    """
    cut_client, cut_server, precedents = way
    book = Playbook(rule=(lambda _: None) if late else rule, precedents=precedents)
    machine, server = open_session(book), ScriptedServer()
    sent = bytearray()
    told = 0
    for number, chunk in enumerate([*chunks, messages.COPY_DONE + messages.SYNC]):
        for piece in cut_client(chunk):
            machine.client_bytes(piece)
        if number in cancels:
            machine.interrupted()
        while (upstream := book.take_upstream()) or (late and told < len(book.asked)):
            sent += upstream
            if upstream:
                for piece in cut_server(server.receive(upstream)):
                    machine.upstream_bytes(piece)
            else:
                told = _tell_next(book, machine, rule, told)
    said = book.take_client()
    machine.client_bytes(messages.TERMINATE)
    return {
        "sent": bytes(sent),
        "said": said,
        "asked": {number: (one, one.effect) for number, one in book.asked.items()},
        "finished": [(number, repr(one)) for number, one in book.finished.items()],
        "held": book.held,
        "calls": book.calls,
        "asides": len(book.asides),
    }


def _tell_next(book: Playbook, machine: PostgresMachine, rule: Callable[[Statement], Verdict | None], told: int) -> int:
    """The verdict on what was asked first and not told yet."""
    number = list(book.asked)[told]
    verdict = rule(book.asked[number])
    assert isinstance(verdict, Proceed | Refused)
    if isinstance(verdict, Proceed):
        book.proceeded.add(number)
    machine.decided(number, verdict)
    return told + 1


def _fenced(statement: Statement) -> Verdict | None:
    verdict = refuse_no(statement)
    return Proceed((Fence(100),)) if isinstance(verdict, Proceed) and statement.text.startswith("UPDATE") else verdict


@settings(max_examples=150, deadline=None)
@given(
    chunks=st.lists(exchanges, min_size=1, max_size=8),
    fenced=st.booleans(),
    late=st.booleans(),
    cancels=st.sets(st.integers(0, 7), max_size=2),
)
def test_every_way_comes_to_the_same(chunks: list[bytes], fenced: bool, late: bool, cancels: set[int]) -> None:
    rule = _fenced if fenced else refuse_no
    first, *others = [hold(chunks, way, rule, late=late, cancels=cancels) for way in WAYS]
    for other in others:
        assert other == first


def test_a_cancellation_that_came_too_late_is_none_of_the_next_statement() -> None:
    update = messages.query("UPDATE orders SET n = 1")
    talks = [hold([update, update, update], way, _fenced, cancels={1}) for way in WAYS]
    assert all(talk == talks[0] for talk in talks)
    assert b"57014" not in talks[0]["said"]
    assert len(talks[0]["finished"]) == 3


def test_a_cancellation_that_came_too_late_is_none_of_the_commit() -> None:
    """The COMMIT waits for its record when the next statement comes, and goes all the same."""
    commit, after = messages.query("COMMIT"), messages.query("SELECT 3 AS rows")

    def talk(cut: Cut) -> tuple[bytes, bytes]:
        book = Playbook(rule=_fenced)
        machine, server = open_session(book), ScriptedServer()
        for chunk in [messages.query("BEGIN"), commit, after, messages.query("BEGIN")]:
            machine.client_bytes(chunk)
            machine.upstream_bytes(server.receive(book.take_upstream()))
        machine.client_bytes(messages.query("UPDATE orders SET n = 1"))
        machine.interrupted()
        while upstream := book.take_upstream():
            machine.upstream_bytes(server.receive(upstream))
        book.rule = lambda _: None
        for piece in cut(commit):
            machine.client_bytes(piece)
        number = max(book.asked)
        machine.client_bytes(after)
        book.proceeded.add(number)
        machine.decided(number, Proceed())
        return book.take_upstream(), book.take_client()

    sent, said = talk(_whole)
    assert sent == commit
    assert (sent, said) == talk(_in_two)


@settings(max_examples=150, deadline=None)
@given(chunks=st.lists(exchanges, min_size=1, max_size=6), late=st.booleans())
def test_a_client_that_does_not_wait_is_answered_as_one_by_one(chunks: list[bytes], late: bool) -> None:
    """The second statement comes while the first is on the short way, or asked about."""

    def talk(cut: Cut, precedents: bool = False) -> tuple[bytes, dict[int, str]]:
        book = Playbook(rule=(lambda _: None) if late else refuse_no, precedents=precedents)
        machine, server = open_session(book), ScriptedServer()
        told = 0
        for chunk in [*chunks, messages.COPY_DONE + messages.SYNC]:
            for piece in cut(chunk):
                machine.client_bytes(piece)
        while (upstream := book.take_upstream()) or (late and told < len(book.asked)):
            if upstream:
                machine.upstream_bytes(server.receive(upstream))
            else:
                told = _tell_next(book, machine, refuse_no, told)
        return book.take_client(), {number: repr(one) for number, one in book.finished.items()}

    assert [talk(*way) for way in SHORT] == [talk(_in_two)] * 2


ENDS: dict[str, Callable[[PostgresMachine], None]] = {
    "the client leaves": lambda machine: machine.client_closed(),
    "the client cancels": lambda machine: machine.interrupted(),
    "the session is cut": lambda machine: machine.ending("It is over."),
    "the server leaves": lambda machine: machine.upstream_closed("it broke"),
    "the gateway tells something": lambda machine: machine.told("A word."),
    "the client says goodbye": lambda machine: machine.client_bytes(messages.TERMINATE),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("statement", [messages.query("SELECT 3 AS rows"), run("", parse="SELECT 3 AS rows"), run("a")])
def test_what_happens_in_the_middle_is_the_same_either_way(statement: bytes, late: bool, end: str) -> None:
    """While the answer is awaited, or the verdict: which comes afterwards, as it may."""

    def talk(cut: Cut, precedents: bool = False) -> tuple[object, ...]:
        book = Playbook(precedents=precedents)
        machine, server = open_session(book), ScriptedServer()
        machine.client_bytes(messages.parse("a", "SELECT 3 AS rows") + messages.SYNC)
        machine.upstream_bytes(server.receive(book.take_upstream()))
        if late:
            book.rule = lambda _: None
        for piece in cut(statement):
            machine.client_bytes(piece)
        sent = book.take_upstream()
        ENDS[end](machine)
        if late:
            _tell_next(book, machine, refuse_no, 0)
        machine.upstream_bytes(server.receive(sent))
        said = (book.take_client(), book.take_upstream(), book.calls, len(book.asides))
        return (*said, {number: repr(one) for number, one in book.finished.items()})

    assert [talk(*way) for way in SHORT] == [talk(_in_two)] * 2


@pytest.mark.parametrize("spoil", [Proceed((Fence(100),)), Refused("No.")])
@pytest.mark.parametrize("statement", [messages.query("COMMIT"), run("a")])
def test_a_late_verdict_lets_only_its_own_statement_through(statement: bytes, spoil: Proceed | Refused) -> None:
    def talk(cut: Cut) -> tuple[object, ...]:
        book = Playbook()
        machine, server = open_session(book), ScriptedServer()
        machine.client_bytes(messages.parse("a", "COMMIT") + messages.SYNC)
        machine.upstream_bytes(server.receive(book.take_upstream()))
        machine.client_bytes(messages.query("BEGIN"))
        machine.upstream_bytes(server.receive(book.take_upstream()))
        book.rule = lambda _: None
        for piece in cut(statement):
            machine.client_bytes(piece)
        (number,) = set(book.asked) - book.proceeded
        machine.decided(number - 1, Proceed())
        machine.decided(number + 1, Proceed())
        assert not book.take_upstream()
        book.proceeded |= {number} if isinstance(spoil, Proceed) else set()
        machine.decided(number, spoil)
        sent = book.take_upstream()
        machine.decided(number, Proceed())
        assert not book.take_upstream()
        return sent, book.take_client()

    assert talk(_whole) == talk(_in_two)


def test_a_portal_of_the_short_way_is_one_that_the_long_way_knows() -> None:
    """Inside a transaction the portal stays: executing it once more is decided anew."""
    begin = messages.query("BEGIN")
    again = messages.execute("") + messages.SYNC
    first, other = (hold([begin, run("", parse="SELECT 3 AS rows"), again], way, refuse_no) for way in WAYS[:2])
    assert first == other
    assert [number for number in (1, 2, 3, 4) if number in first["asked"]] == [1, 2, 3]


def test_a_precedent_is_followed_where_there_is_one() -> None:
    """Or the rest of this file would show nothing."""
    asked = [messages.query("SELECT 3 AS rows"), run("", parse="SELECT 3 AS rows"), run("")]
    book = Playbook(precedents=True)
    machine, server = open_session(book), ScriptedServer()
    for chunk in [*asked, *asked]:
        machine.client_bytes(chunk)
        machine.upstream_bytes(server.receive(book.take_upstream()))
    # The first time a text comes it is read on the long way, unless another test has sent it before.
    assert book.followed >= len(asked)
    assert len(book.finished) == 2 * len(asked)


def test_a_name_that_interlock_keeps_to_itself_is_refused_on_both_ways() -> None:
    statement = run("__interlock_a")
    first, other = (hold([statement], way, refuse_no) for way in WAYS[:2])
    assert first == other
    assert not first["asked"]


@pytest.mark.parametrize("again", [run(""), messages.execute("") + messages.SYNC])
def test_a_query_takes_the_unnamed_statement_and_portal_away_on_both_ways(again: bytes) -> None:
    """Outside a transaction the portal is gone anyway; inside it is the query that destroys it."""
    parsed, query = run("", parse="SELECT 3 AS rows"), messages.query("SELECT 3 AS rows")
    for begin in ([], [messages.query("BEGIN")]):
        # The first time a text comes it is read on the long way.
        talks = [hold([query, *begin, parsed, query, again], way, refuse_no) for way in WAYS]
        assert all(talk == talks[0] for talk in talks)
        assert len(talks[0]["asked"]) == 3 + len(begin)


@pytest.mark.parametrize(
    "spoilt",
    [
        b"P\0\0\0\4",
        b"P\xff\xff\xff\xff",
        b"B\0\0\0\4",
        b"B\xff\xff\xff\xff",
        b"Q\0\0\0\4",
        b"Q\xff\xff\xff\xff",
        messages.parse("", "SELECT 3 AS rows")[:-1] + b"\1",
        messages.bind("", "", b"\0\1") + messages.execute("") + messages.SYNC,
        messages.bind("", "", b"\xff\xff\0\0\0\0") + messages.execute("") + messages.SYNC,
        messages.bind("", "", b"\0\0\0\1\x7f\xff\xff\xff\0\0") + messages.execute("") + messages.SYNC,
        messages.query("SELECT 3 AS rows\0; DROP TABLE t"),
    ],
)
def test_what_cannot_be_a_message_is_refused_alike(spoilt: bytes) -> None:
    def talk(cut: Cut, precedents: bool = False) -> tuple[object, ...]:
        book = Playbook(precedents=precedents)
        machine, server = open_session(book), ScriptedServer()
        machine.client_bytes(messages.parse("", "SELECT 3 AS rows") + messages.SYNC)
        machine.upstream_bytes(server.receive(book.take_upstream()))
        why = ""
        for piece in cut(spoilt):
            try:
                machine.client_bytes(piece)
            except PeerError as error:
                why = error.sentence
        return book.take_client(), book.take_upstream(), why, len(book.asked)

    assert [talk(*way) for way in SHORT] == [talk(_in_two)] * 2


def test_what_one_session_parsed_serves_another_and_each_is_asked_about() -> None:
    chunk = run("", parse="SELECT 3 AS rows")
    for _ in range(2):
        talks = [hold([messages.query("SELECT 3 AS rows"), chunk, chunk], way, refuse_no) for way in WAYS]
        assert all(talk == talks[0] for talk in talks)
        assert len(talks[0]["asked"]) == 3
