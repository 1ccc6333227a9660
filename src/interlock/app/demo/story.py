"""The story, played with psql and the commands that people type: each step says what must come back."""

import asyncio
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from interlock.app.demo.people import Actor, credentials, fresh_code
from interlock.app.demo.run import Demo
from interlock.app.demo.stage import Answer, NotAsTold, Scene, Stage, broken_story, find

_REQUEST, _GRANT = r"r-[0-9a-z]{8}", r"g-[0-9a-z]{8}"
_CUT_S = 1.0


async def tell_story(demo: Demo) -> int:
    """Play all of it; the number of steps. Raises Failure at the first step that does not go as told."""
    stage = Stage()
    story = Story(stage, demo)
    try:
        await story.tell()
    except NotAsTold as error:
        raise broken_story(error) from error
    finally:
        await stage.clear()
    return stage.steps


class Story:
    """The steps in their order. Each one leaves the world as the next expects it."""

    def __init__(self, stage: Stage, demo: Demo) -> None:
        self.stage = stage
        self.dev, self.lead, self.second, self.ops, self.mate = (
            demo.people[name] for name in ("dev", "lead", "second", "ops", "mate")
        )
        self.copy = demo.folder.root / "ledger-copy.jsonl"

    async def tell(self) -> None:
        await self.without_a_grant()
        grant = await self.asking_and_approving()
        await self.reading()
        await self.delete_of_everything()
        await self.fence()
        await self.approved_once()
        await self.recording()
        await self.grant_ends(grant)
        await self.contract_ends()
        await self.ledger()

    async def without_a_grant(self) -> None:
        self.stage.step("Without a grant there is no way in")
        answer = await self._sql(self.dev, "SELECT count(*) FROM orders")
        self._expect(answer.code != 0, "the connection is refused")
        self._expect("interlock request orders" in answer.text, "and the refusal says what to type")

    async def asking_and_approving(self) -> str:
        stage = self.stage
        stage.step("dev asks; nobody approves for themself, and nobody for their own company")
        why = "close the orders of last year"
        asked = await stage.play(self.dev, "request", "orders", "--role", "writer", "--for", "1h", "--reason", why)
        request = find(_REQUEST, asked.text)
        answer = await stage.play(self.dev, "approve", request, "--yes")
        self._expect(
            answer.code == 1 and "Nobody approves their own request" in answer.text, "self-approval is refused"
        )
        answer = await stage.play(self.mate, "approve", request, "--yes")
        self._expect(
            answer.code == 1 and "comes from acme" in answer.text, "a colleague from the same vendor is refused"
        )
        stage.step("Two others approve, one for operations and one as the sponsor")
        answer = await stage.play(self.second, "approve", request, "--yes")
        self._expect(answer.code == 0 and "1 more needed" in answer.text, "one approval is not enough")
        answer = await stage.play(self.lead, "approve", request, "--yes")
        self._expect(answer.code == 0 and "has started" in answer.text, "the second one starts the grant")
        return find(_GRANT, answer.text)

    async def reading(self) -> None:
        self.stage.step("dev works with the ordinary psql, and is there in person")
        statement = "SELECT count(*) FROM orders"
        answer = await self._sql(self.dev, statement)
        self._expect(answer.code == 1, "key, certificate and grant alone open nothing: the role asks for presence")
        self.stage.say("dev types the code that the authenticator shows, for as many connections as this work takes.")
        answer = await self.stage.play(self.dev, *_psql(statement, connections=20), more=await self._code())
        self._expect(answer.code == 0 and "10000" in answer.out, "10,000 orders are there")

    async def delete_of_everything(self) -> None:
        stage = self.stage
        stage.step("DELETE without WHERE is held, its true impact shown, and denied")
        psql = await self._begin_sql(self.dev, "DELETE FROM orders")
        request = await self._held(self.second, "DELETE FROM orders")
        shown = await stage.play(self.second, "show", request)
        self._expect("10,000 of 10,000 rows" in shown.text, "it would delete 10,000 of 10,000 rows of orders …")
        self._expect("30,000" in shown.text and "items" in shown.text, "… and with them 30,000 rows of items")
        await stage.play(self.second, "deny", request, "--reason", "that is the whole table")
        answer = await psql.answer()
        stage.show(answer)
        self._expect(
            "ERROR" in answer.text and "that is the whole table" in answer.text, "psql is told who said no, and why"
        )
        await self._expect_count("SELECT count(*) FROM items", 30000, "nothing is gone")

    async def fence(self) -> None:
        stage = self.stage
        stage.step("An UPDATE of 500 rows runs into the fence of 100")
        psql = await self._begin_sql(self.dev, "UPDATE orders SET status = 'closed' WHERE id <= 500")
        request = await self._held(self.ops, "UPDATE orders")
        shown = await stage.play(self.ops, "show", request)
        self._expect("500" in shown.text and "fence" in shown.text, "it was rolled back and held with its count")
        await stage.play(self.ops, "deny", request, "--reason", "not so many at once")
        answer = await psql.answer()
        stage.show(answer)
        self._expect("ERROR" in answer.text, "psql is told that it did not run")
        await self._expect_count("SELECT count(*) FROM orders WHERE status = 'closed'", 0, "no order has changed")
        stage.step("An UPDATE of 5 rows passes")
        answer = await self._sql(self.dev, "UPDATE orders SET status = 'closed' WHERE id <= 5")
        self._expect("UPDATE 5" in answer.out, "five orders are closed, and nobody had to wait")

    async def approved_once(self) -> None:
        stage = self.stage
        statement = "ALTER TABLE orders ADD COLUMN note text"
        stage.step("A held statement runs when somebody from elsewhere approves exactly it: once")
        psql = await self._begin_sql(self.dev, statement)
        request = await self._held(self.ops, statement)
        approved = await stage.play(self.ops, "approve", request, "--yes")
        answer = await psql.answer()
        stage.show(answer)
        self._expect(approved.code == 0 and "ALTER TABLE" in answer.out, "it ran")
        again = await self._begin_sql(self.dev, statement)
        second = await self._held(self.ops, statement)
        self._expect(second != request, f"sent again, it is held again, as {second}")
        reused = await stage.play(self.ops, "approve", request, "--yes")
        self._expect(reused.code == 1, "the old approval is used up")
        stage.say("dev presses Ctrl-C in psql.")
        again.interrupt()
        answer = await again.answer()
        stage.show(answer)
        self._expect("ERROR" in answer.text, "the statement that waited is withdrawn")

    async def recording(self) -> None:
        stage = self.stage
        stage.step("Everything was recorded")
        refused = await stage.play(self.second, "replay", await self._session_of_delete())
        self._expect(
            refused.code == 1 and "--role auditor" in refused.text, "reading it takes a role, which one asks for"
        )
        asked = await stage.play(
            self.second, "request", "orders", "--role", "auditor", "--for", "1h", "--reason", "what was that DELETE?"
        )
        await stage.play(self.lead, "approve", find(_REQUEST, asked.text), "--yes")
        session = await stage.until("the recording", self._sealed_session_of_delete)
        answer = await stage.play(self.second, "replay", session)
        self._expect("DELETE FROM orders" in answer.text, "the replay shows the statement, its impact and the no")

    async def grant_ends(self, grant: str) -> None:
        stage = self.stage
        stage.step("The grant ends while a query runs")
        psql = await self._begin_sql(self.dev, "SELECT pg_sleep(60)")
        session = await self._live(self.lead)
        ended = await stage.begin(self.lead, "end", grant, "--reason", "the work is done")
        took_s, answer = await self._cut_after(ended, psql)
        self._expect(answer.code != 0 and took_s < _CUT_S, "psql lost its connection in the middle of the query")
        cut_s = await self._cut_in_ledger(grant, session)
        self._expect(cut_s < _CUT_S, f"{cut_s * 1000:.0f} ms after the end of the grant, says the ledger")
        answer = await self._sql(self.dev, "SELECT 1")
        self._expect(answer.code != 0, "and does not get another one")

    async def contract_ends(self) -> None:
        stage = self.stage
        stage.step("The contract ends, and with it everything that rested on it")
        asked = await stage.play(
            self.dev, "request", "orders", "--role", "reader", "--for", "1h", "--reason", "look at one order"
        )
        await stage.play(self.lead, "approve", find(_REQUEST, asked.text), "--yes")
        stage.say("Another grant, another proof of presence: dev types another code.")
        psql = await stage.begin(self.dev, *_psql("SELECT pg_sleep(60)"), more=await self._code())
        await self._live(self.lead)
        ended = await stage.begin(self.lead, "contract", "end", "acme-orders", "--reason", "acme has delivered")
        took_s, answer = await self._cut_after(ended, psql)
        self._expect(answer.code != 0 and took_s < _CUT_S, "the live session is cut")
        answer = await stage.play(self.dev, "whoami")
        self._expect(answer.code == 1, "the login is gone")
        answer = await stage.play(self.dev, "login", more=await credentials(self.dev))
        self._expect(answer.code == 1 and "contract" in answer.text, "and there is no other without a contract")
        answer = await stage.play(self.second, "grants")
        self._expect("dev@acme.example" not in answer.out, "no grant is left")

    async def ledger(self) -> None:
        stage = self.stage
        stage.step("The ledger holds, and shows where a copy was changed")
        answer = await stage.play(self.second, "ledger", "verify", "--copy", str(self.copy))
        self._expect(answer.code == 0 and "holds" in answer.text, "every entry is linked to the ones before it")
        entry = _flip_one_byte(self.copy)
        stage.say(f"One byte of entry {entry} is changed in the copy.")
        answer = await stage.play(self.second, "ledger", "verify", str(self.copy))
        self._expect(answer.code == 1 and f"ntry {entry}" in answer.text, f"the verification names entry {entry}")

    async def _code(self) -> dict[str, str]:
        return {"INTERLOCK_TOTP": await fresh_code(self.dev)}

    async def _sql(self, actor: Actor, statement: str) -> Answer:
        return await self.stage.play(actor, *_psql(statement))

    async def _begin_sql(self, actor: Actor, statement: str) -> Scene:
        return await self.stage.begin(actor, *_psql(statement))

    async def _expect_count(self, statement: str, wanted: int, sentence: str) -> None:
        answer = await self.stage.quietly(self.dev, *_psql(statement))
        self._expect(answer.out.split() == [str(wanted)], sentence)

    async def _held(self, approver: Actor, statement: str) -> str:
        """The number of the request for a held statement, as the approver finds it."""

        async def look() -> str:
            for request in await self._json(approver, "requests", "--to-decide"):
                if request["kind"] == "statement" and request["content"]["text"].startswith(statement):
                    return str(request["id"])
            return ""

        return str(await self.stage.until("the hold", look))

    async def _live(self, reader: Actor) -> str:
        """The session in which something runs."""

        async def look() -> str:
            live = await self._json(reader, "sessions", "--live")
            return str(live[0]["id"]) if live else ""

        found = str(await self.stage.until("the session", look))
        # The session is known as soon as it opened; the query follows in the same breath.
        await asyncio.sleep(0.5)
        return found

    async def _session_of_delete(self) -> str:
        for request in await self._json(self.second, "requests", "--all"):
            if request["kind"] == "statement" and request["content"]["text"] == "DELETE FROM orders":
                return str(request["session"])
        return ""

    async def _sealed_session_of_delete(self) -> str:
        session = await self._session_of_delete()
        sealed = await self.stage.quietly(self.second, "replay", session)
        return session if sealed.code == 0 else ""

    async def _json(self, actor: Actor, *arguments: str) -> list[Any]:
        answer = await self.stage.quietly(actor, *arguments, "--json")
        found = json.loads(answer.out) if answer.code == 0 else []
        return found if isinstance(found, list) else []

    async def _cut_after(self, ending: Scene, psql: Scene) -> tuple[float, Answer]:
        """How long after the ending command's end psql's came, in seconds (negative: before), and what psql said."""
        ends: dict[str, float] = {}

        async def note(name: str, scene: Scene) -> Answer:
            answer = await scene.answer(20)
            ends[name] = time.monotonic()
            return answer

        ended, cut = await asyncio.gather(note("ending", ending), note("psql", psql))
        self.stage.show(ended)
        self.stage.show(cut)
        return ends["psql"] - ends["ending"], cut

    async def _cut_in_ledger(self, grant: str, session: str) -> float:
        """The seconds between the end of the grant and the end of the session, as the ledger has them."""

        async def find_close() -> list[Any]:
            entries = await self._json(self.second, "ledger", "search", session)
            return [entry for entry in entries if entry["kind"] == "session.closed"]

        closed = await self.stage.until("the end of the session in the ledger", find_close)
        entries = await self._json(self.second, "ledger", "search", grant)
        ended = [entry for entry in entries if entry["kind"] == "grant.ended"]
        if not ended:
            raise NotAsTold("the ledger does not have the end of the grant")
        closed_at = datetime.fromisoformat(closed[0]["event"]["closed_at"])
        return (closed_at - datetime.fromisoformat(ended[0]["at"])).total_seconds()

    def _expect(self, holds: bool, sentence: str) -> None:
        self.stage.hold_true(sentence, when=holds)


def _psql(statement: str, *, connections: int = 1) -> tuple[str, ...]:
    several = ("--connections", str(connections)) if connections > 1 else ()
    return ("connect", "orders", *several, "--", "-X", "-At", "-c", statement)


def _flip_one_byte(copy: Path) -> int:
    """Change one byte in the middle of the file; the number of the entry it lies in."""
    content = bytearray(copy.read_bytes())
    lines = content.split(b"\n")
    entry = len(lines) // 2
    start = sum(len(line) + 1 for line in lines[: entry - 1])
    content[start + len(lines[entry - 1]) // 2] ^= 1
    copy.write_bytes(content)
    return entry
