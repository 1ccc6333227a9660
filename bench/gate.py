"""What the gate costs: a repository of 50,000 commits, a change of 200, all evidence there. `python -m bench.gate`.

Fifty merges of three commits each, every one pushed, reviewed by another person, the last one tested. The state is the
embedded PostgreSQL as the product starts it. The answers are asked of the use case itself, without HTTP.
"""

import argparse
import asyncio
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from interlock.domain.delivery import Evidence, Known, Verdict
from interlock.domain.delivery_events import GateDecided
from interlock.git.reader import GitRepositories
from interlock.identity.envelopes import SigningAttestor
from interlock.identity.keys import new_key
from interlock.policy.load import load_configuration
from interlock.ports.clock import SystemClock
from interlock.services.apply_configuration import apply_configuration
from interlock.services.delivery import Delivery
from interlock.services.desk import SYSTEM, Desk
from interlock.services.evidence import keep
from interlock.services.evidence_statements import duty_statement
from interlock.services.gate import ask_gate
from interlock.services.gate_memory import GateMemory
from interlock.services.ids import new_id
from interlock.store.home import embedded_address, embedded_state
from interlock.store.migrate import migrate
from interlock.store.state import PostgresState

MERGES, EACH, FILES = 50, 3, 2_000
DEV, REVIEWER, TESTER, DEPLOYER = "dev@example.com", "rev@example.com", "test@example.com", "ops@example.com"
OTHERS = tuple(f"ops{number}@example.com" for number in range(50))
_CI = "jobs:\n  test:\n    steps:\n      - run: ./scripts/test.sh\n"
_CONFIGURATION = """
people: {{{dev}: {{}}, {rev}: {{}}, {test}: {{}}, {ops}: {{}}, {others}}}
chains: {{release: {{duties: [develop, review, test, deploy], separate: all}}}}
repositories: {{shop: {{from: {folder}, since: {since}, chain: release, environments: {{production: {{}}}}}}}}
"""


def _stream(history: int) -> tuple[str, int]:
    """A fast-import stream, and the mark of the commit from which on the chain holds."""
    out: list[str] = []
    mark = 0

    def commit(branch: str, path: str, text: str, *parents: int) -> int:
        nonlocal mark
        mark += 1
        who = f"A <{DEV}> {1_700_000_000 + mark} +0000"
        out.append(f"commit refs/heads/{branch}\nmark :{mark}\nauthor {who}\ncommitter {who}\ndata 1\nx\n")
        words = [f"from :{parents[0]}\n"] if parents else []
        words += [f"merge :{other}\n" for other in parents[1:]]
        out.append("".join(words) + (f"M 100644 inline {path}\ndata {len(text)}\n{text}\n" if path else ""))
        return mark

    tip = commit("main", ".github/workflows/ci.yml", _CI)
    tip = commit("main", "CODEOWNERS", f"/db/ {REVIEWER}\n", tip)
    for number in range(history - 2):
        tip = commit("main", f"src/{number % FILES // 50}/f{number % FILES}.py", f"x = {number}\n", tip)
    since = tip
    for merge in range(MERGES):
        head = tip
        for number in range(EACH):
            head = commit(f"topic{merge}", f"src/new/{merge}/{number}.py", "y = 1\n", head)
        # Fast-import makes no merges of contents: the merge's tree is its first parent's with the same files put in.
        tip = commit("main", "", "", tip, head)
        for number in range(EACH):
            out[-1] += f"M 100644 inline src/new/{merge}/{number}.py\ndata 6\ny = 1\n\n"
    return "".join(out), since


def make_repository(folder: Path, history: int) -> str:
    """The full hash of the commit from which on the chain holds."""
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)], check=True)
    stream, since = _stream(history)
    marks = folder / "bench-marks"
    subprocess.run(
        ["git", f"--git-dir={folder}", "fast-import", "--quiet", f"--export-marks={marks}"],
        input=stream.encode(),
        check=True,
    )
    known = dict(line.split() for line in marks.read_text().splitlines())
    return known[f":{since}"]


async def _give_evidence(delivery: Delivery, head: str, since: str) -> None:
    change = await delivery.repositories.change("shop", since, head)
    given = []
    for step in change.steps:
        commits = tuple(sorted(one.sha for one in step.commits))
        given.append(_evidence(delivery, "develop", step.head, step.base, DEV, Known.PUSH, commits))
        given.append(_evidence(delivery, "review", step.head, step.base, REVIEWER, Known.REVIEW, ()))
    given.append(_evidence(delivery, "test", head, since, TESTER, Known.CLI, ()))
    async with delivery.desk.deciding(SYSTEM) as work:
        for one in given:
            await keep(work, replace(one, envelope=delivery.attestor.attest(duty_statement(one))))


def _evidence(
    delivery: Delivery, duty: str, commit: str, base: str, person: str, how: Known, commits: tuple[str, ...]
) -> Evidence:
    return Evidence(
        id=new_id("e"),
        chain="release",
        duty=duty,
        repository="shop",
        commit=commit,
        tree="0" * 40,
        base=base,
        branch="main",
        person=person,
        how=how,
        at=delivery.desk.clock.now(),
        envelope="",
        commits=commits,
    )


async def _timed(ask: Callable[[], Awaitable[Verdict]]) -> float:
    begun = time.perf_counter()
    verdict = await ask()
    took = time.perf_counter() - begun
    if not verdict.open:
        raise SystemExit(f"The gate is shut: {verdict.missing[0].sentence}")
    return took * 1000


