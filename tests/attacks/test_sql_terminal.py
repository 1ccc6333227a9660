"""The SQL prompt in the browser: the gateway's rules hold there, and what psql would run on our host is not known."""

import json
import time
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed

from tests.attacks.conftest import Scene
from tests.ssh.test_terminal import Visit, until_said


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


def _open(visit: Visit, held: ExitStack) -> None:
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
            return
