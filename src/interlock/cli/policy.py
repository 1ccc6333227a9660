"""Commands about the policy file: check it, compare it, try it, and explain what it decides."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from interlock.app.installation import Adapters, read_active_policy
from interlock.cli import changing
from interlock.cli.client import ServerOption, signed_in
from interlock.cli.home import open_home
from interlock.cli.output import JsonOption, emit, note
from interlock.cli.shown import counted, harmless
from interlock.domain.actions import Need
from interlock.domain.codec import to_plain
from interlock.domain.decisions import Decision, Effect
from interlock.errors import ConfigurationError, NotFound
from interlock.policy.cases import Result, load_cases, run_cases
from interlock.policy.configuration import Configuration
from interlock.policy.decide import Decider, Question
from interlock.policy.diff import describe_changes

policy_app = typer.Typer(help="The policy: check it, compare it, try it, change it.", no_args_is_help=True)

PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The configuration, interlock.yaml.")]

_STYLES = {Effect.ALLOW: "green", Effect.DENY: "red", Effect.HOLD: "yellow"}


def add_to(app: typer.Typer) -> None:
    policy_app.command("check")(check)
    policy_app.command("diff")(diff)
    policy_app.command("test")(run_tests)
    policy_app.command("explain")(explain)
    changing.add_to(policy_app)
    app.add_typer(policy_app, name="policy")


def check(file: PolicyFile, json: JsonOption = False) -> None:
    """Report every mistake in the file, each with its file and line."""
    found = Adapters().load(file)
    for warning in found.warnings:
        note(warning)
    counts = {
        name: len(getattr(found, name)) for name in ("resources", "people", "vendors", "contracts", "roles", "chains")
    }
    document = {"file": str(file), "digest": found.digest, "warnings": list(found.warnings), **counts}
    parts = [
        counted(counts["resources"], "resource"),
        counted(counts["people"], "person", "people"),
        counted(counts["contracts"], "contract"),
        counted(counts["roles"], "role"),
    ]
    emit(document, lambda console: console.print(f"{file} is in order: {', '.join(parts)}.", soft_wrap=True))


def diff(
    file: PolicyFile,
    against: Annotated[Path | None, typer.Option("--against", readable=False, help="Compare with this file.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", readable=False, help="Compare with what is active in this data folder.")
    ] = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """What FILE would change, in sentences; by default in what is active where I am signed in, else on this machine.
    Exit 1: something."""
    adapters = Adapters()
    new = adapters.load(file)
    old = adapters.load(against) if against is not None else _active(adapters, server, data)
    changes = describe_changes(old, new)

    def show(console: Console) -> None:
        for sentence in changes or ("Nothing would change.",):
            console.print(escape(harmless(sentence)), soft_wrap=True)

    emit({"from": old.digest, "to": new.digest, "changes": list(changes)}, show)
    return 1 if changes else 0


def _active(adapters: Adapters, server: str | None, data: Path | None) -> Configuration:
    if data is not None or not (server or open_home().login()):
        return read_active_policy(data)
    with signed_in(server) as client:
        found = client.get("/v1/policy")
    return adapters.read(found["yaml"], f"active policy (version {found['version']})", found["cedar"])


def run_tests(
    file: PolicyFile,
    cases: Annotated[
        Path | None,
        typer.Option("--cases", readable=False, help="The cases; by default FILE with .cases.yaml at its end."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Whether FILE decides each case as it should. Exit 1: one of them is decided otherwise."""
    adapters = Adapters()
    configuration = adapters.load(file)
    path = cases or file.with_suffix(".cases.yaml")
    expected = load_cases(_read(path), path.name, configuration)

    def describe(kind: str, text: str) -> tuple[Need, ...]:
        return adapters.protocols[kind].describe(text)

    results = run_cases(configuration, expected, describe, now=datetime.now(UTC))
    failed = [result for result in results if not result.passed]

    def show(console: Console) -> None:
        for result in results:
            style = "green" if result.passed else "red"
            console.print(escape(harmless(result.sentence)), style=style, soft_wrap=True)
        console.print(f"{counted(len(results), 'case')}, {len(failed)} not as expected.")

    document = {"cases": [_result(result) for result in results], "failed": len(failed)}
    emit(document, show)
    return 1 if failed else 0


def explain(
    file: PolicyFile,
    statement: Annotated[str, typer.Argument(help="What the person would send.")],
    person: Annotated[str, typer.Option("--person", help="Who.")],
    resource: Annotated[str, typer.Option("--resource", help="To what.")],
    roles: Annotated[list[str], typer.Option("--role", help="A role they hold; may be repeated.")],
    absent: Annotated[bool, typer.Option("--no-presence", help="As if they had given no one-time code.")] = False,
    json: JsonOption = False,
) -> int:
    """What would be decided on one statement, and by which policies. Exit 1: it would be denied."""
    adapters = Adapters()
    configuration = adapters.load(file)
    now = datetime.now(UTC)
    question = _question(configuration, adapters, file, person, resource, roles, statement, now, present=not absent)
    decision = Decider(configuration).decide(question)
    document = {**to_plain(decision), "needs": [str(need) for need in question.needs]}
    emit(document, lambda console: _show_decision(console, decision, question.needs))
    return 1 if decision.effect is Effect.DENY else 0


def _question(
    configuration: Configuration,
    adapters: Adapters,
    file: Path,
    person: str,
    resource: str,
    roles: list[str],
    statement: str,
    now: datetime,
    *,
    present: bool,
) -> Question:
    who = configuration.people.get(person)
    what = configuration.resources.get(resource)
    if who is None or what is None:
        name = f"person named {person}" if who is None else f"resource named {resource}"
        raise NotFound(f"{file} has no {name}.", "Name one that it has.")
    unknown = [role for role in roles if role not in configuration.roles]
    if unknown:
        raise NotFound(f"{file} has no role named {unknown[0]}.", f"It has: {', '.join(sorted(configuration.roles))}.")
    needs = adapters.protocols[what.kind].describe(statement)
    return Question(who, what, frozenset(roles), needs, now, now if present else None)


def _show_decision(console: Console, decision: Decision, needs: tuple[Need, ...]) -> None:
    style = _STYLES[decision.effect]
    console.print(f"[{style}]{decision.effect}[/{style}]  {escape(decision.reason)}", soft_wrap=True)
    console.print(escape(f"needs       {', '.join(map(str, needs))}"), soft_wrap=True)
    console.print(escape(f"policies    {', '.join(decision.policies) or 'none'}"), soft_wrap=True)
    for obligation in decision.obligations:
        console.print(escape(f"obligation  {obligation}"), soft_wrap=True)


def _result(result: Result) -> dict[str, object]:
    return {
        "name": result.case.name,
        "line": result.case.line,
        "passed": result.passed,
        "expected": result.case.expect.value,
        "effect": result.decision.effect.value,
        "reason": result.decision.reason,
        "policies": list(result.decision.policies),
    }


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(
            (f"{path.name}:1: {path} cannot be read: {why}; name the file with --cases",)
        ) from error
