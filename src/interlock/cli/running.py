"""Commands on the server's own machine: up, serve, enrol."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from interlock.app.data_folder import default_data_folder, open_data_folder
from interlock.app.enrolment import make_code
from interlock.app.installation import active_policy
from interlock.app.serving import serve_control, serve_gateway
from interlock.app.supervisor import stop_signals
from interlock.app.up import System, Wanted, running, summary
from interlock.cli.output import JsonOption, emit, moment, note, say, waiting

serve_app = typer.Typer(help="One part alone: the control plane or a gateway worker.", no_args_is_help=True)

ConfigOption = Annotated[Path, typer.Option("--config", readable=False, help="The configuration.")]
# What cannot be read is told by whoever reads it: with the reason, and what to do.
DataOption = Annotated[
    Path | None, typer.Option("--data", envvar="INTERLOCK_DATA", readable=False, help="The data folder.")
]


def add_to(app: typer.Typer) -> None:
    app.command("up")(up)
    serve_app.command("control")(control)
    serve_app.command("gateway")(gateway)
    app.add_typer(serve_app, name="serve")
    app.command("enrol")(enrol)


def up(
    config: ConfigOption = Path("interlock.yaml"),
    data: DataOption = None,
    workers: Annotated[int, typer.Option("--workers", help="Gateway workers; 0: one for each processor.")] = 0,
    json: JsonOption = False,
) -> None:
    """Run everything: the state's database, the control plane, the gateway's workers."""
    asyncio.run(_up(Wanted(config, open_data_folder(data or default_data_folder()), workers)))


async def _up(wanted: Wanted) -> None:
    progress = ExitStack()
    progress.enter_context(waiting("Starting: the database, the control plane, the gateway …"))
    with progress:
        async with stop_signals() as asked, running(wanted, asked) as system:
            progress.close()
            if system is None:
                return
            await _stay(system, asked)


async def _stay(system: System, asked: asyncio.Event) -> None:
    plan = system.plan
    ports = {name: str(address) for name, address in plan.listen.items()}
    active = await active_policy(plan.folder.root)
    for warning in plan.configuration.warnings:
        note(warning)
    if active.digest != plan.configuration.digest:
        note(
            f"{plan.source} was not applied: it is not the active policy, which goes on.\n"
            f"To change the policy: interlock policy propose {plan.source} --reason …"
        )
    emit({"data": str(plan.folder.root), "listen": ports}, lambda _: say(summary(plan)))
    await asked.wait()
    note("Stopping.")


def control(
    config: Annotated[
        Path | None, typer.Option("--config", readable=False, help="The configuration; else the plan of `up`.")
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """The control plane alone."""
    serve_control(open_data_folder(data or default_data_folder()), config)


def gateway(
    worker: Annotated[int, typer.Option("--worker", min=0, max=255, help="This worker's number on this host.")] = 0,
    control_url: Annotated[
        str | None, typer.Option("--control", metavar="URL", help="The control plane; else that of the data folder.")
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """One gateway worker alone, with the keys and the plan in the data folder."""
    serve_gateway(open_data_folder(data or default_data_folder(), create=False), worker, control_url)


def enrol(
    person: Annotated[str, typer.Argument(help="Who is to be let in.")],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make a one-time code with which a person sets a password; on the machine of the control plane only."""
    code = make_code(person, data)
    document = {"person": code.person, "code": code.text, "server": code.server, "expires_at": code.expires_at}

    def show(_: Console) -> None:
        say(f"Hand this to {code.person}, and to nobody else. It works once, until {moment(code.expires_at)}.")
        say(f"  interlock login --server {code.server} --person {code.person} --code {code.text}")
        say(f"In a browser: {code.server}/sign-in, For the first time")

    emit(document, show)
