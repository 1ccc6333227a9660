"""Whether what is remembered is what would be found anew: over PostgreSQL's own regression tests, and variants of them.

    python -m tests.fuzz.cached_decisions [--every N] [--seed N]

Each statement, and the same with other literals, is sent again and again to sessions that share one adapter, in both
protocols, to readers and to writers, refused and let through. What is asked about it must be what an adapter asks that
has never met it nor anything of its shape, and a policy that remembers must decide it like one that does not. The
ordinary tests do this with a part of the statements.
"""

import argparse
import itertools
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from interlock.domain.actions import Need
from interlock.policy.decide import Decider, Question
from interlock.protocols.postgres import PostgresAdapter
from tests.policy.example import PAYROLL, load
from tests.support.asking import MANNERS, Asked, Asker, Manner, Seen, allow_all, asked_apart, refuse_all
from tests.support.regression_sql import shape, statements, varied

_OF_ONE_SHAPE = 3
_BATCH = 2000
_AT = datetime(2026, 12, 1, 10, tzinfo=UTC)
_ROLES = (frozenset({"reader"}), frozenset({"writer"}), frozenset({"reader", "writer"}))
_KEEPS_STATE = re.compile(
    r"\b(prepare|execute|deallocate|set|reset|discard|begin|start|commit|end|rollback|abort|savepoint|release|declare"
    r"|fetch|move|close|copy|listen|unlisten|load)\b",
    re.IGNORECASE,
)


def keeps_state(text: str) -> bool:
    """Whether ``text`` may leave something behind in its session that a fresh one has not."""
    return _KEEPS_STATE.search(text) is not None


BY_HAND = (
    "delete from orders where 1 = 1",
    "delete from orders where 1 = 2",
    "delete from orders where id = 1",
    "delete from orders where true",
    "update orders set note = 'x' where 'a' = 'a'",
    "update orders set note = 'x' where note = 'a'",
    "select set_config('search_path', 'public', false)",
    "select set_config('role', 'postgres', false)",
    "select nextval('orders_id_seq')",
    "select nextval('items_id_seq')",
    "select query_to_xml('select 1', true, true, '')",
    "select query_to_xml('delete from orders', true, true, '')",
    "select pg_read_file('a')",
    "select lo_import('/etc/passwd')",
    "copy orders to '/tmp/x'",
    "copy orders to program 'cat'",
    "copy orders to stdout",
    "set search_path to 'public'",
    "set search_path to 'pg_catalog'",
    "set session_replication_role to 'replica'",
    "set session_replication_role to 'origin'",
    "set role 'postgres'",
    "set role none",
    "set default_transaction_read_only to 'off'",
    "set default_transaction_read_only to 'on'",
    "select * from orders limit 1",
    "select * from orders limit all",
    "select * from orders for update",
    "select 'pg_authid'::regclass",
    'select * from "orders"',
    'select * from "Orders"',
    "select * from public.orders",
    "select * from payroll.orders",
    "do $$ begin delete from orders; end $$",
    "do $$ begin perform 1; end $$",
    "explain select 1",
    "explain analyze delete from orders",
    "explain (analyze false) delete from orders",
    "explain (analyze true) delete from orders",
    "select 1; select 2",
    "select 1; delete from orders",
    "select 'a'\n'b'",
    "select /* 1 */ 1",
    "select U&'\\0061'",
    "select E'\\'; delete from orders; --'",
    "notify a, 'x'",
    "prepare transaction 'x'",
    "commit prepared 'x'",
    "",
    ";",
    "-- nothing",
)
"""Texts of which a literal, a name or a word decides what they need."""


@dataclass
class Outcome:
    """``faults`` are sentences; ``torn`` the shapes that need one thing or another, by their literals alone."""

    texts: int = 0
    asked: int = 0
    decided: int = 0
    faults: list[str] = field(default_factory=list)
    torn: set[str] = field(default_factory=set)


