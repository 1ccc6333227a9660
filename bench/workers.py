"""Two workers against one, on a load that costs the gateway and hardly anybody else.

Two processors that also carry the server and the clients cannot show what a second worker brings; so the load is
statements that the policy refuses: decided and recorded like any other, never sent on, and asked for by the hundred.
"""

import selectors
import time
from collections.abc import Iterator, Mapping
from statistics import median

from tests.support.stack import running_stack

from bench.figures import ratios, spread, turns
from bench.lines import WORKERS, Line, Options
from bench.processes import cpu_s
from bench.stage import DATABASE, Stage, policy
from bench.wire import Wire, query

_CONNECTIONS = 16
_AT_ONCE = 100
_REFUSED = query("DROP TABLE pgbench_accounts") * _AT_ONCE
ONE, TWO = "one worker", "two workers"


def workers(stage: Stage, options: Options) -> Iterator[Line]:
    with running_stack(policy(stage.server.port), {}, workers=2) as second:
        dev = second.member("dev@example.com")
        second.grant(dev, DATABASE, "role0", [second.member("lead@example.com")])
        ways = {
            ONE: (stage.variables("Interlock", tls=True), stage.stack.pids("gateway")),
            TWO: (second.variables(dev, DATABASE), second.pids("gateway")),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        busy: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(options.rounds):
            for name in turns(list(ways), number):
                variables, pids = ways[name]
                charged = cpu_s(pids)
                rates[name].append(_refused_per_second(variables, options.seconds))
                busy[name].append((cpu_s(pids) - charged) / options.seconds)
    medians = {name: median(mine) for name, mine in rates.items()}
    remark = f"{median(busy[ONE]):.2f} and {median(busy[TWO]):.2f} processors were busy with the gateway"
    figure = spread(ratios(rates[TWO], rates[ONE]))
    name = f"refused statements, {_CONNECTIONS} connections, {_AT_ONCE} at once, TLS"
    yield Line(name, "rate", figure, "× one worker", WORKERS, medians, "per s", remark)


def _refused_per_second(variables: Mapping[str, str], seconds: int) -> float:
    wires = [Wire(variables) for _ in range(_CONNECTIONS)]
    waiting = selectors.DefaultSelector()
    for wire in wires:
        waiting.register(wire.socket, selectors.EVENT_READ, wire)
        wire.socket.sendall(_REFUSED)
    began = time.perf_counter()
    answered = 0
    try:
        while (now := time.perf_counter()) - began < seconds:
            for key, _ in waiting.select(0.1):
                wire = key.data
                wire.read_answers(_AT_ONCE)
                answered += _AT_ONCE
                wire.socket.sendall(_REFUSED)
        return answered / (now - began)
    finally:
        waiting.close()
        for wire in wires:
            wire.close()