async def measure(folder: Path, history: int, times: int) -> None:
    begun = time.perf_counter()
    since = make_repository(folder / "shop.git", history)
    print(f"repository: {history:,} commits and a change of {MERGES * (EACH + 1)} made in {_since(begun):.1f} s")
    text = _CONFIGURATION.format(
        folder=folder / "shop.git",
        since=since,
        dev=DEV,
        rev=REVIEWER,
        test=TESTER,
        ops=DEPLOYER,
        others=", ".join(f"{name}: {{}}" for name in OTHERS),
    )
    configuration = load_configuration(text, "interlock.yaml")
    server = embedded_state(folder / "postgres")
    await asyncio.to_thread(server.start)
    try:
        address = embedded_address(server)
        await migrate(address.owner_url)
        state = PostgresState(address.url)
        desk = Desk(state, SystemClock(), configuration)
        await apply_configuration(desk)
        mirrors = GitRepositories(folder / "mirrors", configuration.repositories)
        delivery = Delivery(desk, mirrors, SigningAttestor(new_key()))
        begun = time.perf_counter()
        await mirrors.refresh("shop")
        print(f"first fetch of the mirror: {_since(begun):.1f} s")
        (head,) = [one for one in await mirrors.tips("shop") if await mirrors.on_branch("shop", one)]
        await _give_evidence(delivery, head, since)
        await _measure_gates(delivery, folder, head, times)
        await state.close()
    finally:
        await asyncio.to_thread(server.stop)


async def _measure_gates(delivery: Delivery, folder: Path, head: str, times: int) -> None:
    def asking(of: Delivery, person: str = DEPLOYER) -> Callable[[], Awaitable[Verdict]]:
        return lambda: ask_gate(
            of,
            chain="release",
            duty="deploy",
            artifact=f"git:shop@{head}",
            environment="production",
            person=person,
        )

    anew = []
    for _ in range(5):
        fresh = GitRepositories(folder / "mirrors", delivery.desk.configuration.repositories)
        await fresh.refresh("shop")
        anew.append(await _timed(asking(replace(delivery, repositories=fresh, decided={}, memory=GateMemory()))))
    warm = asking(delivery)
    await _timed(warm)
    unchanged = [await _timed(warm) for _ in range(times)]
    elsewhere: list[float] = []
    here: list[float] = []
    people: list[float] = []
    here_cpu = 0.0
    for number in range(times):
        await _something_happens(delivery)
        elsewhere.append(await _timed(warm))
        await _a_commit_is_tested(delivery, head if number % 2 else f"{number:040x}")
        cpu = time.process_time()
        here.append(await _timed(warm))
        here_cpu += time.process_time() - cpu
        await _somebody_changes(delivery, number)
        people.append(await _timed(warm))
    begun = time.perf_counter()
    same = await asyncio.gather(*(_timed(asking(delivery, DEPLOYER)) for _ in range(50)))
    same_s = _since(begun)
    begun = time.perf_counter()
    apart = await asyncio.gather(*(_timed(asking(delivery, name)) for name in OTHERS))
    apart_s = _since(begun)
    print(f"re-evaluation from the repository: median {statistics.median(anew):.0f} ms, at most {max(anew):.0f} ms")
    print(f"one decision, when nothing happened since the last: {_shown(unchanged)}")
    print(f"one decision, when something else did (a refused request): {_shown(elsewhere)}")
    print(f"one decision, when evidence was given meanwhile: {_shown(here)}")
    print(f"  of which CPU of this process: {here_cpu / times * 1000:.1f} ms each")
    print(f"one decision, when a person changed meanwhile: {_shown(people)}")
    print(f"50 at once, of one question: all answered in {same_s:.2f} s, {_shown(list(same))}")
    print(f"50 at once, of 50 persons: all answered in {apart_s:.2f} s, {_shown(list(apart))}")


async def _something_happens(delivery: Delivery) -> None:
    async with delivery.desk.state.changing(SYSTEM) as work:
        work.record(GateDecided(chain="x", duty="x", artifact="x", environment="", person="", answer="deny", why="x"))


async def _a_commit_is_tested(delivery: Delivery, commit: str) -> None:
    one = _evidence(delivery, "test", commit, "", TESTER, Known.CLI, ())
    async with delivery.desk.deciding(SYSTEM) as work:
        await keep(work, replace(one, envelope=delivery.attestor.attest(duty_statement(one))))


async def _somebody_changes(delivery: Delivery, number: int) -> None:
    async with delivery.desk.deciding(SYSTEM) as work:
        person = await work.person(OTHERS[number % len(OTHERS)])
        if person is None:
            raise SystemExit("There is nobody of that name.")
        await work.save(replace(person, groups=frozenset({f"group{number}"})))
        work.record(GateDecided(chain="x", duty="x", artifact="x", environment="", person="", answer="deny", why="x"))


def _shown(took_ms: list[float]) -> str:
    ordered = sorted(took_ms)
    last = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return f"p50 {ordered[len(ordered) // 2]:.1f} ms, p99 {last:.1f} ms"


def _since(begun: float) -> float:
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=50_000)
    parser.add_argument("--times", type=int, default=300)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="interlock-gate-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        asyncio.run(measure(folder, wanted.commits, wanted.times))


if __name__ == "__main__":
    main()
