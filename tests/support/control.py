"""A control plane small enough to hold in the hand: the port of the same name over one line of JSON for each call.

``ControlDesk`` is the server, in the test's process; ``DeskLink`` the port's implementation, in the worker's. The test
changes what the desk knows and the feed tells it; it can make the desk silent, deaf, or say what a desk never should.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from interlock.domain.codec import from_plain, to_plain
from interlock.domain.snapshot import HeldRequest, PolicyText, Snapshot
from interlock.errors import Failure, Refusal
from interlock.ports.control import (
    HoldOpened,
    HoldOpening,
    KeptSegment,
    PassTaken,
    PasswordHolder,
    RecordingStanding,
    SegmentReport,
    SessionCount,
    SessionEnd,
    SessionStart,
    Wanted,
)
from tests.support.ports import free_port


class ControlDesk:
    def __init__(self, policy: PolicyText, *, lease_s: float = 5.0) -> None:
        self.snapshot = Snapshot(version=1, at=datetime.now(UTC), policy=policy)
        self.lease_s = lease_s
        self.beating = True
        self.losing = False
        """Changes happen and are never told, as if their messages were lost."""
        self.greeting = True
        """A worker that opens the feed gets its snapshot. One that asks before waits."""
        self.answering = True
        self.clock_off = timedelta(0)
        self.passwords: dict[str, PasswordHolder] = {}
        self.passes: dict[str, PassTaken] = {}
        """By the login and the resource; each is good once."""
        self.wanted: list[Wanted] = []
        self.starts: dict[str, SessionStart] = {}
        self.ends: dict[str, SessionEnd] = {}
        self.counts: dict[str, SessionCount] = {}
        self.keys: dict[str, bytes] = {}
        self.kept: dict[str, list[KeptSegment]] = {}
        self.taking_reports = True
        self.applied: list[int] = []
        """Up to where workers said that they have applied what they were told."""
        self.left: list[AbstractSet[str]] = []
        """For each worker that said that it leaves, which sessions had not ended for all that was known here."""
        self.holds: dict[str, HoldOpening] = {}
        self.taken: list[str] = []
        self.withdrawn: dict[str, str] = {}
        self.watched: dict[str, list[Mapping[str, Any]]] = {}
        self.watch_ended: set[str] = set()
        self.refuse_first_report = False
        self.refused_segments: set[str] = set()
        self._refused: set[str] = set()
        self.snapshots_sent = 0
        self.port = free_port()
        self._feeds: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._beats: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "ControlDesk":
        await self.open()
        self._beats = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._beats is not None:
            self._beats.cancel()
        self.shut()

    async def open(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**26)
        self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Be gone, with every connection."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._connections):
            writer.transport.abort()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.clock_off

    # What a test changes

    def put(self, where: str, key: str, row: object) -> None:
        self._change({**getattr(self.snapshot, where), key: row}, where, {"put": {where: {key: to_plain(row)}}})

    def drop(self, where: str, key: str) -> None:
        rows = {name: row for name, row in getattr(self.snapshot, where).items() if name != key}
        self._change(rows, where, {"drop": {where: [key]}})

    def change_policy(self, policy: PolicyText) -> None:
        before = self.snapshot.version
        self.snapshot = replace(self.snapshot, policy=policy, version=before + 1)
        self._tell(before, {"policy": to_plain(policy)})

    def decide(self, request: str, state: str, sentence: str = "") -> None:
        self.put("held", request, HeldRequest(request, state, sentence))

    def say(self, message: Mapping[str, Any]) -> None:
        """Put a message into every feed."""
        for writer in tuple(self._feeds):
            writer.write(json.dumps(message).encode() + b"\n")

    def ask_watch(self, session: str, ticket: str) -> None:
        self.watched[ticket] = []
        self.say({"type": "watch", "session": session, "ticket": ticket})

    def _change(self, rows: Mapping[str, Any], where: str, said: Mapping[str, Any]) -> None:
        before = self.snapshot.version
        changed: dict[str, Any] = {where: rows}
        self.snapshot = replace(self.snapshot, version=before + 1, **changed)
        self._tell(before, said)

    def _tell(self, after: int, said: Mapping[str, Any]) -> None:
        """The change from the version ``after`` to the one that is known now."""
        if not self.losing:
            at = to_plain(self.now())
            self.say({"type": "change", "after": after, "version": self.snapshot.version, "at": at, **said})

    # The calls

    async def take_password(self, password: str, resource: str, address: str) -> PasswordHolder:
        holder = self.passwords.pop(f"{password}@{resource}", None)
        if holder is None:
            raise Refusal("bad-password", "This password does not exist.")
        return holder

    async def take_pass(self, wanted: Wanted) -> PassTaken:
        self.wanted.append(wanted)
        taken = self.passes.pop(f"{wanted.login}@{wanted.resource}", None)
        if taken is None:
            raise Refusal("presence-needed", "Nobody is there.", f"Type: interlock connect {wanted.resource}")
        return taken

    async def report(
        self,
        starts: list[SessionStart],
        ends: list[SessionEnd],
        counts: list[SessionCount],
        kept: list[SegmentReport],
    ) -> list[RecordingStanding]:
        if self.refuse_first_report and not self._refused and starts:
            self._refused.add(starts[0].id)
        if self._refused & ({start.id for start in starts} | {end.id for end in ends}):
            raise Refusal("not-yours", "One of them belongs to another gateway.")
        self.counts.update({count.id: count for count in counts})
        self.starts.update({start.id: start for start in starts})
        for start in starts:
            self.keys.setdefault(start.id, secrets.token_bytes(32))
        for report in kept:
            if report.session in self.refused_segments:
                raise Refusal("other-segments", "They are not taken.")
            known = self.kept.setdefault(report.session, [])
            head = known[-1].digest if known else ""
            if (report.first, report.previous) != (len(known) + 1, head):
                raise Refusal("other-segments", "They do not follow on what is known.")
            known += report.segments
        self.ends.update({end.id: end for end in ends if end.id in self.starts})
        return [self._standing(start.id) for start in starts]

    def _standing(self, session: str) -> RecordingStanding:
        known = self.kept.get(session, [])
        head, records = (known[-1].digest, known[-1].records) if known else ("", 0)
        closed = session in self.ends
        return RecordingStanding(session, None if closed else self.keys[session], len(known), head, records, closed)

    async def open_hold(self, opening: HoldOpening) -> HoldOpened:
        if opening.session not in self.starts:
            raise Refusal("session-over", "There is no such session.")
        request = f"r-{secrets.token_hex(4)}"
        self.holds[request] = opening
        self.put("held", request, HeldRequest(request, "open"))
        return HoldOpened(
            request, f"digest of {request}", "one of lead@example.com", self.now() + timedelta(minutes=10)
        )

    async def take_hold(self, request: str, digest: str) -> None:
        held = self.snapshot.held.get(request)
        if held is None or held.state != "approved" or digest != f"digest of {request}" or request in self.taken:
            raise Refusal("not-approved", f"{request} is not approved.")
        self.taken.append(request)
        self.drop("held", request)

    async def withdraw_hold(self, request: str, reason: str) -> None:
        self.withdrawn[request] = reason
        if request in self.snapshot.held:
            self.decide(request, "withdrawn", f"It was withdrawn: {reason}.")

    async def take_watched(self, ticket: str, records: list[dict[str, Any]], ended: bool) -> bool:
        if ticket not in self.watched:
            return False
        self.watched[ticket].extend(records)
        if ended:
            self.watch_ended.add(ticket)
        return True

    # The wire

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while line := await reader.readline():
                call = json.loads(line)
                if call["name"] == "feed":
                    while not self.greeting:  # noqa: ASYNC110 -- a test's switch
                        await asyncio.sleep(0.01)
                    self._feeds.add(writer)
                    self.snapshots_sent += 1
                    snapshot = to_plain(replace(self.snapshot, at=self.now()))
                    first = {"type": "snapshot", "lease_s": self.lease_s, "snapshot": snapshot}
                    writer.write(json.dumps(first).encode() + b"\n")
                    continue
                while not self.answering:  # noqa: ASYNC110 -- a test's switch
                    await asyncio.sleep(0.01)
                writer.write(json.dumps(await self._answer(call)).encode() + b"\n")
        except ConnectionError:
            pass
        finally:
            self._feeds.discard(writer)
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, call: Mapping[str, Any]) -> Mapping[str, Any]:
        given = call["given"]
        try:
            answer: object = None
            match call["name"]:
                case "take_password":
                    answer = await self.take_password(*given)
                case "take_pass":
                    answer = await self.take_pass(from_plain(Wanted, given[0]))
                case "report":
                    while not self.taking_reports:  # noqa: ASYNC110 -- a test's switch
                        await asyncio.sleep(0.01)
                    answer = await self.report(
                        [from_plain(SessionStart, one) for one in given[0]],
                        [from_plain(SessionEnd, one) for one in given[1]],
                        [from_plain(SessionCount, one) for one in given[2]],
                        [from_plain(SegmentReport, one) for one in given[3]],
                    )
                    if given[4] is not None:
                        self.applied.append(given[4])
                case "leave":
                    self.left.append(self.starts.keys() - self.ends.keys())
                case "open_hold":
                    answer = await self.open_hold(from_plain(HoldOpening, given[0]))
                case "take_hold":
                    await self.take_hold(*given)
                case "withdraw_hold":
                    await self.withdraw_hold(*given)
                case "watched":
                    answer = await self.take_watched(*given)
                case name:
                    raise ValueError(name)
        except Refusal as refusal:
            return {"refusal": [refusal.code, refusal.sentence, refusal.remedy]}
        return {"answer": to_plain(answer)}

    async def _beat(self) -> None:
        while True:
            if self.beating:
                self.say({"type": "beat", "version": self.snapshot.version, "at": to_plain(self.now())})
            await asyncio.sleep(self.lease_s / 5)


class DeskLink:
    """The port :class:`~interlock.ports.control.ControlPlane` towards a desk. One connection for each call."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def feed(self) -> AsyncIterator[Mapping[str, Any]]:
        reader, writer = await self._open("feed", [])
        try:
            while line := await reader.readline():
                yield json.loads(line)
        except ConnectionError as error:
            raise Failure("The desk is gone.") from error
        finally:
            writer.close()

    async def take_password(self, password: str, resource: str, address: str) -> PasswordHolder:
        return from_plain(PasswordHolder, await self._call("take_password", password, resource, address))

    async def take_pass(self, wanted: Wanted) -> PassTaken:
        return from_plain(PassTaken, await self._call("take_pass", wanted))

    async def report(
        self,
        starts: Sequence[SessionStart],
        ends: Sequence[SessionEnd],
        counts: Sequence[SessionCount] = (),
        kept: Sequence[SegmentReport] = (),
        applied: int | None = None,
    ) -> Sequence[RecordingStanding]:
        answer = await self._call("report", list(starts), list(ends), list(counts), list(kept), applied)
        return from_plain(tuple[RecordingStanding, ...], answer)

    async def leave(self) -> None:
        await self._call("leave")

    async def open_hold(self, opening: HoldOpening) -> HoldOpened:
        return from_plain(HoldOpened, await self._call("open_hold", opening))

    async def take_hold(self, request: str, digest: str) -> None:
        await self._call("take_hold", request, digest)

    async def withdraw_hold(self, request: str, reason: str) -> None:
        await self._call("withdraw_hold", request, reason)

    async def watched(self, ticket: str, records: Sequence[Mapping[str, Any]], *, ended: bool) -> bool:
        return bool(await self._call("watched", ticket, list(records), ended))

    async def _call(self, name: str, *given: object) -> Any:
        reader, writer = await self._open(name, [to_plain(one) for one in given])
        try:
            # Not ``wait_for``, which swallows a cancellation that comes together with the line.
            async with asyncio.timeout(2.0):
                line = await reader.readline()
        except (OSError, TimeoutError) as error:
            raise Failure("The desk does not answer.") from error
        finally:
            writer.close()
        if not line:
            raise Failure("The desk is gone.")
        said = json.loads(line)
        if "refusal" in said:
            raise Refusal(*said["refusal"])
        return said["answer"]

    async def _open(self, name: str, given: list[Any]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**26)
        except OSError as error:
            raise Failure("The desk cannot be reached.") from error
        writer.write(json.dumps({"name": name, "given": given}).encode() + b"\n")
        try:
            with suppress(ConnectionError):
                await writer.drain()
        except asyncio.CancelledError:
            writer.close()
            raise
        return reader, writer
