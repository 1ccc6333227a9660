"""Commands about people and contracts: look, and end."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import typer

from interlock.cli.client import ServerOption, call_of, signed_in
from interlock.cli.output import JsonOption, as_time, emit, moment, table
from interlock.cli.shown import harmless

contract_app = typer.Typer(help="One contract: its end.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    app.command("people")(list_people)
    app.command("contracts")(list_contracts)
    contract_app.command("end")(end_contract)
    app.add_typer(contract_app, name="contract")


@contract_app.callback()
def _contract() -> None:
    """One contract: its end."""


def list_people(server: ServerOption = None, json: JsonOption = False) -> None:
    """The people that I may know of."""
    with signed_in(server) as client:
        people = client.get("/v1/people")
    rows = [
        (
            person["name"],
            person.get("vendor") or "employee",
            ", ".join(person.get("groups") or ()),
            f"left {moment(person['ended_at'])}" if person.get("ended_at") else "",
        )
        for person in people
    ]
    emit(people, table(("PERSON", "VENDOR", "GROUPS", ""), rows, nothing="There is nobody to show."))


def list_contracts(server: ServerOption = None, json: JsonOption = False) -> None:
    """The contracts, their sponsors and windows."""
    with signed_in(server) as client:
        contracts = client.get("/v1/contracts")
    rows = [
        (
            contract["name"],
            contract["vendor"],
            contract["sponsor"],
            _last_day(contract),
            ", ".join(contract.get("roles") or ()),
            f"ended {moment(contract['ended_at'])}" if contract.get("ended_at") else "",
        )
        for contract in contracts
    ]
    columns = ("CONTRACT", "VENDOR", "SPONSOR", "LAST DAY", "ROLES", "")
    emit(contracts, table(columns, rows, nothing="There are no contracts to show."))


def end_contract(
    contract: Annotated[str, typer.Argument(metavar="ID", help="The contract's name.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger.")] = "the work is over",
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """End a contract now, with the grants, logins and live sessions that rest on it."""
    with signed_in(server) as client:
        answer = client.post(call_of("contracts", contract, "end"), {"reason": reason})
    emit(answer, lambda console: console.print(f"{harmless(contract)} has ended.{_rested(answer)}", soft_wrap=True))


def _last_day(contract: Mapping[str, Any]) -> str:
    """What is stored is the first moment after it."""
    end = as_time(contract["end"])
    return "" if end is None else f"{end - timedelta(microseconds=1):%Y-%m-%d}"


def _rested(answer: Any) -> str:
    ended = answer.get("ended") if isinstance(answer, dict) else answer
    if not isinstance(ended, list) or len(ended) < 2:
        return ""
    # The first is the person or the contract itself.
    return " Ended with it: " + ", ".join(harmless(f"{item['what']} {item['id']}") for item in ended[1:]) + "."
