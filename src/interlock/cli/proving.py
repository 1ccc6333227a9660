"""The command that proves, and the one that checks a proof without believing the prover."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from interlock.app.installation import Adapters
from interlock.cli.client import ServerOption, signed_in
from interlock.cli.output import JsonOption, emit, note, waiting
from interlock.cli.shown import counted, harmless
from interlock.domain.codec import from_plain, to_plain
from interlock.errors import Failure
from interlock.proof.certificate import digest_of, write_certificate
from interlock.proof.check import check_certificate
from interlock.proof.steps import Step
from interlock.proof.story import tell
from interlock.services.proof_model import LiveState
from interlock.services.prove_state import check_known, prove_model

_STYLES = {"proven": "green", "refuted": "red", "unknown": "yellow"}


def add_to(app: typer.Typer) -> None:
    app.command("prove")(prove)


def prove(
    chain: Annotated[str | None, typer.Argument(help="Only this chain, and no resource.")] = None,
    persons: Annotated[
        int | None, typer.Option("--persons", min=1, max=6, help="So many persons it must take; by default two.")
    ] = None,
    absent: Annotated[str, typer.Option("--absent", help="Persons who are away, with commas between them.")] = "",
    policy: Annotated[
        Path | None, typer.Option("--policy", readable=False, help="Prove this file, with nobody holding anything yet.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="Write the certificate into this file.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", readable=False, help="Check the certificate in this file; needs no server."),
    ] = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Whether nobody could do alone what takes two, on the state as it is. Exit 1: a claim is not proven."""
    if check is not None:
        return _check(check)
    names = [name.strip() for name in absent.split(",") if name.strip()]
    with waiting("Proving"):
        answer = _prove_file(policy, chain, persons, names) if policy else _ask(server, chain, persons, names)
    if certificate is not None:
        certificate.write_text(answer["certificate"], encoding="utf-8")
    shown = {key: value for key, value in answer.items() if key != "certificate"}
    verdicts = answer["proof"]["verdicts"]
    holds = bool(verdicts) and all(verdict["outcome"] == "proven" for verdict in verdicts)
    emit({"holds": holds, **shown}, lambda console: _show(console, answer, certificate))
    return 0 if holds else 1


def _ask(server: str | None, chain: str | None, persons: int | None, absent: Sequence[str]) -> dict[str, Any]:
    query: dict[str, str | Sequence[str]] = {"absent": absent} if absent else {}
    if chain is not None:
        query["chain"] = chain
    if persons is not None:
        query["persons"] = str(persons)
    with signed_in(server) as client:
        found: dict[str, Any] = client.get("/v1/proof", **query)
    return found


def _prove_file(file: Path, chain: str | None, persons: int | None, absent: Sequence[str]) -> dict[str, Any]:
    configuration = Adapters().load(file)
    people, contracts = list(configuration.people.values()), list(configuration.contracts.values())
    check_known(configuration, [person.name for person in people], chain, absent)
    state = LiveState(configuration, people, contracts, datetime.now(UTC), configuration.identities)
    model, proof = prove_model(state, chain, persons, absent)
    return {
        "proof": to_plain(proof),
        "policy": configuration.digest,
        "model_sha256": digest_of(model),
        "certificate": write_certificate(model, proof, away=absent),
    }


def _show(console: Console, answer: Mapping[str, Any], certificate: Path | None) -> None:
    proof = answer["proof"]
    for verdict in proof["verdicts"]:
        console.print(escape(harmless(sentence_of(verdict))), style=_STYLES.get(verdict["outcome"], ""), soft_wrap=True)
        if verdict["outcome"] != "proven":
            for line in tell(from_plain(Step, step) for step in verdict["steps"]):
                console.print(f"    {escape(harmless(line))}", soft_wrap=True)
    for chain, names in sorted(proof["bottlenecks"].items()):
        if names:
            console.print(f"Without {escape(harmless(' or '.join(names)))} the chain {chain} stands still.")
    where = f"at entry {answer['position']} of the ledger" if "position" in answer else "with nobody holding anything"
    console.print(f"\nModel {answer['model_sha256'][:16]}…, {where}. What this rests on:", soft_wrap=True)
    for assumption in proof["assumptions"]:
        console.print(f"- {escape(harmless(assumption))}", soft_wrap=True)
    if certificate is not None:
        console.print(f"\nCheck it yourself: interlock prove --check {certificate}", soft_wrap=True)


def sentence_of(verdict: Mapping[str, Any]) -> str:
    """One verdict as a sentence."""
    claim, goal = verdict["claim"], verdict["claim"]["goal"]
    thing = f"the chain {goal['chain']}" if goal["chain"] else f"{goal['action']} on {goal['resource']}"
    outcome, least, team = verdict["outcome"], verdict["least"], ", ".join(verdict["team"])
    if claim["counted"] == "absences":
        return _absences(thing, claim["least"], outcome, verdict, team)
    unit = "vendor" if claim["counted"] == "vendors" else "person"
    wanted = counted(claim["least"], unit)
    if verdict["never"]:
        return f"{outcome}: nobody can do {thing}, not even all together"
    if outcome == "proven":
        exactly = f"; the fewest who can: {team}" if team else ""
        return f"proven: {thing} takes {counted(least, unit)} at least{exactly}"
    if outcome == "refuted":
        return f"refuted: {thing} takes {counted(least, unit)}, not {wanted}: {team}"
    return f"unknown: whether {thing} takes {wanted}; {counted(least, unit)} at least"


def _absences(thing: str, claimed: int, outcome: str, verdict: Mapping[str, Any], team: str) -> str:
    if verdict["never"]:
        return f"refuted: {thing} cannot be done at all, not even by all together"
    if outcome == "proven":
        return (
            f"proven: {thing} can be done with any {counted(claimed, 'person')} away"
            if claimed
            else (f"proven: {thing} can be done")
        )
    return f"{outcome}: {thing} cannot be done without {team}, and is to survive {counted(claimed, 'absence')}"


def _check(file: Path) -> int:
    try:
        answers = check_certificate(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.", "Name a file that --certificate wrote.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Failure(f"{file} is no certificate.", "Name a file that --certificate wrote.") from error
    if not answers:
        note("The certificate proves nothing: it has no claims.")

    def show(console: Console) -> None:
        for says, proven, why in answers:
            line = f"holds: {says}" if proven else f"not proven: {says}: {why}"
            console.print(escape(harmless(line)), style="green" if proven else "red", soft_wrap=True)

    rows = [{"claim": says, "proven": proven, "why": why} for says, proven, why in answers]
    holds = bool(answers) and all(proven for _, proven, _ in answers)
    emit({"holds": holds, "claims": rows}, show)
    return 0 if holds else 1
