"""How the domain's things look on a screen. Whatever came from somebody else is made harmless first."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape

from interlock.cli.output import moment
from interlock.domain.durations import format_duration
from interlock.domain.plain_text import written_out

_MOMENTS = {"before": "as they are now", "new": "as they would be put there"}
_VERBS = {"deleted": "deletes", "updated": "updates", "inserted": "inserts"}


def harmless(text: object) -> str:
    """``text`` with control, format and bidirectional characters written out, line breaks and tabs kept.

    A statement or a reason is written by the very person whose request is being judged: it must not be able to move
    the cursor, change colours or reverse what is shown.
    """
    return written_out(str(text), keep="\n\t")


def in_line(text: object) -> str:
    """As ``harmless``, with line breaks written out too: a value must not look like the lines that follow it."""
    return written_out(str(text), keep="\t")


def one_line(text: object, longest: int = 60) -> str:
    """``text`` on one line of at most ``longest`` characters."""
    flat = " ".join(harmless(text).split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def bind_value(value: str | None) -> str:
    """A bind value as SQL would write it."""
    return "NULL" if value is None else "'" + in_line(value).replace("'", "''") + "'"


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``10,000 rows``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def impact_lines(impact: Mapping[str, Any]) -> list[str]:
    """What a held statement would do, one line each, the statement's own target first."""
    lines = [_part_line(part) for part in impact.get("parts") or ()]
    over = impact.get("over_fence")
    if over is not None:
        lines.append(f"It ran into the fence at {counted(int(over), 'row')} and was rolled back.")
    lines.extend(f"would go as well: {in_line(name)}" for name in impact.get("dependents") or ())
    if impact.get("unmeasured"):
        lines.append(f"not measured: {in_line(impact['unmeasured'])}")
    return lines or ["changes no rows"]


def show_request(console: Console, view: Mapping[str, Any]) -> None:
    """A request with its exact content, as an approver must see it."""
    content = view.get("content") or {}
    _pair(console, "Request", f"{view['id']}   {view['state']}")
    _pair(console, "Person", view["person"])
    _pair(console, "Resource", view["resource"])
    if view.get("kind") == "statement":
        _show_statement(console, content)
        show_rows(console, view, content)
        _pair(console, "Why held", view.get("reason"))
    elif view.get("kind") == "policy":
        _show_change(console, view, content)
    elif view.get("kind") == "review":
        _show_review(console, view, content)
    else:
        _pair(console, "Role", view.get("role"))
        _pair(console, "Lends", _lends(content.get("lends") or {}))
        _pair(console, "For", seconds(content.get("duration_s") or view.get("duration")))
        _pair(console, "Reason", view.get("reason"))
        _pair(console, "Key", content.get("key"))
        _show_deployment(console, content)
    _pair(console, "Artifact", view.get("artifact"))
    _show_standing(console, view)


def _show_deployment(console: Console, content: Mapping[str, Any]) -> None:
    """What it deploys; in an emergency what the gate lacks, and who wrote it."""
    if content.get("deploys"):
        _pair(console, "Deploys", f"{content['deploys']} to {content.get('environment')}")
    if content.get("workload"):
        _pair(console, "Job of", content["workload"])
    if content.get("emergency") or content.get("confirmed_by"):
        _pair(console, "Past the gate", " ".join(map(str, content.get("gate_lacks") or ())))
        _pair(console, "No say have", ", ".join(map(str, content.get("involved") or ())))
        _pair(console, "Confirmed by", content.get("confirmed_by"))


def _lends(lends: Mapping[str, Any]) -> str:
    text = " ".join(str(action) for action in lends.get("allow") or ())
    held = " ".join(str(action) for action in lends.get("hold") or ())
    text += f"; held: {held}" if held else ""
    text += f"; by Cedar: {' '.join(lends['cedar'])}" if lends.get("cedar") else ""
    text += f"; fence: {lends['fence_rows']} rows" if lends.get("fence_rows") is not None else ""
    masked = ", ".join(str(column) for column in lends.get("masks") or ())
    return text + (f"; masked: {masked}" if masked else "")


def seconds(value: object) -> str:
    """A stored duration in words: ``2h``, ``90m``, ``45s``."""
    if not isinstance(value, int | float):
        return "" if value is None else str(value)
    return format_duration(timedelta(seconds=value))


