"""`interlock gate`: may this duty be done on this commit? Exit 0 when it may, 1 with what is missing when not."""

import json as jsonlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from interlock.cli.client import ServerOption, signed_in
from interlock.cli.lending import ask_in_emergency, lent_words, take_what_is_lent, wanted_of
from interlock.cli.output import JsonOption, emit, note, waiting
from interlock.cli.shown import harmless
from interlock.domain.durations import parse_duration
from interlock.errors import Failure, Refusal
from interlock.identity.bundles import Asked, check_bundle
from interlock.identity.envelopes import read_spki

_BETWEEN_S = 2.0
_WAIT_S = 600.0


def add_to(app: typer.Typer) -> None:
    app.command("gate")(gate)


def gate(
    chain: Annotated[str, typer.Argument(help="The chain.")],
    duty: Annotated[str, typer.Argument(metavar="DUTY", help="The duty that is about to be done, such as deploy.")],
    artifact: Annotated[
        str, typer.Option("--artifact", metavar="REF", help="The commit: git:REPOSITORY@HASH, in full.")
    ],
    environment: Annotated[str, typer.Option("--environment", help="Where it is deployed to.")] = "",
    anybody: Annotated[bool, typer.Option("--anybody", help="Ask for nobody in particular, not for yourself.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Ask again until it is open; ten minutes at most.")] = False,
    write_bundle: Annotated[
        Path | None,
        typer.Option("--write-bundle", metavar="FILE", help="Keep the answer, for hosts without the server."),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Check a kept answer; asks no server.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="With --bundle: the public key of the server's evidence."),
    ] = None,
    lend: Annotated[
        str | None, typer.Option("--lend", metavar="TIME", help="When it is open, ask for the environment's role: 30m.")
    ] = None,
    emergency: Annotated[
        bool,
        typer.Option("--emergency", help="Deploy past the gate (with --lend, --reason): another confirms it."),
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="With --emergency: why it cannot wait.")] = "",
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Whether a duty may be done on a commit: all duties before it are done, by separate persons, on that content."""
    if bundle is not None:
        _check(bundle, key, Asked(chain, duty, artifact, environment))
        return
    body = {
        "chain": chain,
        "duty": duty,
        "artifact": artifact,
        "environment": environment,
        "anybody": anybody,
        "bundle": write_bundle is not None,
    }
    with signed_in(server) as client:
        duration = None if lend is None else _duration(lend)
        if emergency:
            ask_in_emergency(client, wanted_of(chain, artifact, environment, duration), reason, wait=wait)
            return
        verdict = client.post("/v1/gate", body)
        if wait and not verdict["open"]:
            _tell_missing(verdict)
            until = time.monotonic() + _WAIT_S
            with waiting("Waiting for what is missing …"):
                while not verdict["open"] and time.monotonic() < until:
                    time.sleep(_BETWEEN_S)
                    verdict = client.post("/v1/gate", body)
        if duration is not None and verdict["open"]:
            verdict["request"] = take_what_is_lent(client, wanted_of(chain, artifact, environment, duration), wait=wait)
    if write_bundle is not None and verdict["open"]:
        _write(write_bundle, verdict.pop("bundle"))
    emit(verdict, lambda console: _show(console, verdict))
    if not verdict["open"]:
        _tell_missing(verdict)
        raise typer.Exit(1)
    if (verdict.get("request") or {}).get("state") in ("denied", "expired", "withdrawn"):
        raise typer.Exit(1)


def _duration(text: str) -> int:
    try:
        return int(parse_duration(text).total_seconds())
    except ValueError as error:
        raise Refusal("bad-duration", f"{text[:20]!r} is no length of time.", "Write it so: --lend 30m") from error


def _show(console: Console, verdict: dict[str, Any]) -> None:
    where = f" to {verdict['environment']}" if verdict["environment"] else ""
    if verdict["open"]:
        console.print(f"Open: {verdict['duty']} of {verdict['artifact']}{where}.", markup=False, soft_wrap=True)
        for duty, who in verdict["carried"].items():
            console.print(f"  {duty}: {', '.join(who)}", markup=False, soft_wrap=True)
        if request := verdict.get("request"):
            console.print(harmless(lent_words(request)), markup=False, soft_wrap=True)
    else:
        console.print(f"Shut: {verdict['duty']} of {verdict['artifact']}{where}.", markup=False, soft_wrap=True)


def _tell_missing(verdict: dict[str, Any]) -> None:
    for one in verdict["missing"]:
        who = f" Who could: {', '.join(one['who'])}." if one["who"] else ""
        note(harmless(f"- {one['sentence']}{who}"))


def _write(path: Path, bundle: object) -> None:
    try:
        path.write_text(jsonlib.dumps(bundle, indent=2) + "\n")
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}.", "Name another file.") from error


def _check(bundle: Path, key: Path | None, asked: Asked) -> None:
    if key is None:
        raise Refusal(
            "no-key", "A bundle is checked with the server's public key.", "Give it with --key: interlock evidence key"
        )
    try:
        text, pem = bundle.read_text(), key.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{bundle} or {key} cannot be read: {error}.", "Check both paths.") from error
    said = check_bundle(text, read_spki(pem), asked, datetime.now(UTC))
    verdict = {"open": True, "missing": [], "artifact": asked.artifact, **said}
    emit(verdict, lambda console: _show(console, verdict))
