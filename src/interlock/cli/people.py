"""Commands about people and contracts: look, and end."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from interlock.cli.client import ServerOption, call_of, signed_in
from interlock.cli.inviting import add_invitations
from interlock.cli.output import JsonOption, as_time, emit, moment, note, table
from interlock.cli.shown import harmless
from interlock.errors import Failure, NotFound, Refusal

contract_app = typer.Typer(
    help="One contract: invite to it, confirm, take, extend, end.", no_args_is_help=True, rich_markup_mode=None
)


def add_to(app: typer.Typer) -> None:
    app.command("people")(list_people)
    app.command("contracts")(list_contracts)
    contract_app.command("end")(end_contract)
    contract_app.command("confirm")(confirm_contract)
    contract_app.command("take")(take_contract)
    contract_app.command("extend")(extend_contract)
    contract_app.command("agree")(agree_extension)
    contract_app.command("disagree")(disagree_extension)
    add_invitations(contract_app)
    app.add_typer(contract_app, name="contract")


@contract_app.callback()
def _contract() -> None:
    """One contract: invite to it, confirm, take, extend, end."""


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
        asked = {one["contract"]: one for one in client.get("/v1/extensions")}
    rows = [
        (
            contract["name"],
            contract["vendor"],
            contract["sponsor"],
            _last_day(contract),
            ", ".join(contract.get("roles") or ()),
            _state_of(contract, asked.get(contract["name"])),
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


def confirm_contract(
    contract: Annotated[str, typer.Argument(metavar="ID", help="The contract's name.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Confirm, as its sponsor, that a contract is still needed."""
    with signed_in(server) as client:
        answer = client.post(call_of("contracts", contract, "confirm"))
    emit(answer, lambda console: console.print(f"{harmless(contract)} is confirmed.", soft_wrap=True))


def take_contract(
    contract: Annotated[str, typer.Argument(metavar="ID", help="The contract's name.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Answer from now on for a contract whose sponsor has left."""
    with signed_in(server) as client:
        answer = client.post(call_of("contracts", contract, "take"))
    emit(answer, lambda console: console.print(f"You answer for {harmless(contract)} now.", soft_wrap=True))


def extend_contract(
    contract: Annotated[str, typer.Argument(metavar="ID", help="The contract's name.")],
    until: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day, in UTC.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; who agrees reads it.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Ask, as its sponsor, that a contract end later; another employee has to agree."""
    end = until.replace(tzinfo=UTC) + timedelta(days=1)
    with signed_in(server) as client:
        body = {"until_s": int(end.timestamp()), "reason": reason}
        answer = client.post(call_of("contracts", contract, "extend"), body)
    said = f"Asked. Another employee types: interlock contract agree {harmless(contract)}"
    emit(answer, lambda console: console.print(said, soft_wrap=True))


def agree_extension(
    contract: Annotated[str, typer.Argument(metavar="ID", help="The contract's name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts that have shown it.")] = False,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Agree that a contract ends later, as another employee than its sponsor."""
    _decide(contract, server, agree=True, yes=yes)


def disagree_extension(
    contract: Annotated[str, typer.Argument(metavar="ID", help="The contract's name.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Say no to an extension."""
    _decide(contract, server, agree=False, yes=True)


def _decide(contract: str, server: str | None, *, agree: bool, yes: bool) -> None:
    with signed_in(server) as client:
        asked = {one["contract"]: one for one in client.get("/v1/extensions")}.get(contract)
        if asked is None:
            raise NotFound(f"No extension of {contract} waits for an answer.", "See `interlock contracts`.")
        end = as_time(asked["until"])
        if end is None:
            raise Failure("The server's answer has no time.", "Try again.")
        note(f"{harmless(asked['asked_by'])} asks that {harmless(contract)} end on {_day_before(end)}:")
        note(f"  {harmless(asked['reason'])}")
        if not yes and not typer.confirm("Do you agree?", default=False, err=True):
            raise Refusal("not-confirmed", "Nothing was decided.", "To refuse it: interlock contract disagree ID")
        body = {"until_s": int(end.timestamp()), "agree": agree}
        answer = client.post_present(call_of("contracts", contract, "extension"), body)
    said = f"{harmless(contract)} ends on {_day_before(end)}." if agree else "It stays as it was."
    emit(answer, lambda console: console.print(said, soft_wrap=True))


def _state_of(contract: Mapping[str, Any], extension: Mapping[str, Any] | None) -> str:
    if contract.get("ended_at"):
        return f"ended {moment(contract['ended_at'])}"
    said = []
    if contract.get("paused_at"):
        said.append(f"paused: {harmless(contract['paused_reason'])}")
    elif contract.get("warned_at"):
        said.append("ends soon")
    if extension is not None:
        end = as_time(extension["until"])
        said.append(f"until {_day_before(end)} is asked" if end else "an extension is asked")
    return "; ".join(said)


def _day_before(end: datetime) -> str:
    return f"{end - timedelta(microseconds=1):%Y-%m-%d}"


def _last_day(contract: Mapping[str, Any]) -> str:
    """What is stored is the first moment after it."""
    end = as_time(contract["end"])
    return "" if end is None else _day_before(end)


def _rested(answer: Any) -> str:
    ended = answer.get("ended") if isinstance(answer, dict) else answer
    if not isinstance(ended, list) or len(ended) < 2:
        return ""
    # The first is the person or the contract itself.
    return " Ended with it: " + ", ".join(harmless(f"{item['what']} {item['id']}") for item in ended[1:]) + "."
