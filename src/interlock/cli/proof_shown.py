"""How proofs and explanations are told on a terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from interlock.cli.shown import counted, harmless
from interlock.domain.codec import from_plain
from interlock.proof.steps import Step
from interlock.proof.story import tell

_STYLES = {"proven": "green", "refuted": "red", "unknown": "yellow"}
_SHOWN = 5
_HOW = {
    "recovery": ", who let others in again and come in as them",
    "invitation": ", who bring others in and come in as them",
}


def show_proof(console: Console, answer: Mapping[str, Any], certificate: Path | None, svg: Path | None) -> None:
    proof = answer["proof"]
    for verdict in proof["verdicts"]:
        _say(console, sentence_of(verdict), style=_STYLES.get(verdict["outcome"], ""))
        if verdict["outcome"] != "proven":
            _tell(console, verdict["steps"])
        goal = verdict["claim"]["goal"]["chain"]
        stops = proof["bottlenecks"].get(goal, ()) if verdict["claim"]["counted"] == "absences" else ()
        if stops:
            _say(console, f"    the bottleneck: without {' or without '.join(stops)} nobody can do {goal}")
    where = f"at entry {answer['position']} of the ledger" if "position" in answer else "with nobody holding anything"
    _rest_on(console, f"Model {answer['model_sha256'][:16]}…, {where}.", proof["assumptions"])
    if certificate is not None:
        _say(console, f"\nCheck it yourself: interlock prove --check {certificate}")
    _name_picture(console, svg)


def show_why(console: Console, answer: Mapping[str, Any], svg: Path | None) -> None:
    why = answer["why"]
    deed = f"{why['action']} on {why['resource']}"
    if not why["ways"]:
        _say(console, f"{why['person']} cannot do {deed}, whoever helps:")
        for reason in why["reasons"]:
            _say(console, f"- {reason}")
        _rest_on(console, "", answer["assumptions"])
        return _name_picture(console, svg)
    more = "" if why["complete"] else " at least; there may be more"
    _say(console, f"{why['person']} can do {deed} in {counted(len(why['ways']), 'way')}{more}:")
    for number, way in enumerate(why["ways"], start=1):
        _say(console, f"\n{number}. by {way['role']}{_with(way['others'])}{_HOW.get(way['how'], '')}")
        _tell(console, way["steps"])
    for reason in why["reasons"]:
        _say(console, f"\nNot by {reason}")
    _rest_on(console, "", answer["assumptions"])
    return _name_picture(console, svg)


def _rest_on(console: Console, where: str, assumptions: Sequence[str]) -> None:
    _say(console, f"\n{where} What this rests on:".replace("\n ", "\n"))
    for assumption in assumptions:
        _say(console, f"- {assumption}")


def _with(others: Sequence[Mapping[str, Any]]) -> str:
    if not others:
        return ", alone"
    parts = []
    for other in others:
        names = other["names"]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        listed = f"{', '.join(names[:_SHOWN])}{more}"
        parts.append(listed if len(names) == other["count"] else f"{other['count']} of ({listed})")
    return f", with {'; '.join(parts)}"


def _tell(console: Console, steps: Sequence[Mapping[str, Any]]) -> None:
    for line in tell(from_plain(Step, step) for step in steps):
        _say(console, f"    {line}")


def _say(console: Console, text: str, style: str = "") -> None:
    lines = "\n".join(harmless(line) for line in text.split("\n"))
    console.print(escape(lines), style=style, soft_wrap=True)


def _name_picture(console: Console, svg: Path | None) -> None:
    if svg is not None:
        _say(console, f"\nDrawn into {svg}.")


def sentence_of(verdict: Mapping[str, Any], *, named: bool = True) -> str:
    """One verdict as a sentence; ``named`` with the team that can."""
    claim, goal = verdict["claim"], verdict["claim"]["goal"]
    thing = f"the chain {goal['chain']}" if goal["chain"] else f"{goal['action']} on {goal['resource']}"
    outcome, least, team = verdict["outcome"], verdict["least"], ", ".join(verdict["team"])
    names = f": {team}" if named else ""
    if claim["counted"] == "absences":
        return _absences(thing, claim["least"], verdict, team)
    unit = "vendor" if claim["counted"] == "vendors" else "person"
    wanted = counted(claim["least"], unit)
    if verdict["never"]:
        return f"{outcome}: nobody can do {thing}, not even all together"
    houses = f", of {_houses(verdict['vendors'])}" if verdict["vendors"] else ""
    if outcome == "proven":
        exactly = ""
        if team and named:
            exactly = "; the fewest who can" if verdict["exact"] else f"; {counted(verdict['most'], unit)} can"
            exactly = f"{exactly}: {team}"
        return f"proven: {thing} takes {counted(least, unit)} at least{houses}{exactly}"
    if outcome == "refuted":
        return f"refuted: {thing} takes {counted(least, unit)}, not {wanted}{houses}{names}"
    known = f", and {counted(verdict['most'], unit)} can{names}" if team else ""
    return f"unknown: whether {thing} takes {wanted}; {counted(least, unit)} at least{known}"


def _houses(count: int) -> str:
    return "one vendor or employees alone" if count == 1 else f"{count} vendors (employees count as one)"


def _absences(thing: str, claimed: int, verdict: Mapping[str, Any], team: str) -> str:
    if verdict["never"]:
        return f"refuted: {thing} cannot be done at all, not even by all together"
    outcome, least, most = verdict["outcome"], verdict["least"], verdict["most"]
    survived = f"{least - 1} absences at least, {most - 1} at most"
    if verdict["exact"]:
        survived = f"exactly {counted(least - 1, 'absence')}"
    if outcome == "proven":
        done = f"{thing} can be done" + (f" with any {counted(claimed, 'person')} away" if claimed else "")
        return f"proven: {done}; it survives {survived}"
    if outcome == "refuted":
        return f"refuted: {thing} cannot be done without {team}, and is to survive {counted(claimed, 'absence')}"
    return f"unknown: whether {thing} survives {counted(claimed, 'absence')}; it survives {survived}"
