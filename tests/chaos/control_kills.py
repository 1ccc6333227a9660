"""Kills the control plane that sequences, of two whole ones over one PostgreSQL and one store, and verifies each time.

    python -m tests.chaos.control_kills --kills 20 --store s3

What must hold after every kill: the other one sequences, each request that was acknowledged is in the published ledger
and stands there once, and the new tree continues the last one. Nothing of ours is asked but the store and the key.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from interlock.app.data_folder import DataFolder
from interlock.app.publishing import public_key_of
from interlock.ledger.audit import Trust, audit
from interlock.ledger.notes import Checkpoint, open_checkpoint
from interlock.ledger.tiles import CHECKPOINT
from interlock.ledger.verify import Broken
from interlock.store.tiles import ObjectTiles
from interlock.wire.objects import Place
from tests.support.control_planes import ControlPlanes, running_control_planes
from tests.support.objects import BUCKET, ENVIRONMENT, running_moto
from tests.support.stack import INTERLOCK, Member

_CONFIG = """\
listen: {console: "{console}"}
state: env:INTERLOCK_STATE
objects: {OBJECTS}
resources:
  shop: {kind: postgres, address: "127.0.0.1:9", credential: {user: postgres}, database: postgres}
people:
  ann@example.com: {}
  admin@example.com: {groups: [administrators]}
  lead@example.com: {groups: [dba]}
roles:
  reader:
    on: {kind: postgres}
    allow: [connect, read]
    lend: {longest: 8h, approvals: [{from: {group: dba}, count: 1}]}
