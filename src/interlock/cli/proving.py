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
from interlock.cli.proof_shown import sentence_of, show_proof, show_why
from interlock.cli.shown import harmless
from interlock.domain.codec import to_plain
from interlock.errors import Failure
from interlock.proof.certificate import digest_of, write_certificate
from interlock.proof.check import OtherModelError, check_certificate
from interlock.proof.picture import Panel, draw, panels_of_proof, panels_of_why
from interlock.services.explain_why import explain_state
from interlock.services.proof_model import LiveState
from interlock.services.prove_state import check_known, prove_model


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
    why: Annotated[
        tuple[str, str, str] | None,
        typer.Option("--why", metavar="PERSON ACTION RESOURCE", help="All ways in which this person could do that."),
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw the answer into this file.")] = None,
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
    claims = {"CHAIN": chain, "--persons": persons, "--absent": absent, "--certificate": certificate}
    if check is not None:
        _refuse_beside("--check", {**claims, "--policy": policy, "--why": why, "--svg": svg})
        return _check(check)
    if why is not None:
        _refuse_beside("--why", claims)
        return _why(why, policy, server, svg)
    names = [name.strip() for name in absent.split(",") if name.strip()]
    with waiting("Proving"):
        answer = _prove_file(policy, chain, persons, names) if policy else _ask(server, chain, persons, names)
    if certificate is not None:
        _write(certificate, answer["certificate"], "--certificate")
    verdicts = answer["proof"]["verdicts"]
    if svg is not None:
        sentences = {number: sentence_of(verdict, named=False) for number, verdict in enumerate(verdicts)}
        _write_picture(svg, panels_of_proof(verdicts, sentences))
    shown = {key: value for key, value in answer.items() if key != "certificate"}
    holds = bool(verdicts) and all(verdict["outcome"] == "proven" for verdict in verdicts)
    emit({"holds": holds, **shown}, lambda console: show_proof(console, answer, certificate, svg))
    return 0 if holds else 1


def _why(asked: tuple[str, str, str], policy: Path | None, server: str | None, svg: Path | None) -> int:
    """Exit 0 whatever the answer is: it is an explanation and no claim."""
    person, action, resource = asked
    with waiting("Looking for all ways"):
        if policy is not None:
            answer: dict[str, Any] = to_plain(explain_state(_state_of(policy), person, action, resource))
        else:
            with signed_in(server) as client:
                answer = client.get("/v1/why", person=person, action=action, resource=resource)
    if svg is not None:
        _write_picture(svg, panels_of_why(answer["why"]))
    emit(answer, lambda console: show_why(console, answer, svg))
    return 0


def _refuse_beside(option: str, others: Mapping[str, object]) -> None:
    """What would be passed over in silence is wrong usage: an answer to another question looks like one to this."""
    given = [name for name, value in others.items() if value]
    if given:
        raise typer.BadParameter(f"{option} stands alone, without {', '.join(given)}")


def _write_picture(file: Path, panels: Sequence[Panel]) -> None:
    _write(file, draw(panels), "--svg")


def _write(file: Path, text: str, option: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(
            f"{file} cannot be written: {error.strerror}.", f"Name a file that can, after {option}."
        ) from error


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
    state = _state_of(file)
    check_known(state.configuration, [person.name for person in state.people], chain, absent)
    model, proof = prove_model(state, chain, persons, absent)
    return {
        "proof": to_plain(proof),
        "policy": state.configuration.digest,
        "model_sha256": digest_of(model),
        "certificate": write_certificate(model, proof, away=absent),
    }


def _state_of(file: Path) -> LiveState:
    """The file as a state in which nobody holds anything."""
    configuration = Adapters().load(file)
    people, contracts = list(configuration.people.values()), list(configuration.contracts.values())
    return LiveState(configuration, people, contracts, datetime.now(UTC), configuration.identities)


def _check(file: Path) -> int:
    try:
        checked = check_certificate(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.", "Name a file that --certificate wrote.") from error
    except OtherModelError as error:
        raise Failure(
            f"{file} names the model {error.named}, and holds another: {error.found}.",
            "Believe nothing of it; let the proof be made again.",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Failure(f"{file} is no certificate.", "Name a file that --certificate wrote.") from error
    if not checked.claims:
        note("The certificate proves nothing: it has no claims.")

    def show(console: Console) -> None:
        for says, proven, why in checked.claims:
            line = f"holds: {says}" if proven else f"not proven: {says}: {why}"
            console.print(escape(harmless(line)), style="green" if proven else "red", soft_wrap=True)
        if checked.absent:
            console.print(escape(harmless(f"\nAbsent, and in no team: {', '.join(checked.absent)}.")), soft_wrap=True)
        console.print(
            f"\nThat is so of the model {checked.model_sha256}. Whether it is yours: `interlock prove` names it.",
            soft_wrap=True,
        )

    rows = [{"claim": says, "proven": proven, "why": why} for says, proven, why in checked.claims]
    holds = bool(rows) and all(proven for _, proven, _ in checked.claims)
    emit({"holds": holds, "claims": rows, "absent": list(checked.absent), "model_sha256": checked.model_sha256}, show)
    return 0 if holds else 1
