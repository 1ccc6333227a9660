"""Records of a session as they are shown: live, and in a recording."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from interlock.domain.plain_text import written_out

_VERBS = {"deleted": "deletes", "updated": "updates", "inserted": "inserts"}


@dataclass(slots=True)
class Told:
    """When the first record was made: places in a recording are counted from there."""

    started: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One record. ``state`` is ``plain``, ``held``, ``no``, ``yes``, ``edge`` or ``dim``; ``after_s`` its place.

    ``output`` is what a terminal showed: text, and no statement.
    """

    n: int
    at: datetime | None
    after_s: float
    kind: str
    state: str
    number: int | None
    said: str
    statement: str | None = None
    parameters: Sequence[str | None] = ()
    parts: Sequence[str] = ()
    policies: Sequence[str] = ()
    output: str = ""


def read_record(record: Mapping[str, Any], told: Told) -> Line:
    """A record of any version; one that is not known is shown as that."""
    at = _time(record.get("at"))
    told.started = told.started or at
    after = (at - told.started).total_seconds() if at and told.started else 0.0
    kind = str(record.get("type", ""))
    number = record.get("number")
    state, said, more = _describe(kind, record)
    place = record.get("n")
    return Line(
        n=place if isinstance(place, int) else 0,
        at=at,
        after_s=after,
        kind=kind,
        state=state,
        number=number if isinstance(number, int) else None,
        said=said,
        **more,
    )


def impact_lines(impact: Mapping[str, Any]) -> list[str]:
    """What a held statement would do, one line each, its own target first."""
    lines = [_part(part) for part in impact.get("parts") or ()]
    over = impact.get("over_fence")
    if over is not None:
        lines.append(f"It ran into the fence at {counted(int(over), 'row')} and was rolled back.")
    lines += [f"Would go as well: {written_out(str(name))}" for name in impact.get("dependents") or ()]
    if impact.get("unmeasured"):
        lines.append(f"Not measured: {written_out(str(impact['unmeasured']))}")
    return lines or ["Changes no rows."]


def counted(number: int, one: str) -> str:
    return f"{number:,} {one if number == 1 else one + 's'}"


def _describe(kind: str, record: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    reason = str(record.get("reason") or "")
    match kind:
        case "open":
            grants = ", ".join(record.get("grants") or ()) or "no grant"
            client = f" with {record['client']}" if record.get("client") else ""
            where = f"{record.get('person')} connects to {record.get('resource')} from {record.get('address')}"
            return "edge", f"{where}{client}, on {grants}", {}
        case "statement":
            effect = record.get("effect")
            state = {"allow": "plain", "hold": "held"}.get(str(effect), "no")
            text = str(record.get("text", ""))
            said = "" if effect == "allow" else f"{'Held' if effect == 'hold' else 'Refused'}: {reason}"
            more = {
                "statement": text or None,
                "parameters": tuple(record.get("parameters") or ()),
                "policies": tuple(str(policy) for policy in record.get("policies") or ()),
            }
            # A shell is asked for without a command.
            return state, said if text or said else "A shell begins.", more
        case "held":
            said = f"Held as {record.get('request')}; it would do:"
            return "held", said, {"parts": impact_lines(record.get("impact") or {})}
        case "released":
            yes = record.get("effect") == "allow"
            return ("yes" if yes else "no"), ("Approved, it runs." if yes else f"Not approved. {reason}").strip(), {}
        case "outcome":
            return _outcome(record)
        case "output":
            # A terminal ends its lines with CR LF: the CR says nothing there.
            return "dim", "", {"output": str(record.get("text", "")).replace("\r\n", "\n")}
        case "input":
            return "dim", f"typed {counted(int(record.get('characters') or 0), 'character')}, not shown", {}
        case "resize":
            return "dim", f"the terminal is {record.get('columns')} × {record.get('rows')}", {}
        case "close":
            count = counted(int(record.get("statements") or 0), "statement")
            return "edge", f"Closed: {record.get('why') or 'the client left'} ({count})", {}
    return "dim", f"{kind}: written by a later version of Interlock", {}


def _outcome(record: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    took = f"{int(record.get('took_us') or 0) / 1000:,.1f} ms"
    if record.get("error"):
        return "no", f"{record['error']} · {took}", {}
    parts = [str(record["tag"])] if record.get("tag") else []
    if record.get("rows"):
        parts.append(f"{counted(int(record['rows']), 'row')} returned")
    if record.get("changed"):
        parts.append(f"{counted(int(record['changed']), 'row')} changed")
    if record.get("size_bytes"):
        parts.append(counted(int(record["size_bytes"]), "byte"))
    return "dim", " · ".join([*parts, took] if parts else ["done", took]), {}


def _part(part: Mapping[str, Any]) -> str:
    done = [(verb, int(part[what])) for what, verb in _VERBS.items() if part.get(what)]
    total = part.get("total")
    of = f" of {int(total):,}" if total is not None else ""
    said = ", ".join(f"{verb} {count:,}{of if verb != 'inserts' else ''} rows" for verb, count in done)
    return f"{said or 'changes no rows'} in {written_out(str(part['part']))}"


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