"""
_WITHIN_S = 30.0


@dataclass(slots=True)
class Verdict:
    """``missing`` were acknowledged and are not published, ``double`` are there twice; ``broken`` is what `interlock
    ledger verify` said, when it did. ``slowest_s``: from the kill until something newer than it was published."""

    killed: list[str] = field(default_factory=list)
    acknowledged: int = 0
    meanwhile: int = 0
    entries: int = 0
    missing: frozenset[str] = frozenset()
    double: frozenset[str] = frozenset()
    broken: str = ""
    slowest_s: float = 0.0


@dataclass
class Asking:
    """A person who asks for access and takes it back, over and over, also while nobody answers."""

    planes: ControlPlanes
    ann: Member
    said: list[str] = field(default_factory=list)
    refused: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        words = ("request", "shop", "--role", "reader", "--for", "1h", "--reason", "meanwhile", "--json")
        while not self.stop.is_set():
            asked = self.planes.stack.run(self.ann, *words, check=False)
            if asked.returncode == 0:
                request = str(json.loads(asked.stdout)["id"])
                self.said.append(request)
                self.planes.stack.run(self.ann, "withdraw", request, check=False)
            else:
                self.refused = asked.stdout + asked.stderr
                # the answer to the one before, or to taking it back, was lost with who was killed
                if open_still := re.search(r"already: (r-\w+)", asked.stderr):
                    self.planes.stack.run(self.ann, "withdraw", open_still[1], check=False)
                time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Shop:
    """Where the ledger lies: the section ``objects``, and what who verifies it from outside needs."""

    objects: str
    place: Place
    environment: Mapping[str, str]


class _Run:
    def __init__(self, planes: ControlPlanes, shop: Shop) -> None:
        self.planes = planes
        self.shop = shop
        self.verdict = Verdict()
        self._key = public_key_of(DataFolder(planes.stack.data))
        self._tiles = ObjectTiles(shop.place)
        self._old = planes.stack.folder / "old-checkpoint"
        self.asking = Asking(planes, planes.stack.member("ann@example.com"))

    def go(self, kills: int) -> Verdict:
        thread = threading.Thread(target=self.asking.run, daemon=True)
        thread.start()
        try:
            self._until_asked(2)
            for number in range(kills):
                if number:
                    # what was killed last comes back, and waits for its turn
                    self.planes.start(self.verdict.killed[-1])
                if not self._kill():
                    return self.verdict
        finally:
            self.asking.stop.set()
            thread.join(60)
        self._until_published(self._head())
        self._verify()
        self._compare()
        return self.verdict

    def _kill(self) -> bool:
        """Kill the one that sequences; True when the other goes on from there, and what it publishes holds."""
        before = self._published()
        self._old.write_bytes(self._note())
        name = self.planes.sequencing()
        begun, asked = time.monotonic(), len(self.asking.said)
        self.planes.kill(name)
        self.verdict.killed.append(name)
        if self.planes.sequencing() == name:
            raise AssertionError(f"{name} is dead and sequences")
        self._until_published(before.size + 1)
        self.verdict.slowest_s = max(self.verdict.slowest_s, time.monotonic() - begun)
        self._until_asked(asked + 2)
        self.verdict.meanwhile += len(self.asking.said) - asked
        self._until_published(self._head())
        return self._verify()

    def _verify(self) -> bool:
        """As somebody does who has the key, an older checkpoint and the store, and no server."""
        words = [INTERLOCK, "ledger", "verify", self.shop.place.where, "--from", str(self._old), "--json"]
        key = self.planes.stack.data / "keys" / "ledger.vkey"
        told = subprocess.run(
            [*words, "--key", str(key)],
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.planes.stack.folder), **self.shop.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if told.returncode:
            self.verdict.broken = told.stdout + told.stderr
        return told.returncode == 0

    def _compare(self) -> None:
        opened: list[str] = []

        async def note(position: int, body: bytes) -> str:
            entry = json.loads(body)
            if entry["kind"] == "request.opened":
                opened.append(entry["event"]["request"])
            self.verdict.entries += 1
            return ""

        result = asyncio.run(audit(self._tiles, Trust(self._key), check=note))
        if isinstance(result, Broken):
            self.verdict.broken = result.reason
        self.verdict.acknowledged = len(self.asking.said)
        self.verdict.missing = frozenset(self.asking.said) - frozenset(opened)
        self.verdict.double = frozenset(one for one in opened if opened.count(one) > 1)

    def _note(self) -> bytes:
        content = asyncio.run(self._tiles.read(CHECKPOINT))
        if content is None:
            raise AssertionError("nothing is published")
        return content

    def _published(self) -> Checkpoint:
        return open_checkpoint(self._note(), self._key).checkpoint

    def _head(self) -> int:
        with psycopg.connect(self.planes.url) as connection:
            row = connection.execute("SELECT max(position) FROM interlock.ledger").fetchone()
        return int(row[0]) if row else 0

    def _until_published(self, size: int) -> None:
        _until(lambda: self._published().size >= size, f"entry {size} was not published")

    def _until_asked(self, count: int) -> None:
        _until(lambda: len(self.asking.said) >= count, "nobody takes requests")


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + _WITHIN_S
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"{otherwise} within {_WITHIN_S:.0f} s")
        time.sleep(0.05)


@contextmanager
def _shared_folder() -> Iterator[Shop]:
    with tempfile.TemporaryDirectory(prefix="interlock-shared-") as folder:
        place = f"{folder}/ledger"
        yield Shop(f'{{ledger: "file://{place}"}}', Place(f"file://{place}"), {})


@contextmanager
def _object_store() -> Iterator[Shop]:
    with tempfile.TemporaryDirectory(prefix="interlock-credentials-") as folder, running_moto() as moto:
        kept = Path(folder) / "s3"
        kept.write_text("".join(f"{name}={value}\n" for name, value in ENVIRONMENT.items()))
        place = Place(f"s3://{BUCKET}/ledger", moto.address, "us-east-1", str(kept))
        section = f'{{ledger: "{place.where}", endpoint: "{moto.address}", credentials: "file:{kept}"}}'
        yield Shop(section, place, {**ENVIRONMENT, "AWS_ENDPOINT_URL": moto.address})


STORES = {"folder": _shared_folder, "s3": _object_store}


def run(kills: int, store: str) -> Verdict:
    """Raises AssertionError when something does not come back by itself in time."""
    with (
        STORES[store]() as shop,
        running_control_planes(_CONFIG.replace("{OBJECTS}", shop.objects), {}) as planes,
    ):
        whole = _Run(planes, shop)
        try:
            return whole.go(kills)
        except AssertionError as error:
            error.add_note(f"after {whole.verdict}, who asks was last told: {whole.asking.refused}")
            for log in sorted(planes.stack.folder.glob("*.log")):
                error.add_note(f"{log.name}:\n{log.read_text()[-4000:]}")
            raise


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--store", choices=sorted(STORES), default="s3")
    chosen = parser.parse_args(arguments)
    found = run(chosen.kills, chosen.store)
    print(  # noqa: T201 -- a program's report
        f"{chosen.store}: {len(found.killed)} kills, {found.acknowledged} requests acknowledged, {found.meanwhile} of "
        f"them while one was dead, {len(found.missing)} missing, {len(found.double)} double, {found.entries} entries, "
        f"slowest takeover {found.slowest_s:.1f} s{chr(10) + found.broken if found.broken else ''}"
    )
    return 1 if found.missing or found.double or found.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
