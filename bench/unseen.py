"""The first decision for a statement that nobody has sent before: read by PostgreSQL's parser, classed, judged.

Measured in this process, without the wire, through what every protocol offers (``describe``) and the policy that the
benchmark's gateway runs. No two statements have the same shape, so that no memory of any kind helps.
"""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median

from bench.figures import percentile, spread
from bench.lines import UNSEEN, Line, Options
from bench.stage import DATABASE, Stage, policy
from interlock.domain.people import Person
from interlock.policy.decide import Decider, Question
from interlock.policy.load import load_configuration
from interlock.protocols.postgres import PROTOCOL

_NAME = "statements of a shape not seen before"
_SHAPES = (
    "SELECT {a}, {b} FROM {t} WHERE {a} = {n} AND {b} LIKE '{s}' ORDER BY {b} LIMIT {n}",
    "SELECT x.{a}, count(*) FROM {t} x JOIN {u} y ON x.{a} = y.{b} WHERE y.{b} > {n} GROUP BY 1 HAVING count(*) > {n}",
    "UPDATE {t} SET {a} = {n}, {b} = '{s}' WHERE {a} = {n}",
    "INSERT INTO {t} ({a}, {b}) VALUES ({n}, '{s}'), ({n}, now()::text)",
    "DELETE FROM {t} WHERE {a} IN (SELECT {b} FROM {u} WHERE {b} < {n})",
    "WITH w AS (SELECT {a} FROM {t} WHERE {b} = '{s}') SELECT coalesce(w.{a}, {n}) FROM w JOIN {u} x ON w.{a} = x.{b}",
    "SELECT {a}, row_number() OVER (PARTITION BY {b} ORDER BY {a}) FROM {t} UNION ALL SELECT {b}, {n} FROM {u}",
)
"""What applications send, a few hundred characters at most; tables and columns are named anew each time."""


def unseen(_stage: Stage, options: Options) -> Iterator[Line]:
    """Each round decides its own statements. What the processor alone took is told beside the clock's time."""
    texts = statements(options.statements * options.rounds)
    judge = _judge()
    late: list[float] = []
    middle: list[float] = []
    charged: list[float] = []
    for _ in range(options.rounds):
        times = [judge(text) for text in itertools.islice(texts, options.statements)]
        late.append(percentile([took for took, _ in times], 0.99) * 1e6)
        middle.append(percentile([took for took, _ in times], 0.5) * 1e6)
        charged.append(percentile([cpu for _, cpu in times], 0.99) * 1e6)
    remark = f"p50 {median(middle):.0f} µs; p99 of the processor's time alone {median(charged):.0f} µs"
    yield Line(_NAME, "p99", spread(late), "µs", UNSEEN, remark=remark)


def _judge() -> Callable[[str], tuple[float, float]]:
    """What decides a text, and says how many seconds it took by the clock and of the processor."""
    configuration = load_configuration(policy(5432), "interlock.yaml")
    decider = Decider(configuration)
    person, resource = Person("dev@example.com"), configuration.resources[DATABASE]
    roles, now = frozenset({"role0"}), datetime.now(UTC)

    def judge(text: str) -> tuple[float, float]:
        began, charged = time.perf_counter(), time.thread_time()
        needs = PROTOCOL.describe(text)
        decider.decide(Question(person, resource, roles, needs, now, None))
        return time.perf_counter() - began, time.thread_time() - charged

    return judge


def statements(count: int) -> Iterator[str]:
    """Texts that name other tables and columns each time."""
    drawn = random.Random(7)  # noqa: S311 -- the same texts in every run, not a secret
    for number in range(count):
        names = {key: f"{key}{number}_{drawn.randrange(10**6)}" for key in "abtu"}
        shape = _SHAPES[number % len(_SHAPES)]
        yield shape.format(**names, n=drawn.randrange(10**6), s=f"text {drawn.randrange(10**6)}")
