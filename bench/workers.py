"""Two workers against one, on a load that costs the gateway and hardly anybody else.

Two processors that also carry the server and the clients cannot show what a second worker brings; so the load is
statements that the policy refuses: decided and recorded like any other, never sent on, and asked for by the hundred in
one write. What comes back is counted by its bytes and left in the kernel: all answers are of one size.

Another load on the machine takes from two workers what it leaves to one. So it is told as well how many statements a
second of a processor decides with one worker and with two: what the second makes dearer for the first would show there.
"""

import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from statistics import median

from tests.support.stack import running_stack

from bench.figures import ratios, spread, turns
from bench.lines import WORKERS, Line, Options
from bench.processes import cpu_s
from bench.stage import DATABASE, Stage, client, in_the_clear, policy
from bench.wire import READY, Wire, query

_CONNECTIONS = 16
_AT_ONCE = 200
_REFUSED = query("DROP TABLE pgbench_accounts")
_DROPPED_BYTES = 1 << 20
"""At most at once: of a buffer that is never written to."""
ONE, TWO = "one worker", "two workers"


def workers(stage: Stage, options: Options) -> Iterator[Line]:
    with ExitStack() as held:
        second = held.enter_context(running_stack(policy(stage.server.port), {}, workers=2))
        dev = second.member("dev@example.com")
        second.grant(dev, DATABASE, "role0", [second.member("lead@example.com")])
        api = held.enter_context(client(second, dev))
        ways = {
            ONE: (stage.as_dev, stage.stack.variables(stage.dev, DATABASE), stage.stack.pids("gateway")),
            TWO: (api, second.variables(dev, DATABASE), second.pids("gateway")),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        busy: dict[str, list[float]] = {name: [] for name in ways}
        load: list[float] = []
        for number in range(options.rounds):
            for name in turns(list(ways), number):
                api, reached, pids = ways[name]
                variables = in_the_clear(api, reached, DATABASE, _CONNECTIONS)
                charged, own = cpu_s(pids), time.process_time()
                rate, took = _refused_per_second(variables, options.seconds)
                rates[name].append(rate)
                busy[name].append((cpu_s(pids) - charged) / took)
                load.append((time.process_time() - own) / took)
    medians = {name: median(mine) for name, mine in rates.items()}
    each = {name: [rate / used for rate, used in zip(rates[name], busy[name], strict=True)] for name in ways}
    remark = (
        f"{median(busy[ONE]):.2f} and {median(busy[TWO]):.2f} processors were busy with the gateway, "
        f"{median(load):.2f} with the load"
    )
    name = f"refused statements, {_CONNECTIONS} connections, {_AT_ONCE} at once, no TLS"
    yield Line(name, "rate", spread(ratios(rates[TWO], rates[ONE])), "× one worker", WORKERS, medians, "per s", remark)
    medians = {name: median(mine) for name, mine in each.items()}
    figure = spread(ratios(each[TWO], each[ONE]))
    yield Line(name, "for each second of a processor", figure, "× one worker", "", medians, "statements")


def _refused_per_second(variables: Mapping[str, str], seconds: int) -> tuple[float, float]:
    """Answers a second, and how many seconds it took."""
    wires = [Wire(variables) for _ in range(_CONNECTIONS)]
    size = _size_of_answer(wires[0].socket)
    asked = _REFUSED * _AT_ONCE
    waiting = selectors.DefaultSelector()
    missing = dict.fromkeys(range(len(wires)), size * _AT_ONCE)
    for number, wire in enumerate(wires):
        wire.socket.setblocking(False)
        waiting.register(wire.socket, selectors.EVENT_READ, number)
        wire.socket.send(asked)
    came = 0
    buffer = bytearray(_DROPPED_BYTES)
    began = time.perf_counter()
    try:
        while (now := time.perf_counter()) - began < seconds:
            for key, _ in waiting.select(0.1):
                number, connection = key.data, wires[key.data].socket
                # tcp(7): with MSG_TRUNC the bytes are dropped where they are, and counted.
                dropped = connection.recv_into(buffer, 0, socket.MSG_TRUNC)
                came += dropped
                missing[number] -= dropped
                if missing[number] < 0 or not dropped:
                    raise RuntimeError("the answers are not of one size, or the gateway left")
                if not missing[number]:
                    missing[number] = size * _AT_ONCE
                    connection.send(asked)
        return came / size / (now - began), now - began
    finally:
        waiting.close()
        for wire in wires:
            wire.close()


def _size_of_answer(connection: socket.socket) -> int:
    """Of one refusal, looked at once."""
    connection.sendall(_REFUSED)
    said = b""
    while not said.endswith(READY):
        said += connection.recv(65536)
    if not said.startswith(b"E"):
        raise RuntimeError(f"the statement was not refused: {said!r}")
    return len(said)
