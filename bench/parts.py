"""What a statement costs, by part: where the worker's thread is while select-only runs through it.

    python -m bench.parts [--mode prepared] [--seconds 4]

perf (Debian's linux-perf) samples the thread that runs the sessions; a sample counts for the innermost of the parts
below whose function is on its stack. Nested bars of the whole stack go to bench/results/last/stacks.svg.
"""

import argparse
import re
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bench.pgbench import Run, Slicer
from bench.plot import stacks
from bench.report import RESULTS
from bench.stage import INTERLOCK, Stage, staged

_PARTS = (
    ("the kernel: sending", re.compile(r"^(__GI___libc_)?(__libc_)?(write|writev|send|sendmsg)$")),
    ("the kernel: receiving", re.compile(r"^(__GI___libc_)?(__libc_)?(read|recv|recvmsg)$")),
    ("the kernel: waiting for events", re.compile(r"^(__GI_)?epoll_p?wait$")),
    ("TLS", re.compile(r"^SSL_(read|write)(_ex)?$|wire_3tls_9TlsEngine")),
    ("the journal", re.compile(r"gateway_(7journal|3pen)|wire_6frames")),
    ("the records", re.compile(r"gateway_8recorder")),
    ("deciding", re.compile(r"gateway_10statements")),
    ("the template and the classification kept for it", re.compile(r"postgres_(8template|7reading)")),
    ("framing", re.compile(r"postgres_6framer")),
    ("what the server answers", re.compile(r"postgres_7replies")),
    ("what the client sends", re.compile(r"postgres_(6steady|5relay|8messages)")),
    ("the short way of a statement", re.compile(r"postgres_4lane")),
    ("sockets of our own", re.compile(r"gateway_4pump")),
    ("sessions and connections", re.compile(r"interlock_")),
)
_OTHER = "everything else"
_OURS = re.compile(r"^__pyx_(?:f|pf|pw|gb)_(9interlock_.*)$")
_PART = re.compile(r"(\d+)(.*)$")
_INTERPRETER = re.compile(
    r"^_*(Py|pymain|builtin|cfunction|method_|slot_|do_call|object_|vectorcall|context_run|task_|libc_start)"
)
_NOT_OURS = 6
"""Of a stack without a function of ours the innermost of these many are shown."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=("simple", "extended", "prepared"), default="simple")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=4)
    chosen = parser.parse_args()
    with staged(scale=10, sessions=100) as stage:
        per_statement_us, samples = _sample(stage, chosen)
    counted = Counter(_part_of(stack) for stack in samples)
    print(
        f"{sum(counted.values()):,} samples; {per_statement_us:.1f} µs of CPU a statement, all threads of the worker\n"
    )
    print("| part | share |\n| --- | --- |")
    for name, count in counted.most_common():
        print(f"| {name} | {count / sum(counted.values()):.1%} |")
    folder = RESULTS / "last"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stacks.svg").write_text(stacks("Where a statement's time goes", [shown(stack) for stack in samples]))
    print(f"\nThe stacks: {folder / 'stacks.svg'}")


def _sample(stage: Stage, chosen: argparse.Namespace) -> tuple[float, list[list[str]]]:
    """µs of CPU a statement while nobody looks, and the stacks that were seen, each from the outermost function on."""
    (pid,) = stage.pids(INTERLOCK)
    run = Run(("-S",), chosen.mode, chosen.clients)
    slicer = Slicer(run, lambda: stage.variables(INTERLOCK, tls=True), (pid,))
    per_statement_us = slicer.slice(3).cpu_us
    load = threading.Thread(target=slicer.slice, args=(chosen.seconds + 2,), name="load")
    with tempfile.TemporaryDirectory() as folder:
        recorded = Path(folder) / "perf.data"
        load.start()
        words = ["perf", "record", "-F", "997", "--call-graph", "dwarf,8192", "-o", str(recorded), "-t", str(pid)]
        subprocess.run([*words, "--", "sleep", str(chosen.seconds)], check=True, capture_output=True)
        load.join()
        words = ["perf", "script", "-i", str(recorded), "-F", "ip,sym"]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return per_statement_us, list(_stacks(said.splitlines()))


def _stacks(lines: Iterable[str]) -> Iterable[list[str]]:
    stack: list[str] = []
    for line in lines:
        words = line.split(maxsplit=1)
        if len(words) == 2:
            stack.append(words[1].removesuffix(" (inlined)"))
        elif stack:
            yield stack[::-1]
            stack = []
    if stack:
        yield stack[::-1]


def shown(stack: list[str]) -> list[str]:
    """What readers want to see of a stack (outermost first): from our first function on, without the interpreter's."""
    first = next((place for place, symbol in enumerate(stack) if _OURS.match(symbol)), None)
    inner = stack if first is None else stack[first:]
    found: list[str] = []
    for name in (readable(symbol) for symbol in inner if not _INTERPRETER.match(symbol) or symbol is inner[-1]):
        # A function and what calls it from Python have the same name.
        if not found or found[-1] != name:
            found.append(name)
    return found[-_NOT_OURS:] if first is None else found


def readable(symbol: str) -> str:
    """A function of ours by the name that stands in its file: Cython writes how long each part is before it."""
    ours = _OURS.match(symbol)
    if ours is None:
        return symbol
    parts: list[str] = []
    rest = ours[1]
    while (part := _PART.match(rest)) is not None:
        size = int(part[1])
        name, after = part[2][:size], part[2][size:]
        if not after.startswith("_"):
            # The last one, and the number is another: which function of its kind it is.
            rest = part[2]
            break
        parts.append(name)
        rest = after[1:]
    return ".".join([*parts[2:], rest])


def _part_of(stack: list[str]) -> str:
    for function in reversed(stack):
        for name, pattern in _PARTS:
            if pattern.search(function):
                return name
    return _OTHER


if __name__ == "__main__":
    main()
