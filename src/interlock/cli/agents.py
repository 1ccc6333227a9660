"""Commands about my agents: programs that act for me, with keys of their own."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.client import ServerOption, call_of, signed_in
from interlock.cli.output import JsonOption, emit, moment, table
from interlock.cli.shown import harmless
from interlock.identity.keys import load_or_create_key, public_jwk

agent_app = typer.Typer(help="One agent: add it, end it.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    app.command("agents")(list_agents)
    agent_app.command("add")(add_agent)
    agent_app.command("end")(end_agent)
    app.add_typer(agent_app, name="agent")


@agent_app.callback()
def _agent() -> None:
    """One agent: add it, end it."""


def list_agents(server: ServerOption = None, json: JsonOption = False) -> None:
    """My agents: they act for me, and count as me."""
    with signed_in(server) as client:
        agents = client.get("/v1/agents")
    rows = [
        (
            agent["id"],
            harmless(agent["name"]),
            moment(agent["registered_at"]),
            f"ended {moment(agent['ended_at'])}" if agent.get("ended_at") else "",
        )
        for agent in agents
    ]
    emit(agents, table(("AGENT", "NAME", "ADDED", ""), rows, nothing="You have no agents."))


def add_agent(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    key: Annotated[Path, typer.Option("--key", help="Its private key (PEM); made there when there is none.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Add an agent of mine. It proves itself with the key in the file, which stays there."""
    jwk = public_jwk(load_or_create_key(key.expanduser().absolute()))
    with signed_in(server) as client:
        answer = client.post("/v1/agents", {"name": name, "jwk": jwk})
    emit(
        answer,
        lambda console: console.print(
            f"{harmless(name)} is your agent. Its client_id is {answer['client']}; its key is in {key}.", soft_wrap=True
        ),
    )


def end_agent(
    agent: Annotated[str, typer.Argument(metavar="ID", help="The agent's client_id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger.")] = "no longer needed",
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """End an agent now, with every token that it has."""
    with signed_in(server) as client:
        answer = client.post(call_of("agents", agent, "end"), {"reason": reason})
    emit(answer, lambda console: console.print(f"{harmless(answer['name'])} has ended.", soft_wrap=True))
