"""Commands around requests: ask, look, approve, deny, withdraw."""

import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from interlock.cli import output
from interlock.cli.client import Client, ServerOption, call_of, signed_in
from interlock.cli.output import JsonOption, emit, left, say, table
from interlock.cli.shown import harmless, one_line, seconds, show_request
from interlock.errors import NotFound, Refusal

_DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,5})s)?", re.ASCII)
_WAIT_S = 25

RequestId = Annotated[str, typer.Argument(metavar="ID", help="The request's number, such as r-4k2m8q1x.")]


def add_to(app: typer.Typer) -> None:
    app.command("request")(ask)
    app.command("requests")(list_requests)
    app.command("show")(show)
    app.command("approve")(approve)
    app.command("deny")(deny)
    app.command("withdraw")(withdraw)


def ask(
    resource: Annotated[str, typer.Argument(help="What to reach.")],
    role: Annotated[str, typer.Option("--role", help="The role to borrow.")],
    length: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 1h30m.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; others read it to decide.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is decided.")] = False,
    emergency: Annotated[
        bool, typer.Option("--break-glass", help="Take it at once, in an emergency; two others review it afterwards.")
    ] = False,
    artifact: Annotated[
        str, typer.Option("--artifact", metavar="REF", help="What it is for: change:CH-17, commit:HASH, …")
    ] = "",
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Ask for a grant: a role on a resource, for a time, for a reason."""
    duration = read_duration(length)
    with signed_in(server) as client:
        body = {"resource": resource, "role": role, "duration_s": int(duration.total_seconds()), "reason": reason}
        body |= {"artifact": artifact} if artifact else {}
        if emergency:
            broken = flatten(client.post_present("/v1/requests/break-glass", body))
            emit(broken, lambda console: console.print(harmless(_broken(broken)), soft_wrap=True))
            return 0
        view = flatten(client.post("/v1/requests", body))
        if wait:
            if not output.prints_json():
                output.note(_asked(view))
            view = await_decision(client, str(view["id"]))
    emit(view, lambda console: console.print(harmless(_outcome(view) if wait else _asked(view)), soft_wrap=True))
    return 0 if not wait or view["state"] == "approved" else 1


def list_requests(
    mine: Annotated[bool, typer.Option("--mine", help="Those that I opened (what is shown by default).")] = False,
    to_decide: Annotated[bool, typer.Option("--to-decide", help="Those that wait for my yes or no.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All that I may see.")] = False,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """The requests that I opened, or those that I may decide."""
    if mine + to_decide + everything > 1:
        raise typer.BadParameter("choose one of --mine, --to-decide and --all")
    scope = "to-decide" if to_decide else "all" if everything else "mine"
    with signed_in(server) as client:
        views = [flatten(view) for view in client.get("/v1/requests", scope=scope)]
    rows = [
        (str(view["id"]), str(view["state"]), str(view["person"]), str(view["resource"]), _what(view), _time(view))
        for view in views
    ]
    nothing = "Nothing waits for your decision." if to_decide else "There are no requests."
    emit(views, table(("ID", "STATE", "PERSON", "RESOURCE", "WHAT", "TIME"), rows, nothing=nothing))


def show(
    request: RequestId,
    rows: Annotated[
        bool, typer.Option("--rows", help="With rows that a held statement touches, if you may read them; recorded.")
    ] = False,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """A request with its exact content, and how it stands."""
    with signed_in(server) as client:
        view = flatten(client.get(call_of("requests", request)))
        if rows:
            view["sample"] = client.post(call_of("requests", request, "sample"), {})
    emit(view, lambda console: show_request(console, view))


def approve(
    request: RequestId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts that have shown it already.")] = False,
    digest: Annotated[str, typer.Option("--digest", help="With --yes: the digest of the content that was seen.")] = "",
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Say yes to exactly what the request asks, after looking at it."""
    with signed_in(server) as client:
        try:
            view = flatten(client.get(call_of("requests", request)))
        except NotFound:
            # Who may not see it may not approve it either; the answer to the approval itself says why.
            view = {}
        if view and not yes:
            _look_and_confirm(view)
        answer = client.post_present(
            call_of("requests", request, "approve"), {"digest": digest or view.get("digest", "")}
        )
    approved = flatten(answer) if isinstance(answer, Mapping) else {}
    emit(answer, lambda console: console.print(harmless(_approved(request, approved)), soft_wrap=True))


def deny(
    request: RequestId,
    reason: Annotated[str, typer.Option("--reason", help="Why not; the requester reads it.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Say no to a request."""
    with signed_in(server) as client:
        answer = client.post(call_of("requests", request, "deny"), {"reason": reason})
    emit(answer, lambda console: console.print(f"{harmless(request)} is denied."))


def withdraw(request: RequestId, server: ServerOption = None, json: JsonOption = False) -> None:
    """Take back a request of mine."""
    with signed_in(server) as client:
        answer = client.post(call_of("requests", request, "withdraw"), {})
    emit(answer, lambda console: console.print(f"{harmless(request)} is withdrawn."))


def read_duration(text: str) -> timedelta:
    """``2h``, ``90m``, ``1h30m``, ``45s``, ``1d``. Raises Refusal."""
    match = _DURATION.fullmatch(text.strip())
    parts = [int(part or 0) for part in match.groups()] if match else []
    if not any(parts):
        raise Refusal("bad-duration", f"{text!r} is no length of time.", "Write it as 30m, 2h or 1h30m.")
    days, hours, minutes, rest = parts
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=rest)


def await_decision(client: Client, request: str) -> dict[str, Any]:
    """The request as it stands when it is no longer open."""
    with output.waiting(f"{request} waits for a decision. Ctrl-C stops waiting, not the request."):
        while True:
            view = flatten(client.get(call_of("requests", request), wait=str(_WAIT_S)))
            if view["state"] != "open":
                return view


def flatten(view: Mapping[str, Any]) -> dict[str, Any]:
    """The request's own fields beside those that say how it stands, whether or not they came apart."""
    inner = view.get("request")
    if isinstance(inner, Mapping):
        return {**inner, **{name: value for name, value in view.items() if name != "request"}}
    return dict(view)


def _look_and_confirm(view: Mapping[str, Any]) -> None:
    if not sys.stdin.isatty() or output.prints_json():
        raise Refusal(
            "not-confirmed",
            "Nobody was there to look at the request and say yes.",
            f"Type it on a terminal, or look at `interlock show {view['id']}` and add --yes.",
        )
    show_request(output.screen(), view)
    say("")
    if not typer.confirm("Approve exactly this?", default=False):
        raise Refusal("not-confirmed", "Nothing was approved.", f"To refuse it: interlock deny {view['id']} --reason …")


def _asked(view: Mapping[str, Any]) -> str:
    who = ", ".join(view.get("judges") or ())
    lines = [f"{view['id']} is open: {view['role']} on {view['resource']}."]
    if who:
        lines.append(f"May approve: {who}. They type: interlock approve {view['id']}")
    else:
        lines.append(f"An approver types: interlock approve {view['id']}")
    return "\n".join(lines)


def _broken(view: Mapping[str, Any]) -> str:
    grant, told = view["grant"], ", ".join((view.get("content") or {}).get("told") or ())
    return (
        f"{grant['id']} has started without anybody's approval and ends {output.moment(grant['ends_at'])}.\n"
        f"Told: {told or 'nobody'}.\n"
        f"Two others must close the review {view['id']}; until then you break no glass. Everything is recorded.\n"
        f"Type: interlock connect {view['resource']}"
    )


def _outcome(view: Mapping[str, Any]) -> str:
    if view["state"] == "approved":
        return f"{view['id']} is approved: type `interlock connect {view['resource']}`."
    why = view.get("decided_reason") or ""
    by = f" by {view['decided_by']}" if view.get("decided_by") else ""
    return f"{view['id']} is {view['state']}{by}. {why}".rstrip()


def _approved(request: str, view: Mapping[str, Any]) -> str:
    missing = int(view.get("missing") or 0)
    if missing or view.get("state") == "open":
        return f"{request}: your approval is kept; {missing or 'more'} more needed."
    grant = view.get("grant")
    if isinstance(grant, Mapping):
        return f"{request} is approved: {grant['id']} has started and ends {output.moment(grant['ends_at'])}."
    if view.get("kind") == "policy":
        return f"{request} is approved. Put it into effect: interlock policy activate {request}"
    if view.get("kind") == "review":
        return f"The review {request} is closed."
    return f"{request} is approved."


def _what(view: Mapping[str, Any]) -> str:
    content: Mapping[str, Any] = view.get("content") or {}
    if view.get("kind") == "statement":
        return one_line(content.get("text", ""), 40)
    if view.get("kind") == "policy":
        return one_line("; ".join(content.get("changes") or ()), 40)
    if view.get("kind") == "review":
        return f"broke the glass: {view.get('role')} for {seconds(content.get('duration_s'))}"
    return f"{view.get('role')} for {seconds(content.get('duration_s') or view.get('duration'))}"


def _time(view: Mapping[str, Any]) -> str:
    if view.get("state") == "open" and view.get("kind") == "review":
        return "until closed"
    if view.get("state") == "open":
        return f"{left(view.get('expires_at'))} left"
    opened = output.as_time(view.get("decided_at") or view.get("opened_at"))
    return "" if opened is None else f"{output.span(datetime.now(UTC) - opened)} ago"
