"""Random bytes, truncations and mutations at both sides of PostgreSQL's machine, outside the ordinary test run.

    python -m tests.fuzz.fuzz_framer --cases 100000 [--seed N]

Each case opens a session, holds a random dialogue with a scripted server, and spoils bytes of one side on the way.
Whatever comes: nothing is raised but PeerError, nothing of a refused or undecided statement goes upstream, what goes
upstream is always whole messages, and every statement that proceeded is finished exactly once.
"""

import argparse
import random
import sys
from dataclasses import dataclass

from interlock.errors import PeerError
from interlock.ports.protocol import Proceed, Refused, Verdict
from interlock.ports.statement import Statement
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.session import PostgresMachine
from tests.protocols.postgres.dialogues import NAMES, TEXTS, check_framing
from tests.protocols.postgres.playbook import READER, SENTENCE, Playbook, ScriptedServer, open_session, split, startup

_NO_VALUES = b"\0\0\0\0\0\0"


@dataclass
class Counts:
    cases: int = 0
    broken: int = 0
    asked: int = 0
    sent_bytes: int = 0


def draw_message(dice: random.Random) -> bytes:
    """One message that a client may send."""
    name, text = dice.choice(NAMES), dice.choice(TEXTS)
    if dice.randrange(2):
        whole = messages.parse("", text) + messages.bind(name, "", _NO_VALUES) + messages.execute(name)
        return dice.choice((messages.query(text), whole, whole + messages.SYNC))
    return dice.choice(
        (
            messages.query(text),
            messages.parse(name, text),
            messages.bind(name, dice.choice(NAMES), _NO_VALUES),
            messages.describe(dice.choice((b"S", b"P")), name),
            messages.execute(name, dice.choice((0, 1))),
            messages.close(dice.choice((b"S", b"P")), name),
            messages.SYNC,
            messages.FLUSH,
            messages.frame(b"d", dice.randbytes(dice.randrange(9))),
            messages.COPY_DONE,
            messages.copy_fail("stopped"),
            messages.TERMINATE,
            messages.frame(b"F", dice.randbytes(6)),
        )
    )


def spoil(dice: random.Random, stream: bytes) -> bytes:
    """Change, cut, insert, repeat or swap a few bytes."""
    spoiled = bytearray(stream)
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(spoiled) + 1)
        match dice.randrange(6):
            case 0 if at < len(spoiled):
                spoiled[at] = dice.randrange(256)
            case 1:
                del spoiled[at : at + dice.randrange(1, 9)]
            case 2:
                spoiled[at:at] = dice.randbytes(dice.randrange(1, 9))
            case 3:
                spoiled[at:at] = spoiled[at : at + dice.randrange(1, 20)]
            case 4 if at + 4 < len(spoiled):
                spoiled[at : at + 4] = dice.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\4"))
            case _:
                del spoiled[at:]
    return bytes(spoiled)


def run_case(seed: int, counts: Counts) -> None:
    dice = random.Random(seed)
    book = Playbook()
    refused: set[str] = set()

    def rule(statement: Statement) -> Verdict | None:
        # Only what reads as it was written may pass, so that spoiled texts are seen if they slip through.
        if statement.text in TEXTS and "no" not in statement.text.split():
            return Proceed()
        refused.add(statement.text)
        return Refused(SENTENCE)

    book.rule = rule
    counts.cases += 1
    try:
        if dice.randrange(8) == 0:
            _spoil_opening(dice, book)
        else:
            _hold_spoiled_dialogue(dice, book, counts)
    except PeerError:
        counts.broken += 1
    counts.asked += len(book.asked)


def _spoil_opening(dice: random.Random, book: Playbook) -> None:
    machine = PostgresMachine(book, READER)
    parts = [messages.SSL_REQUEST, startup(user="dev", database="orders"), messages.password(b"one-time")]
    opening = spoil(dice, dice.choice((parts[0], parts[1], b"".join(parts[1:]))))
    if dice.randrange(2):
        machine.client_bytes(parts[0])
        machine.client_secured(None)
    for at in range(0, len(opening), 7):
        machine.client_bytes(opening[at : at + 7])


def _hold_spoiled_dialogue(dice: random.Random, book: Playbook, counts: Counts) -> None:
    machine = open_session(book)
    server = ScriptedServer()
    sent = bytearray()
    stream = b"".join(draw_message(dice) for _ in range(dice.randrange(1, 10)))
    spoils_client = dice.randrange(3) > 0
    if spoils_client:
        stream = spoil(dice, stream) if dice.randrange(5) else dice.randbytes(dice.randrange(64))
    try:
        at = 0
        while at < len(stream):
            take = dice.randrange(1, 60)
            machine.client_bytes(stream[at : at + take])
            at += take
            for _ in range(20):
                up = book.take_upstream()
                sent += up
                if not up:
                    break
                answer = server.receive(up)
                if not spoils_client and dice.randrange(3) == 0:
                    answer = spoil(dice, answer)
                cut = dice.randrange(1, 40)
                for start in range(0, len(answer), cut):
                    machine.upstream_bytes(answer[start : start + cut])
        machine.client_closed()
    finally:
        sent += book.take_upstream()
        counts.sent_bytes += len(sent)
        _check(bytes(sent), book)


def _check(sent: bytes, book: Playbook) -> None:
    check_framing(sent)
    allowed = {book.asked[number].text for number in book.proceeded}
    binds = 0
    for code, body in split(sent):
        raw = code + (len(body) + 4).to_bytes(4, "big") + body
        if code == b"Q" and messages.read_query(raw) not in allowed:
            raise AssertionError(f"an undecided query went upstream: {raw!r}")
        if code == b"B" and not messages.read_bind(raw).statement.startswith("__interlock_"):
            binds += 1
    if binds > len(book.proceeded):
        raise AssertionError("more was bound upstream than was decided")
    if book.proceeded != set(book.finished):
        raise AssertionError("a statement that proceeded was not finished")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts = Counts()
    for seed in range(arguments.seed, arguments.seed + arguments.cases):
        try:
            run_case(seed, counts)
        except Exception:
            sys.stderr.write(f"case {seed} failed: python -m tests.fuzz.fuzz_framer --cases 1 --seed {seed}\n")
            raise
    sys.stdout.write(
        f"{counts.cases} cases, {counts.broken} ended as a broken peer, {counts.asked} statements asked about,"
        f" {counts.sent_bytes} bytes sent upstream: no fault\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
