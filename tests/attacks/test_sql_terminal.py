"""The SQL prompt in the browser: the gateway's rules hold there, and what psql would run on our host is not known."""

import json

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
