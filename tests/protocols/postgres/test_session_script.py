"""The machine by script: bytes and events in, calls out, no socket anywhere."""

import pytest

from interlock.errors import PeerError
from interlock.ports.protocol import Held, PeerCertificate, Proceed, Refused
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.relay import INBOX_LIMIT
from interlock.protocols.postgres.session import PostgresMachine
from tests.protocols.postgres.playbook import (
    READER,
    SENTENCE,
    Playbook,
    ScriptedServer,
    admission,
    greet,
    open_session,
    split,
    startup,
)


def codes(stream: bytes) -> str:
    return b"".join(code for code, _ in split(stream)).decode()


def test_the_opening_step_by_step() -> None:
    book = Playbook()
    machine = PostgresMachine(book, READER)
    machine.client_bytes(messages.SSL_REQUEST)
    machine.client_secured(PeerCertificate(b"der"))
    machine.client_bytes(startup(user="dev", database="orders/other"))
    machine.admitted(admission(read_only=True))
    machine.upstream_opened()
    asked = messages.read_startup(book.take_upstream()[8:])
    assert asked["database"] == "other"
    assert asked["default_transaction_read_only"] == "on"
    assert asked["standard_conforming_strings"] == "on"
    assert asked["client_encoding"] == "UTF8"
    assert book.take_client() == b""
    machine.upstream_bytes(greet(read_only=True))
    assert codes(book.take_client()) == "RSSSSSSKZ"
    assert book.calls == [
        "secure_client b'S' b'' ('postgresql',)",
        "authenticate orders dev",
        "open_upstream",
        "established",
    ]


def test_a_reader_is_not_let_in_when_the_server_would_let_it_write() -> None:
    book = Playbook()
    machine = PostgresMachine(book, READER)
    machine.client_bytes(messages.SSL_REQUEST)
    machine.client_secured(PeerCertificate(b"der"))
    machine.client_bytes(startup(user="dev", database="orders"))
    machine.admitted(admission(read_only=True))
    machine.upstream_opened()
    with pytest.raises(PeerError):
        machine.upstream_bytes(greet())
    assert codes(book.take_client()) == "E"
    assert "established" not in book.calls


def test_bytes_after_the_servers_yes_to_tls_are_not_believed() -> None:
    book = Playbook()
    machine = PostgresMachine(book, READER)
    machine.client_bytes(messages.SSL_REQUEST)
    machine.client_secured(PeerCertificate(b"der"))
    machine.client_bytes(startup(user="dev", database="orders"))
    tls = admission()
    object.__setattr__(tls.resource, "settings", {"tls": {"mode": "verify-full"}})
    machine.admitted(tls)
    machine.upstream_opened()
    with pytest.raises(PeerError):
        machine.upstream_bytes(b"S" + greet())


def test_a_refusal_when_idle_never_reaches_the_server() -> None:
    book = Playbook()
    machine = open_session(book)
    machine.client_bytes(messages.query("SELECT 1 AS no"))
    assert book.take_upstream() == b""
    assert book.take_client() == messages.error("42501", SENTENCE) + messages.ready(ord("I"))


def test_a_nul_byte_inside_a_query_is_refused() -> None:
    book = Playbook()
    machine = open_session(book)
    machine.client_bytes(messages.frame(b"Q", b"SELECT 1\0; DROP TABLE orders\0"))
    assert codes(book.take_client()) == "EZ"
    assert book.asked == {}
    assert book.take_upstream() == b""


def test_function_calls_are_refused() -> None:
    book = Playbook()
    machine = open_session(book)
    machine.client_bytes(messages.frame(b"F", b"\0\0\0\1\0\0\0\0\0\0"))
    assert codes(book.take_client()) == "EZ"


