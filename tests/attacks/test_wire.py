"""Messages that no driver sends, and whether what is answered is true."""

import struct

import pytest

from interlock.protocols.postgres import messages
from tests.attacks.conftest import Scene
from tests.attacks.wire import SYNC, Wire, bind, close_statement, execute, parse, query, run

DENIED = "do $$ begin delete from orders; end $$"


@pytest.mark.parametrize(
    ("parts", "codes", "errors"),
    [
        ((bind("nope"), SYNC), "EZ", ["26000"]),
        ((execute("nope"), SYNC), "EZ", ["34000"]),
        ((parse(DENIED, "x"), messages.describe(b"S", "x"), bind("x"), messages.describe(b"P", ""), SYNC), "1EZ", []),
        ((parse("select 1", "a"), close_statement("a"), parse(DENIED, "a"), bind("a"), SYNC), "131EZ", []),
        ((run("select 1"), run(DENIED), run("select 2"), SYNC), "12DC1EZ", []),
        ((run("select 1/0"), run(DENIED), SYNC), "1EZ", ["22012"]),
        ((run("insert into kept values (1)"), run(DENIED), SYNC), "12C1EZ", []),
        ((messages.frame(b"F", struct.pack("!iHHH", 1, 0, 0, 0)),), "EZ", []),
        ((messages.frame(b"d", b"delete from orders"), messages.COPY_DONE, query("select 1")), "DCZ", None),
        ((messages.frame(b"Q", b"select 1\0; delete from orders\0"),), "EZ", ["08P01"]),
        ((messages.frame(b"Q", b"select '\xff'\0"),), "EZ", []),
        ((messages.frame(b"Q", b"select '\xbf\\'; delete from orders; --'\0"),), "EZ", []),
        ((messages.frame(b"Q", b"select '\xc0\xa7; delete from orders; --'\0"),), "EZ", []),
        ((messages.frame(b"Q", b"select '\xed\xa0\x80'\0"),), "EZ", []),
        ((query("insert into kept values (1); " + DENIED),), "EZ", []),
        (
            (parse("select generate_series(1, 3)"), bind(), execute("", 1), execute(), execute(), SYNC),
            "12DsDDCCZ",
            None,
        ),
    ],
)
def test_the_session_goes_on(
    scene: Scene, writing: Wire, parts: tuple[bytes, ...], codes: str, errors: list[str] | None
) -> None:
    """``errors`` empty: refused with 42501; None: no error at all."""
    with scene.unchanged():
        answers = writing.ask(*parts)
        assert answers.codes == codes
        assert answers.errors == ([] if errors is None else errors or ["42501"])
        assert answers.status == "I"
        assert writing.query("select 1").rows == [(b"1",)]


@pytest.mark.parametrize(
    "raw",
    [
        b"Q\0\0\0\3",
        b"Q\xff\xff\xff\xff",
        b"Q\x7f\xff\xff\xff",
        b"?\0\0\0\4",
        b"p\0\0\0\4",
        messages.frame(b"P", b"\0select 1\0delete from orders\0\0\0"),
        messages.frame(b"B", b"\0\0\0\1"),
        messages.frame(b"C", b"X\0"),
    ],
)
def test_the_session_ends_with_a_sentence(scene: Scene, writing: Wire, raw: bytes) -> None:
    with scene.unchanged():
        answers = writing.ask(raw, SYNC)
        assert answers.over
        assert answers.errors == ["08P01"]


def test_other_messages_inside_a_copy(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        answers = writing.ask(query("copy kept (id) from stdin"), query("delete from orders"), SYNC, ready=2)
        assert (answers.codes, answers.errors) == ("GEZZ", ["57014"])
        answers = writing.ask(query("copy kept (id) from stdin"), parse("delete from orders"), bind(), SYNC, ready=2)
        assert (answers.codes, answers.errors) == ("GEZEZ", ["57014", "26000"])


def test_the_transaction_state_is_told_as_it_is(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        said = [
            (answers.status, answers.errors)
            for text in (DENIED, "begin", DENIED, DENIED, "select 1", "rollback", "select 1")
            for answers in (writing.query(text),)
        ]
        denied = ["42501"]
        assert said == [
            ("I", denied),
            ("T", []),
            ("E", denied),
            ("E", denied),
            ("E", ["25P02"]),
            ("I", []),
            ("I", []),
        ]


def test_a_refusal_fails_the_transaction_of_a_pipeline(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        answers = writing.ask(
            *(run("begin"), run("insert into kept values (1)"), run(DENIED), run("select 1"), SYNC),
            *(run("select 1"), SYNC, run("commit"), SYNC),
            ready=3,
        )
        assert answers.codes == "12C12C1EZEZ12CZ"
        assert answers.errors == ["42501", "25P02"]
        assert answers.tags == ["BEGIN", "INSERT 0 1", "ROLLBACK"]
