"""A clerk, of whom a column is masked, through the whole of Interlock and with the real psql."""

import os
import re
import subprocess
import time
from pathlib import Path

from interlock.app.psql import find_psql
from tests.attacks.conftest import ROWS, Scene


def _psql(scene: Scene, *commands: str) -> str:
    environment = {**os.environ, **scene.stack.variables(scene.auditor, "shop"), "PSQL_PAGER": "cat"}
    words = [str(find_psql()), "-X", *(word for command in commands for word in ("-c", command))]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout + done.stderr


def test_psql_shows_what_it_may_and_stars_for_the_rest(scene: Scene) -> None:
    shown = _psql(
        scene, "select * from orders where id < 3 order by id", r"\d orders", r"\dt", "select count(*) from orders"
    )
    assert " id | note \n----+------\n  1 | ***\n  2 | ***\n(2 rows)" in shown
    assert 'Table "public.orders"' in shown
    assert re.search(r"public \| orders +\| table", shown)
    assert f"{ROWS}\n" in shown
    assert "old" not in shown.replace("'old'", "")
    assert "masked" not in shown


def test_psql_is_told_what_may_not_be_done_with_it(scene: Scene, tmp_path: Path) -> None:
    said = _psql(
        scene,
        "select id from orders where note like 'o%'",
        r"\copy orders to '" + str(tmp_path / "orders") + "'",
        "select o from orders o",
        "explain select note from orders",
    )
    assert "ERROR:  public.orders.note is masked for you: the outermost SELECT may show it, as it is" in said
    assert "so only SELECT, INSERT, UPDATE and DELETE go through, one at a time: no COPY" in said
    assert "o may mean a whole row here" in said
    assert "no EXPLAIN" in said
    assert not (tmp_path / "orders").exists() or not (tmp_path / "orders").read_text()


def test_the_recording_says_what_was_refused(scene: Scene) -> None:
    _psql(scene, "select upper(note) from orders /* seldom */")
    until = time.monotonic() + 60
    while "seldom" not in (records := _recorded(scene)):
        assert time.monotonic() < until, "the recording does not show"
    assert "not run: public.orders.note is masked for you" in records


def _recorded(scene: Scene) -> str:
    """What is there by now of the auditor's sessions. It is told of, and stored, a moment after."""
    mine = [str(one["id"]) for one in scene.stack.ask(scene.auditor, "sessions") if one["person"] == scene.auditor.name]
    return "".join(scene.stack.run(scene.auditor, "replay", one, "--json", check=False).stdout for one in mine)
