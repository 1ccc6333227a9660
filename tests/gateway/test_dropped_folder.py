"""A protocol is one folder: dropped where discovery looks, it is listened for, decided, held, recorded and cut.

The worker is a process of its own that knows nothing of the toy but the folder.
"""

import shutil
from pathlib import Path

import pytest

import interlock.protocols
import tests.toy
from interlock.app.discovery import find_protocols
from interlock.errors import Failure
from tests.gateway.world import Gate, ToyClient, outer_worker, surroundings, until


async def test_the_toy_is_decided_fenced_held_recorded_and_cut(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as gate, outer_worker(gate):
        gate.store.values.update({f"a{n}": "1" for n in range(5)} | {"b1": "1"})
        gate.lend("writer")
        client = await gate.enter()
        assert await client.ask("get a1") == "+1"
        assert (await client.ask("format disk")).startswith("-execute on things is not allowed")
        assert await client.ask("set b* 2") == "+set 1"
        await _fenced(gate, client)
        await _denied(gate, client)
        await _approved(gate, client)
        gate.desk.drop("grants", "g-1")
        assert await client.line() == "*Interlock ended this session: the grant g-1 (writer) has ended."
        assert await client.line() == ""
        (session,) = gate.desk.starts
        records = await gate.recording(session)
        assert gate.desk.ends[session].why == "the grant g-1 (writer) has ended"
    assert [record["effect"] for record in records if record["type"] == "statement"] == [
        "allow", "deny", "allow", "allow", "hold", "hold",
    ]  # fmt: skip
    assert [record["effect"] for record in records if record["type"] == "released"] == ["allow", "deny", "allow"]
    assert records[-1]["type"] == "close"


async def _fenced(gate: Gate, client: ToyClient) -> None:
    told = await client.ask("set a* 2")
    assert "set changed 5 rows in key a*, more than the fence lets through" in told
    (request,) = gate.desk.holds
    gate.desk.decide(request, "approved")
    assert await client.line() == "+set 5"
    assert gate.desk.taken == [request]
    assert gate.store.values["a1"] == "2"


async def _denied(gate: Gate, client: ToyClient) -> None:
    told = await client.ask("drop a*")
    *_, request = gate.desk.holds
    assert told == (
        f"!held: request {request} · drop would change 5 of 6 rows in key a* · waiting for one of lead@example.com; "
        "Ctrl-C withdraws"
    )
    gate.desk.decide(request, "denied", "lead@example.com denied it: not on a Friday.")
    assert await client.line() == f"-{request}: lead@example.com denied it: not on a Friday. It did not run."
    assert "a1" in gate.store.values


async def _approved(gate: Gate, client: ToyClient) -> None:
    await client.ask("drop b*")
    *_, request = gate.desk.holds
    assert gate.desk.holds[request].text == "drop b*"
    gate.desk.decide(request, "approved")
    assert await client.line() == "+dropped 1"
    assert gate.store.lines.count("drop b*") == 1


def test_a_malformed_folder_stops_the_start_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interlock.protocols, "__path__", list(interlock.protocols.__path__))
    broken = tmp_path / "broken_toy"
    shutil.copytree(Path(tests.toy.__file__).parent, broken, ignore=shutil.ignore_patterns("__pycache__"))
    text = (broken / "__init__.py").read_text()
    (broken / "__init__.py").write_text(text.replace("PROTOCOL = ToyAdapter()", "PROTOCOL = ToyAdapter"))
    with pytest.raises(Failure, match="exports a class"):
        find_protocols([tmp_path])


async def test_a_worker_does_not_start_with_a_malformed_folder(tmp_path: Path) -> None:
    folder = tmp_path / "protocols" / "half"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("PROTOCOL = None\n")
    async with surroundings(tmp_path) as gate:
        with pytest.raises(AssertionError, match="exports nothing"):
            async with outer_worker(gate):
                pass
        await until(lambda: not gate.desk.starts)
