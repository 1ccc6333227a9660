"""Commands with which the policy is changed: propose, look, approve, activate."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from interlock.app.installation import Adapters
from interlock.cli.asking import RequestId, approve, flatten
from interlock.cli.client import ServerOption, call_of, signed_in
from interlock.cli.output import JsonOption, emit, waiting
from interlock.cli.risks import read_risks
from interlock.cli.shown import harmless, show_request

_PROVING_S = 900.0


def add_to(policy_app: typer.Typer) -> None:
    policy_app.command("propose")(propose)
    policy_app.command("show")(show)
    policy_app.command("approve")(approve)
    policy_app.command("activate")(activate)
    policy_app.command("read-risks")(read_risks)


def propose(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The new configuration.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; others read it to decide.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Propose FILE as the policy. It is proved at once: a change that breaks a claim is refused."""
    new = Adapters().load(file)
    body = {"yaml": new.text, "cedar": dict(new.cedar), "reason": reason}
    with signed_in(server) as client, waiting("Proving"):
        view = flatten(client.post("/v1/policy/proposals", body, timeout_s=_PROVING_S))
    emit(view, lambda console: _show_proposed(console, view))


def show(
    request: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A proposed change; else the active one.")
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="With ID: line by line, what is taken away and added.")] = False,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """The active policy, or a change that is proposed."""
    with signed_in(server) as client:
        if request is None:
            active = client.get("/v1/policy")
            emit(active, lambda console: console.print(escape(harmless(active["yaml"])), soft_wrap=True))
            return
        view = flatten(client.get(call_of("requests", request)))
        whole = client.get(call_of("policy/proposals", request))
    document = {**view, "proposal": whole["proposal"], "current": whole["current"]}

    def show_it(console: Console) -> None:
        show_request(console, view)
        if not whole["current"]:
            console.print("It was proposed for a policy that is no longer the active one.", style="yellow")
        if text:
            for line in _lines(whole):
                style = "green" if line.startswith("+") else "red" if line.startswith("-") else ""
                console.print(escape(harmless(line)), style=style, soft_wrap=True)

    emit(document, show_it)


def activate(request: RequestId, server: ServerOption = None, json: JsonOption = False) -> None:
    """Put an approved change into effect. It is proved once more, on the state as it is now."""
    with signed_in(server) as client, waiting("Proving"):
        path = call_of("policy/proposals", request, "activate")
        done = client.post_present(path, {}, timeout_s=_PROVING_S)

    def say_done(console: Console) -> None:
        console.print(f"Version {done['version']} of the policy is active.")
        for ended in done["ended"]:
            console.print(escape(harmless(f"It ended the {ended['what']} {ended['id']}.")), soft_wrap=True)

    emit(done, say_done)


def _show_proposed(console: Console, view: Mapping[str, Any]) -> None:
    content = view["content"]
    console.print(f"{view['id']} is open: a change of the policy. Every claim that held still would.")
    for sentence in content["changes"]:
        console.print(escape(harmless(f"  {sentence}")), soft_wrap=True)
    console.print(f"Another person looks with `interlock policy show {view['id']}` and types:")
    console.print(f"  interlock approve {view['id']}")
    console.print(f"Then: interlock policy activate {view['id']}")


def _lines(whole: Mapping[str, Any]) -> list[str]:
    """What differs, file by file, as a unified diff."""
    old, new = whole["active"], whole["proposal"]
    lines: list[str] = []
    for name in ("interlock.yaml", *sorted({*old["cedar"], *new["cedar"]})):
        before = old["yaml"] if name == "interlock.yaml" else old["cedar"].get(name, "")
        after = new["yaml"] if name == "interlock.yaml" else new["cedar"].get(name, "")
        lines += difflib.unified_diff(
            before.splitlines(), after.splitlines(), f"active/{name}", f"proposed/{name}", lineterm=""
        )
    return lines