def _show_statement(console: Console, content: Mapping[str, Any]) -> None:
    _pair(console, "Session", f"{content.get('session')}, statement {content.get('number')}")
    console.print("Statement, exactly as sent:")
    for line in harmless(content.get("text", "")).split("\n"):
        console.print(escape(f"    {line}"), style="bold", soft_wrap=True)
    parameters: Sequence[str | None] = content.get("parameters") or ()
    for number, value in enumerate(parameters, 1):
        console.print(escape(f"    ${number} = {bind_value(value)}"), soft_wrap=True)
    console.print("What it would do:")
    for line in impact_lines(content.get("impact") or {}):
        console.print(escape(f"    {line}"), soft_wrap=True)


def show_rows(console: Console, view: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Rows that it touches, where they were asked for; else how they are come by."""
    sample = view.get("sample")
    if sample is None:
        if (content.get("sample") or {}).get("sha256") and view.get("may_decide"):
            _pair(console, "Rows", f"interlock show {view['id']} --rows shows some, if you may read them")
        return
    for part in sample["parts"]:
        console.print(escape(f"Rows of {in_line(part['part'])}, {_MOMENTS.get(part['moment'], '')}:"), soft_wrap=True)
        for row in part["rows"]:
            cells = [f"{in_line(name)}={_cell(cell)}" for name, cell in zip(part["columns"], row, strict=True)]
            console.print(escape(f"    {'  '.join(cells)}"), soft_wrap=True)
        if part["why_not"]:
            console.print(escape(f"    {in_line(part['why_not'])}"), soft_wrap=True)
        if part["left_out"] or part["more_columns"]:
            more = [
                *map(in_line, part["left_out"]),
                *([f"{part['more_columns']} more"] if part["more_columns"] else []),
            ]
            console.print(escape(f"    not shown: {', '.join(more)}"), soft_wrap=True)


def _cell(cell: Mapping[str, Any]) -> str:
    if cell["cut"] == "wide":
        return "(too large)"
    return bind_value(cell["text"]) + ("…" if cell["cut"] else "")


def _show_change(console: Console, view: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    proved = content.get("proved") or {}
    _pair(console, "Changes", "the policy")
    _pair(console, "From", content.get("base"))
    _pair(console, "To", content.get("policy"))
    _pair(console, "Proved", f"{proved.get('claims')} claims, in the model {proved.get('model_sha256')}")
    _pair(console, "Reason", view.get("reason"))
    for sentence in content.get("changes") or ():
        console.print(escape(f"    {in_line(sentence)}"), style="bold", soft_wrap=True)
    if content.get("more_changes"):
        console.print(f"    and {content['more_changes']} more: interlock policy show {view['id']} --text")


def _show_review(console: Console, view: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    _pair(console, "Broke", f"the glass for {content.get('role')}, without anybody's approval")
    _pair(console, "Lends", _lends(content.get("lends") or {}))
    _pair(console, "For", seconds(content.get("duration_s")))
    _pair(console, "Reason", view.get("reason"))
    _pair(console, "Told", ", ".join(content.get("told") or ()))
    _show_deployment(console, content)
    console.print("What was done: interlock sessions, and interlock replay ID. An approval closes the review.")


def _show_standing(console: Console, view: Mapping[str, Any]) -> None:
    _pair(console, "Opened", moment(view.get("opened_at")))
    if view.get("state") == "open":
        _pair(console, "Open until", "it is closed" if view.get("kind") == "review" else moment(view.get("expires_at")))
    for approval in view.get("approvals") or ():
        _pair(console, "Approved by", f"{approval['person']}   {moment(approval.get('at'))}")
    if view.get("decided_by"):
        why = view.get("decided_reason") or ""
        _pair(console, "Decided by", f"{view['decided_by']}   {moment(view.get('decided_at'))}   {why}".rstrip())
    if view.get("state") == "open" and view.get("missing"):
        _pair(console, "Still needed", f"{counted(int(view['missing']), 'approval')}")
        _pair(console, "Who may", ", ".join(view.get("judges") or ()) or "nobody now")


def _pair(console: Console, name: str, value: object) -> None:
    if value not in (None, ""):
        console.print(f"[bold]{name + ':':<13}[/bold] {escape(in_line(value))}", soft_wrap=True)


def _part_line(part: Mapping[str, Any]) -> str:
    """``deletes 10,000 of 10,000 rows in table public.orders``."""
    done = [(verb, int(part[what])) for what, verb in _VERBS.items() if part.get(what)]
    total = part.get("total")
    of = f" of {int(total):,}" if total is not None else ""
    said = ", ".join(f"{verb} {count:,}{of if verb != 'inserts' else ''} rows" for verb, count in done)
    return f"{said or 'changes no rows'} in {in_line(part['part'])}"
