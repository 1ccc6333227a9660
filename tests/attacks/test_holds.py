"""A held statement runs once, as it was shown, for who still waits for it, or not at all."""

import json
import threading
import time

from tests.attacks.conftest import Scene
from tests.attacks.wire import FLUSH, SYNC, Wire, bind, execute, parse, query, run, wire

ALL = "delete from orders where true returning id"


def test_an_approved_statement_runs_once(scene: Scene, writing: Wire) -> None:
    writing.query("begin")
    writing.send(parse(ALL, "d"), bind("d", "p"), FLUSH)
    held = writing.read_held()
    assert "300 of 300 rows" in held.held
    assert scene.approve(held.request)
    assert writing.ask(execute("p"), SYNC).tags == ["DELETE 300"]
    writing.send(execute("p"), SYNC)
    again = writing.read_held()
    assert again.held
    assert again.request != held.request
    assert writing.withdraw().errors == ["57014"]
    assert writing.query("rollback").tags == ["ROLLBACK"]


def test_an_approval_does_not_reach_other_values(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        writing.query("begin")
        writing.send(parse("delete from orders where $1::bool", "d"), bind("d", "p", ["f"]), FLUSH)
        assert scene.approve(writing.read_held().request)
        writing.send(bind("d", "q", ["t"]), FLUSH)
        assert "300 of 300 rows" in writing.read_held().held
        writing.cancel()
        writing.ask(SYNC)
        assert writing.query("rollback").status == "I"


def test_nobody_waits_any_more(scene: Scene) -> None:
    with scene.unchanged():
        with wire(scene.variables("writer")) as session:
            session.send(query("delete from orders"))
            request = session.read_held().request
        for _ in range(3):
            time.sleep(0.3)
            assert not scene.approve(request)


def test_a_cut_session_does_not_run_it(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        writing.send(query("delete from orders"))
        request = writing.read_held().request
        scene.stack.run(scene.lead, "cut", scene.session_of_writer(), "--reason", "test")
        assert writing.read().over
        assert not scene.approve(request)


def test_approve_and_cancel_at_once(scene: Scene, writing: Wire) -> None:
    """Either it ran and says so, or it did not and says so."""
    writing.send(query("delete from orders"))
    request = writing.read_held().request
    approving = threading.Thread(target=scene.approve, args=(request,))
    approving.start()
    time.sleep(0.35)
    answers = writing.withdraw()
    approving.join()
    left = scene.count()
    scene.mend()
    assert (answers.tags, answers.errors, left) in [(["DELETE 300"], [], 0), ([], ["57014"], 300)]
    assert answers.status == "I"


def test_two_held_statements_in_one_pipeline_are_asked_about_one_by_one(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        writing.send(query("begin"), query("delete from orders"), query("truncate kept"), query("commit"))
        assert writing.read().tags == ["BEGIN"]
        first = writing.read_held()
        assert scene.approve(first.request)
        assert writing.read().tags == ["DELETE 300"]
        second = writing.read_held()
        assert second.request != first.request
        scene.deny(second.request)
        answers = writing.read(2)
        assert answers.errors == ["42501"]
        assert (answers.tags, answers.status) == (["ROLLBACK"], "I")


def test_what_was_changed_is_recorded_with_its_text_and_values(scene: Scene) -> None:
    with wire(scene.variables("writer")) as session:
        (row,) = session.query("select pg_backend_pid()").rows
        assert row[0]
        insert = parse("insert into kept values ($1, $2)")
        assert session.ask(insert, bind("", "", ["7", "seven"]), execute(), SYNC).tags == ["INSERT 0 1"]
        session.ask(query("prepare i as insert into kept values (8, $1)"), query("execute i('eight')"), ready=2)
        session.ask(run("begin"), run("insert into kept values (9)"), run("commit"), SYNC)
        mine = scene.session_of_writer()
    scene.mend()
    until = time.monotonic() + 10
    while not (records := _records(scene, mine)) or records[-1]["type"] != "close":
        assert time.monotonic() < until
        time.sleep(0.3)
    said = [(one["text"], one["parameters"]) for one in records if one["type"] == "statement"]
    for expected in (
        ("insert into kept values ($1, $2)", ["7", "seven"]),
        ("execute i('eight')", []),
        ("insert into kept values (9)", []),
    ):
        assert expected in said
    numbers = {one["number"] for one in records if one["type"] == "statement" and one["effect"] == "allow"}
    assert numbers == {one["number"] for one in records if one["type"] == "outcome"}


def _records(scene: Scene, session: str) -> list[dict[str, object]]:
    printed = scene.stack.run(scene.auditor, "replay", session, "--json", check=False).stdout
    found = json.loads(printed or "[]")
    return found if isinstance(found, list) else []  # while it is still live, that is what is said
