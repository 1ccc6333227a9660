"""The SQL prompt in the browser: the gateway's rules hold there, and what psql would run on our host is not known."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from websockets.exceptions import ConnectionClosed

from tests.attacks.conftest import Scene
from tests.ssh.test_terminal import Visit, until_said
from tests.support.websocket import Socket


def test_the_prompt_in_the_browser_is_a_client_like_any_other(scene: Scene) -> None:
    visit = Visit(scene, scene.reader)
    with scene.unchanged(), visit.socket("shop") as socket:
        socket.send(json.dumps({"token": visit.token(), "columns": 80, "rows": 24}))
        until_said(socket, "shop=> ")
        socket.send(b"select count(*) from orders;\r")
        assert "300" in until_said(socket, "SELECT 1")
        until_said(socket, "=> ")
        socket.send(b"select E'\\x1b]0;title\\x07' as acts;\r")
        assert "\\x1b]0;title\\x07" in until_said(socket, "SELECT 1")
        until_said(socket, "=> ")
        socket.send(b"delete from orders where id = 1;\r")
        assert "is not allowed" in until_said(socket, "is not allowed")
        until_said(socket, "=> ")
        for word in (b"\\! touch /tmp/out", b"\\o |sh", b"\\copy orders from program 'id'", b"\\i /etc/passwd"):
            socket.send(word + b"\r")
            assert "is not known here" in until_said(socket, "=> ")
        socket.send(b"\\q\r")


def test_what_is_pasted_runs_in_its_order_and_whole(scene: Scene) -> None:
    with _prompt(scene) as socket:
        socket.send(b"select 'fir' || 'st', pg_sleep(0.2);\rselect 'sec' || 'ond';\rselect 'thi' ||\r'rd';\r")
        said = _until_answers(socket, 3)
        assert said.index("first") < said.index("second") < said.index("third")
        # A letter that two messages share, and a tab in a text.
        letter = "é".encode()
        socket.send(b"select length('\t" + letter[:1])
        socket.send(letter[1:] + b"'), 'a\tb' = 'a' || chr(9) || 'b' as same;\r")
        assert "2      | t" in until_said(socket, "SELECT 1")


def test_ctrl_c_stops_what_runs_and_throws_away_what_waits(scene: Scene) -> None:
    with scene.unchanged(), _prompt(scene) as socket:
        socket.send(b"select pg_sleep(100);\rselect 'never' || 'ran';\r")
        until_said(socket, "pg_sleep(100);\r\n")
        said = ""
        while "canceling statement" not in said:
            socket.send(b"\x03")
            said += until_said(socket, "=> ")
        socket.send(b"\x1b\x03select 'after' || 'wards';\r")
        said += until_said(socket, "afterwards")
        assert "neverran" not in said


def test_a_part_of_what_is_too_long_is_not_run_for_the_whole(scene: Scene) -> None:
    for long in (b"select 'r' || 'an' /* " + b"x" * 70_000 + b" */;\rselect 'r' || 'an';\r", b"select 1\r" * 130_000):
        with _prompt(scene) as socket:
            with suppress(ConnectionClosed):
                for at in range(0, len(long), 16384):
                    socket.send(long[at : at + 16384])
            said = until_said(socket, "so this terminal ends")
            assert "\r\n ran" not in said
            with pytest.raises(ConnectionClosed):
                until_said(socket, "what nobody says")


def test_long_answers_are_shown_in_part_and_a_reader_that_leaves_ends_its_session(scene: Scene) -> None:
    visit = Visit(scene, scene.reader)
    with _prompt(scene, visit) as socket:
        socket.send(b"select repeat('x', 3000000) from generate_series(1, 20);\r")
        said = until_said(socket, "SELECT 20")
        assert said.count("x…") == 20
        assert len(said) < 20_000
        until_said(socket, "=> ")
        assert "/live/s-" in visit.get("/live").text
        socket.send(b"select repeat('x', 200) from generate_series(1, 3000000);\r")
        until_said(socket, "xxx")
    over = time.monotonic() + 30
    while "/live/s-" in visit.get("/live").text:
        assert time.monotonic() < over, "a session without its terminal"
        time.sleep(0.2)


def test_a_first_word_that_is_no_word_is_answered(scene: Scene) -> None:
    visit = Visit(scene, scene.reader)
    own = {"token": visit.token(), "columns": True, "rows": 10**30, "presence": "\ud800"}
    strange = (b"\x00", "[]", "[" * 900, '{"token": "\\ud800"}', '{"token": ["x"]}', "x" * 60_000)
    for word in strange:
        with visit.socket("shop") as socket:
            socket.send(word)
            assert "was not opened by a page of yours" in until_said(socket, "Open it again.")
    with visit.socket("shop") as socket:
        socket.send(json.dumps(own))
        until_said(socket, "shop=> ")


def test_twenty_sockets_that_say_nothing_leave_room_for_others(scene: Scene) -> None:
    visit = Visit(scene, scene.reader)
    with ExitStack() as held:
        silent = [held.enter_context(visit.socket("shop")) for _ in range(20)]
        for socket in silent[4:]:
            assert "which is the most." in until_said(socket, "which is the most.")
        with _prompt(scene, Visit(scene, scene.writer)):
            pass
    with _prompt(scene, visit):
        pass


def test_a_person_has_four_terminals_and_takes_nobody_elses(scene: Scene) -> None:
    visit, other = Visit(scene, scene.reader), Visit(scene, scene.writer)
    with ExitStack() as held:
        for _ in range(4):
            _open(visit, held)
        with visit.socket("shop") as fifth:
            assert "You have 4 terminals open here, which is the most." in until_said(fifth, "the most.")
            with pytest.raises(ConnectionClosed):
                until_said(fifth, "what nobody says")
        # Another browser of the same person is the same person; another person is not.
        with Visit(scene, scene.reader).socket("shop") as fifth:
            until_said(fifth, "which is the most.")
        _open(other, held)
    # Those that are closed count no more, nor does one that never said whose page it is.
    with visit.socket("shop") as forged:
        forged.send(json.dumps({"token": "not ours"}))
        assert "was not opened by a page of yours" in until_said(forged, "Open it again.")
    with ExitStack() as held:
        for _ in range(4):
            _open(visit, held)


@contextmanager
def _prompt(scene: Scene, visit: Visit | None = None) -> Iterator[Socket]:
    with ExitStack() as held:
        yield _open(visit or Visit(scene, scene.reader), held)


def _until_answers(socket: Socket, count: int) -> str:
    said = ""
    while said.count("SELECT 1\r\n") < count:
        said += until_said(socket, "=> ")
    return said


def _open(visit: Visit, held: ExitStack) -> Socket:
    """A terminal that is at its prompt. One that was closed a moment ago may be counted yet."""
    over = time.monotonic() + 20
    while True:
        socket = held.enter_context(visit.socket("shop"))
        socket.send(json.dumps({"token": visit.token(), "columns": 80, "rows": 24}))
        try:
            until_said(socket, "shop=> ")
        except ConnectionClosed:
            assert time.monotonic() < over, "no terminal in time"
            time.sleep(0.2)
        else:
            return socket