def test_a_waiting_client_is_paused_when_it_sends_too_much() -> None:
    book = Playbook(rule=lambda statement: None)
    machine = open_session(book)
    machine.client_bytes(messages.query("SELECT 1"))
    while not book.paused:
        machine.client_bytes(messages.query("SELECT '" + "x" * 60_000 + "'"))
    assert len(book.asked) == 1
    server = ScriptedServer()
    for number in range(1, 2 + INBOX_LIMIT // 60_000):
        book.proceeded.add(number)
        machine.decided(number, Proceed())
        machine.upstream_bytes(server.receive(book.take_upstream()))
    assert not book.paused


def test_what_comes_while_a_row_is_on_its_way_waits_for_its_end() -> None:
    book = Playbook()
    machine = open_session(book)
    machine.client_bytes(messages.query("SELECT 1"))
    row = messages.frame(b"D", b"\0\1\0\0\0\4abcd")
    machine.upstream_bytes(row[:8])
    machine.told("Look.")
    assert book.take_client() == row[:8]
    machine.upstream_bytes(row[8:])
    assert book.take_client() == row[8:] + messages.notice("Look.")
    machine.upstream_bytes(row[:8])
    book.take_client()
    machine.ending("The grant has ended.")
    assert book.take_client() == b""
    assert len(book.asides) == 1
    assert book.finished[1].error == "not finished: The grant has ended."


def test_cut_while_idle() -> None:
    book = Playbook()
    machine = open_session(book)
    machine.ending("The contract has ended.")
    ((code, body),) = split(book.take_client())
    assert code == b"E"
    assert b"57P01" in body
    assert b"The contract has ended." in body
    machine.client_bytes(messages.query("SELECT 1"))
    assert book.asked == {}
    assert book.asides == []


def test_goodbye_while_held_withdraws() -> None:
    book = Playbook(rule=lambda statement: Held(measure=False))
    machine = open_session(book)
    machine.client_bytes(messages.query("DROP TABLE orders"))
    assert list(book.held) == [1]
    machine.client_bytes(messages.TERMINATE)
    assert "withdraw 1" in book.calls
    assert book.take_upstream() == messages.TERMINATE


def test_goodbye_after_a_statement_lets_it_finish() -> None:
    book = Playbook()
    machine = open_session(book)
    machine.client_bytes(messages.query("UPDATE orders SET n = 1") + messages.TERMINATE)
    assert codes(book.take_upstream()) == "Q"
    machine.upstream_bytes(messages.frame(b"C", b"UPDATE 1\0") + messages.ready(ord("I")))
    assert codes(book.take_upstream()) == "X"
    assert book.finished[1].changed == 1


def test_interrupted_while_asked() -> None:
    book = Playbook(rule=lambda statement: None)
    machine = open_session(book)
    machine.client_bytes(messages.query("UPDATE orders SET n = 1"))
    machine.interrupted()
    assert "withdraw 1" in book.calls
    book.proceeded.add(1)
    machine.decided(1, Proceed())
    assert book.take_upstream() == b""
    assert b"57014" in book.take_client()
    assert book.finished[1].error == "cancelled before it ran"


def test_a_released_statement_goes_out_once() -> None:
    book = Playbook(rule=lambda statement: Held(measure=False))
    machine = open_session(book)
    machine.client_bytes(messages.query("DROP TABLE orders"))
    book.proceeded.add(1)
    machine.decided(1, Proceed())
    machine.decided(1, Proceed())
    machine.decided(1, Refused("too late"))
    assert codes(book.take_upstream()) == "Q"


@pytest.mark.parametrize("reply", [b"Z\0\0\0\5I", b"D\0\0\0\6\0\0", b"R\0\0\0\10\0\0\0\0", b"1\0\0\0\4", b"W\0\0\0\4"])
def test_a_server_that_says_what_nobody_asked_for(reply: bytes) -> None:
    book = Playbook()
    machine = open_session(book)
    with pytest.raises(PeerError):
        machine.upstream_bytes(reply)
    assert codes(book.take_client()) == "E"
    machine.client_bytes(messages.query("SELECT 1"))
    assert book.take_upstream() == b""


def test_the_server_is_gone() -> None:
    book = Playbook()
    machine = open_session(book)
    machine.client_bytes(messages.query("UPDATE orders SET n = 1"))
    machine.upstream_closed("connection reset by peer")
    assert b"connection reset by peer" in book.take_client()
    assert "connection reset" in book.finished[1].error
    assert book.calls[-1].startswith("close ")