def choose(every: int, seed: int) -> list[str]:
    """One shape in ``every``, a few statements of each, each with a variant; and those that were written by hand."""
    dice = random.Random(seed)
    by_shape: dict[str, list[str]] = {}
    for text in statements():
        by_shape.setdefault(shape(text), []).append(text)
    shapes = sorted(by_shape)
    dice.shuffle(shapes)
    chosen = dict.fromkeys(BY_HAND)
    for name in shapes[:: max(1, every)]:
        for text in by_shape[name][:_OF_ONE_SHAPE]:
            chosen.setdefault(text)
            chosen.setdefault(varied(text, dice))
    return list(chosen)


def compare(texts: Sequence[str], manners: Sequence[Manner] = MANNERS) -> Outcome:
    outcome = Outcome(texts=len(texts))
    # One adapter for all, as a worker has one for all its sessions.
    adapter = PostgresAdapter()
    needs: dict[tuple[Need, ...], None] = {}
    for manner, batch in itertools.product(manners, _batches(texts)):
        apart = asked_apart(batch, shape, manner)
        _find_torn(apart, outcome)
        for text, warm in _ask_warm(adapter, batch, manner):
            outcome.asked += 1
            if warm != apart[text]:
                outcome.faults.append(f"{manner}: {text!r} is asked as {warm}, and by who has no memory {apart[text]}")
            needs.update((statement.needs, None) for statement in warm)
    _compare_decisions(tuple(needs), outcome)
    return outcome


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """So few that a memory keeps them all, those of one shape together, in an order of chance."""
    dice = random.Random(len(texts))
    alike = sorted(texts, key=shape)
    for start in range(0, len(alike), _BATCH):
        batch = alike[start : start + _BATCH]
        dice.shuffle(batch)
        yield batch


def _ask_warm(adapter: PostgresAdapter, texts: Sequence[str], manner: Manner) -> Iterator[tuple[str, tuple[Seen, ...]]]:
    refusing = Asker(adapter, refuse_all, manner.read_only)
    allowing = Asker(adapter, allow_all, manner.read_only)
    for _ in range(2):
        for text in texts:
            yield text, refusing.ask(text, extended=manner.extended)
            if not keeps_state(text):
                yield text, allowing.ask(text, extended=manner.extended)
        # A session of its own has its own memory, beside that of the adapter.
        refusing.renew()
        allowing.renew()


def _find_torn(apart: Asked, outcome: Outcome) -> None:
    seen: dict[str, object] = {}
    for text, asked in apart.items():
        name = shape(text)
        answer = tuple((one.needs, one.effect, one.fenceable, one.measurable, one.unknown) for one in asked)
        if seen.setdefault(name, answer) != answer:
            outcome.torn.add(name)


def _compare_decisions(needs: Sequence[tuple[Need, ...]], outcome: Outcome) -> None:
    """All needs that were met, decided by one who remembers and by one who does not; once more when all were met."""
    for cedar in (None, {"payroll.cedar": PAYROLL}):
        configuration = load(cedar=cedar)
        remembering, anew = Decider(configuration), Decider(configuration, remember=0)
        person, resource = configuration.people["dev@acme.example"], configuration.resources["orders"]
        questions = [
            Question(person, resource, roles, asked, _AT, _AT) for _ in range(2) for asked in needs for roles in _ROLES
        ]
        for question in questions:
            outcome.decided += 1
            if remembering.decide(question) != anew.decide(question):
                outcome.faults.append(f"{question} is not decided as it would be anew")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="one shape in so many")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    began = time.monotonic()
    outcome = compare(choose(chosen.every, chosen.seed))
    for fault in outcome.faults[:20]:
        sys.stdout.write(f"{fault}\n")
    sys.stdout.write(
        f"{outcome.texts:,} texts, asked about {outcome.asked:,} times, {outcome.decided:,} decisions; "
        f"{len(outcome.torn):,} shapes whose literals decide; {len(outcome.faults):,} faults; "
        f"{time.monotonic() - began:.0f} s\n"
    )
    sys.exit(1 if outcome.faults else 0)


if __name__ == "__main__":
    main()
