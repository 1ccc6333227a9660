"""`interlock connect`: start an ordinary client with this login's short-lived credentials."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from interlock.app.psql import find_psql
from interlock.cli.client import Client, ServerOption, signed_in
from interlock.cli.home import Home
from interlock.cli.output import JsonOption, emit, moment, note
from interlock.cli.pg_service import service_of, write_home_file
from interlock.cli.presence import prove_where_needed
from interlock.cli.shown import counted
from interlock.cli.signing_in import services_of
from interlock.cli.ssh_client import become_ssh, fetch_certificate, ssh_host_of, ssh_hosts_of, write_ssh_config
from interlock.domain.signin import MOST_CONNECTIONS
from interlock.errors import Failure, NotFound, Refusal

_KEPT = frozenset({"PGOPTIONS", "PGTZ", "PGDATESTYLE", "PGCLIENTENCODING", "PGAPPNAME", "PGCONNECT_TIMEOUT"})
"""The user's own settings of libpq that say nothing about where and as whom to connect."""


def add_to(app: typer.Typer) -> None:
    app.command("connect")(connect)


def connect(
    resource: Annotated[str, typer.Argument(help="What to connect to; orders/otherdb names another database.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[-- ARGUMENTS]", help="For the client.")] = None,
    print_: Annotated[bool, typer.Option("--print", help="Print a password that is good for 60 s instead.")] = False,
    connections: Annotated[
        int,
        typer.Option(
            help="How many connections your proof of presence (or the password of --print) is for.",
            min=1,
            max=MOST_CONNECTIONS,
        ),
    ] = 1,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Start psql or ssh (or the resource's client) through the gateway, signed in with your certificate."""
    name, _, database = resource.partition("/")
    with signed_in(server) as client:
        if client.home.login().get("workload"):
            _connect_job(client.home, name, database, arguments or [])
        found = _find(client, name)
        presence = prove_where_needed(client, found, connections, password=print_)
        if print_:
            _print_password(client, name, database, connections, presence)
            return
        if ssh_host_of(found) is not None:
            fetch_certificate(client, name)
            become_ssh(write_ssh_config(client.home, ssh_hosts_of(client)), name, arguments or [])
        service = service_of(found, client.person)
        home, services = client.home, services_of(client)
    if service is None:
        raise Failure(
            f"interlock connect knows no client program for {found['kind']}.",
            f"Point yours to {_where(found)}, with the password from: interlock connect {name} --print",
        )
    write_home_file(home, services)
    _become_psql(home, service.name, f"{name}/{database}" if database else "", arguments or [])


def _connect_job(home: Home, name: str, database: str, arguments: Sequence[str]) -> None:
    """A job connects with what a gate has lent it, and with nothing else."""
    if not home.services.exists() or f"[{name}]" not in home.services.read_text(encoding="utf-8").splitlines():
        raise Refusal(
            "no-grant",
            f"Nothing on {name} was lent to this job.",
            "Ask the gate: interlock gate CHAIN DUTY --artifact git:REPOSITORY@HASH --environment NAME --lend 30m",
        )
    _become_psql(home, name, f"{name}/{database}" if database else "", arguments)


def _find(client: Client, name: str) -> Mapping[str, Any]:
    for resource in client.get("/v1/resources"):
        if resource["name"] == name:
            found: Mapping[str, Any] = resource
            return found
    raise NotFound(f"There is no resource named {name}.", "See `interlock resources`.")


def _become_psql(home: Home, service: str, database: str, arguments: Sequence[str]) -> None:
    psql = find_psql()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG") or name in _KEPT}
    # Everything that signs in stands in files that only this account reads, nothing on the command line.
    environment |= {"PGSERVICEFILE": str(home.services), "PGSERVICE": service}
    # What the service file says wins over the environment, so another database is named as psql's own argument.
    other = ["--dbname", f"dbname={_quoted(database)}"] if database else []
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(psql, [psql.name, *other, *arguments], environment)  # noqa: S606 -- becoming the client is the purpose


def _quoted(text: str) -> str:
    """A value in a connection string (libpq, "Keyword/Value Connection Strings")."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _print_password(client: Client, name: str, database: str, connections: int, presence: str) -> None:
    issued = client.post("/v1/passwords", {"resource": name, "connections": connections, "presence": presence})
    target = f"{name}/{database}" if database else str(issued.get("database") or name)
    tls = "required, but for clients on the gateway's own machine" if issued["clear_text"] else "required"

    def show(console: Console) -> None:
        rows = (
            ("host", issued["host"]),
            ("port", issued["port"]),
            ("database", target),
            ("user", issued["user"]),
            ("password", issued["password"]),
            ("TLS", f"{tls}; the authority is in {client.home.authority}"),
        )
        for key, value in rows:
            console.print(f"{key:<9} {value}", markup=False, soft_wrap=True)
        good_for = counted(int(issued["connections"]), "connection")
        note(f"Good for {good_for} from one machine, until {moment(issued['expires_at'])}.")

    emit({**issued, "database": target, "authority_file": str(client.home.authority)}, show)


def _where(resource: Mapping[str, Any]) -> str:
    where = resource.get("connect")
    return f"{where['host']} port {where['port']}" if isinstance(where, Mapping) else "the gateway"
