"""The ledger of a running system, in the hands of an outsider, and of somebody who has the database."""

import asyncio
import json
import time
from pathlib import Path

import asyncpg

from interlock.store.connecting import driver_url
from tests.support.stack import Member, Stack


def _published(stack: Stack, boss: Member, size: int) -> None:
    for _ in range(100):
        if stack.ask(boss, "ledger", "checkpoint")["size"] >= size:
            return
        time.sleep(0.05)
    raise TimeoutError


def test_a_copy_and_a_proof_are_verified_without_the_server(stack: Stack, boss: Member, tmp_path: Path) -> None:
    newest = stack.ask(boss, "ledger", "show", "--last", "1")[-1]["position"]
    _published(stack, boss, newest)
    key, old, copy, proof = (str(tmp_path / name) for name in ("key", "old", "copy", "entry.tlog-proof"))
    Path(key).write_text(stack.run(boss, "ledger", "key").stdout)
    stack.run(boss, "ledger", "checkpoint", "--out", old)
    assert stack.ask(boss, "ledger", "export", copy)["size"] >= newest
    stack.run(boss, "ledger", "show", "2", "--proof", proof)
    recordings = str(stack.data / "recordings")
    for words in (
        (copy, "--from", old, "--recordings", recordings),
        (str(stack.data / "ledger"), "--from", old),
        (copy, "--resume", str(tmp_path / "progress")),
        (proof,),
    ):
        found = json.loads(stack.run(None, "ledger", "verify", *words, "--key", key, "--json").stdout)
        assert found["holds"] is True
    both = stack.ask(boss, "ledger", "verify", "--from", old)
    assert both["count"] >= both["size"] >= newest

    forged = Path(proof).read_text().replace("index 1\n", "index 2\n")
    Path(proof).write_text(forged)
    refused = stack.run(None, "ledger", "verify", proof, "--key", key, check=False)
    assert refused.returncode == 1
    assert "does not prove anything" in refused.stderr
    nobodys = stack.run(None, "ledger", "verify", copy, check=False)
    assert "Whose ledger is it?" in nobodys.stderr


def test_who_may_not_read_the_ledger_gets_no_tile(stack: Stack, ann: Member, tmp_path: Path) -> None:
    for words in (("export", str(tmp_path / "copy")), ("checkpoint",), ("verify",), ("show", "1", "--proof", "x")):
        refused = stack.run(ann, "ledger", *words, check=False)
        assert refused.returncode == 1
        assert "may not read the ledger" in refused.stderr


def test_an_entry_rewritten_in_the_database_with_links_that_fit_is_named(stack: Stack, boss: Member) -> None:
    """The owner of the database rewrites the newest entry and its link: the chain alone would not show it."""
    last = stack.ask(boss, "ledger", "show", "--last", "1")[-1]["position"]
    _published(stack, boss, last)
    address = json.loads((stack.data / "keys" / "state.json").read_text())

    async def run(*statements: str) -> None:
        connection = await asyncpg.connect(driver_url(address["owner_url"]))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    kept = f"CREATE TABLE interlock.kept AS SELECT * FROM interlock.ledger WHERE position = {last}"
    forge = f"""UPDATE interlock.ledger SET actor = 'nobody', body = forged.body,
        link = sha256(forged.before || forged.body)
        FROM (SELECT convert_to(regexp_replace(convert_from(l.body, 'UTF8'), '"actor":"[^"]*"', '"actor":"nobody"'),
                     'UTF8') AS body, p.link AS before
              FROM interlock.ledger l JOIN interlock.ledger p ON p.position = l.position - 1
              WHERE l.position = {last}) AS forged WHERE position = {last}"""
    mend = f"""UPDATE interlock.ledger l SET actor = k.actor, body = k.body, link = k.link
        FROM interlock.kept k WHERE l.position = k.position AND l.position = {last}"""
    off, on = (f"ALTER TABLE interlock.ledger {word} TRIGGER only_grows" for word in ("DISABLE", "ENABLE ALWAYS"))
    asyncio.run(run(kept, off, forge))
    try:
        found = stack.run(boss, "ledger", "verify", "--json", check=False)
        assert found.returncode == 1
        assert json.loads(found.stdout)["entry"] == last
        assert "not the one that was published" in json.loads(found.stdout)["reason"]
    finally:
        asyncio.run(run(mend, on, "DROP TABLE interlock.kept"))
    stack.run(boss, "ledger", "verify")


def test_a_report_names_its_entries(stack: Stack, boss: Member, tmp_path: Path) -> None:
    found = stack.ask(boss, "report", "person", boss.name)
    assert found["rows"]
    assert stack.ask(boss, "ledger", "show", found["rows"][0]["ledger entry"])["position"] > 0
    for name in ("access.csv", "access.html"):
        stack.run(boss, "report", "access", "--out", str(tmp_path / name))
        assert "Who could do what" in (tmp_path / name).read_text()
    stack.run(boss, "report", "separation", "--out", str(tmp_path / "separation.pdf"))
    assert (tmp_path / "separation.pdf").read_bytes().startswith(b"%PDF-")
    assert stack.ask(boss, "report", "separation", "--from", "2090-01-01")["rows"] == []
    for words, code, said in (
        (("person", "nobody"), 1, "No entry of the ledger names nobody."),
        (("access", "--at", "2090-01-01"), 1, "2090-01-01 has not come yet"),
        (("separation", "--from", "2026-02-01", "--until", "2026-01-01"), 2, "--from is not before --until"),
    ):
        refused = stack.run(boss, "report", *words, "--out", str(tmp_path / "none.csv"), check=False)
        assert (refused.returncode, said in refused.stderr) == (code, True), refused.stderr
    assert not (tmp_path / "none.csv").exists()
    between = ("--since", "2026-02-01", "--until", "2026-01-01")
    refused = stack.run(boss, "ledger", "search", "orders", *between, check=False)
    assert (refused.returncode, "--since is not before --until" in refused.stderr) == (2, True)
