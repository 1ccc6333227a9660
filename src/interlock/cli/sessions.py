"""Commands about sessions: list, watch, replay, cut."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from interlock.cli import output
from interlock.cli.client import ServerOption, call_of, signed_in
from interlock.cli.output import JsonOption, emit, short_moment, table
from interlock.cli.shown import bind_value, counted, harmless, impact_lines, in_line
from interlock.errors import Refusal

_LONGEST_PAUSE_S = 10.0

SessionId = Annotated[str, typer.Argument(metavar="ID", help="The session's number, such as s-4k2m8q1x7p3vd.")]


def add_to(app: typer.Typer) -> None:
    app.command("sessions")(list_sessions)
    app.command("watch")(watch)
    app.command("replay")(replay)
    app.command("cut")(cut)


def list_sessions(
    live: Annotated[bool, typer.Option("--live", help="Only those that are open now.")] = False,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """The sessions: mine, and those that I answer for."""
    with signed_in(server) as client:
        sessions = client.get("/v1/sessions", live="true" if live else "false")
    rows = [
        (
            session["id"],
            session["person"],
            session["resource"],
            short_moment(session["opened_at"]),
            f"ended: {session.get('closed_why') or 'closed'}" if session.get("closed_at") else "live",
            str(session.get("statements") or "") if session.get("closed_at") else "",
        )
        for session in sessions
    ]
    columns = ("ID", "PERSON", "RESOURCE", "OPENED", "STATE", "STMTS")
    emit(sessions, table(columns, rows, nothing="There are no live sessions." if live else "There are no sessions."))


def watch(session: SessionId, server: ServerOption = None, json: JsonOption = False) -> None:
    """See a live session as it happens, until it ends. Under --json: one record a line, as they come."""
    with signed_in(server) as client:
        _print_records(client.stream(call_of("sessions", session, "watch")), speed=0.0, as_lines=True)


def replay(
    session: SessionId,
    speed: Annotated[
        float, typer.Option("--speed", min=0.0, help="1: as fast as it was; 4: four times; 0: all at once.")
    ] = 0.0,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """The recording of a session: statements with their times, decisions, rows."""
    with signed_in(server) as client:
        records = client.stream(call_of("sessions", session, "records"))
        if output.prints_json():
            emit(list(records), lambda console: None)
        else:
            _print_records(records, speed=speed, as_lines=False)


def cut(
    session: SessionId,
    reason: Annotated[str, typer.Option("--reason", help="Why; the person sees it.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Close a live session now, in the middle of a statement too."""
    with signed_in(server) as client:
        answer = client.post(call_of("sessions", session, "cut"), {"reason": reason})
    emit(answer, lambda console: console.print(f"{harmless(session)} is being cut."))


def describe(record: Mapping[str, Any]) -> tuple[str, str]:
    """A record as (style, text for people)."""
    read = _DESCRIPTIONS.get(str(record.get("type")))
    if read is None:
        return "dim", f"{record.get('type')}: written by a later version of Interlock"
    style, text = read(record)
    return style, harmless(text)


def _print_records(records: Iterator[Mapping[str, Any]], *, speed: float, as_lines: bool) -> None:
    console = output.screen()
    started: datetime | None = None
    last: datetime | None = None
    for record in records:
        if as_lines and output.prints_json():
            output.line(record)
            continue
        at = output.as_time(record.get("at"))
        started = started or at
        if speed and at and last and at > last:
            time.sleep(min(_LONGEST_PAUSE_S, (at - last).total_seconds()) / speed)
        last = at or last
        _print_record(console, record, (at - started).total_seconds() if at and started else 0.0)
    if started is None and not output.prints_json():
        raise Refusal("no-records", "The session has no records to show.", "See `interlock sessions`.")


def _print_record(console: Console, record: Mapping[str, Any], offset_s: float) -> None:
    style, text = describe(record)
    first, *rest = text.split("\n")
    console.print(f"[dim]{_clock(offset_s):>10}[/dim]  {escape(first)}", style=style, soft_wrap=True)
    for line in rest:
        console.print(f"{'':>10}  {escape(line)}", style=style, soft_wrap=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:06.3f}" if hours else f"{minutes}:{rest:06.3f}"


def _open(record: Mapping[str, Any]) -> tuple[str, str]:
    grants = ", ".join(record.get("grants") or ())
    client = f" with {in_line(record['client'])}" if record.get("client") else ""
    where = f"{record.get('person')} connects to {record.get('resource')} from {record.get('address')}{client}"
    return "bold", f"{where}, on {grants or 'no grant'}"


def _statement(record: Mapping[str, Any]) -> tuple[str, str]:
    lines = [f"{record.get('number')}> {record.get('text', '')}"]
    lines.extend(f"   ${place} = {bind_value(value)}" for place, value in enumerate(record.get("parameters") or (), 1))
    effect = record.get("effect")
    if effect == "allow":
        return "", "\n".join(lines)
    lines.append(f"   {'held' if effect == 'hold' else 'refused'}: {in_line(record.get('reason', ''))}")
    return ("yellow" if effect == "hold" else "red"), "\n".join(lines)


def _held(record: Mapping[str, Any]) -> tuple[str, str]:
    impact = record.get("impact") or {}
    lines = [f"{record.get('number')}: held as {record.get('request')}; it would do:"]
    return "yellow", "\n   ".join([*lines, *impact_lines(impact)])


def _released(record: Mapping[str, Any]) -> tuple[str, str]:
    went = "approved, it runs" if record.get("effect") == "allow" else "not approved"
    reason = f": {in_line(record['reason'])}" if record.get("reason") else ""
    return ("green" if record.get("effect") == "allow" else "red"), f"{record.get('number')}: {went}{reason}"


def _outcome(record: Mapping[str, Any]) -> tuple[str, str]:
    took = f", {int(record.get('took_us') or 0) / 1000:.1f} ms"
    if record.get("error"):
        return "red", f"{record.get('number')}: {in_line(record['error'])}{took}"
    parts = [str(record["tag"])] if record.get("tag") else []
    if record.get("rows"):
        parts.append(f"{counted(int(record['rows']), 'row')} returned")
    if record.get("changed"):
        parts.append(f"{counted(int(record['changed']), 'row')} changed")
    if record.get("size_bytes"):
        parts.append(counted(int(record["size_bytes"]), "byte"))
    return "dim", f"{record.get('number')}: {', '.join(parts) or 'done'}{took}"


def _output(record: Mapping[str, Any]) -> tuple[str, str]:
    return "", f"{record.get('number')}: {str(record.get('text', '')).rstrip()}"


def _input(record: Mapping[str, Any]) -> tuple[str, str]:
    return "dim", f"{record.get('number')}: typed {counted(int(record.get('characters') or 0), 'character')}, not shown"


def _resize(record: Mapping[str, Any]) -> tuple[str, str]:
    return "dim", f"{record.get('number')}: the terminal is {record.get('columns')} × {record.get('rows')}"


def _close(record: Mapping[str, Any]) -> tuple[str, str]:
    count = counted(int(record.get("statements") or 0), "statement")
    return "bold", f"closed: {in_line(record.get('why') or 'the client left')} ({count})"


_DESCRIPTIONS = {
    "open": _open,
    "statement": _statement,
    "held": _held,
    "released": _released,
    "outcome": _outcome,
    "output": _output,
    "input": _input,
    "resize": _resize,
    "close": _close,
}
