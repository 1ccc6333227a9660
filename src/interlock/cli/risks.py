"""The matrix of conflicts: shown, written to a file, and read from one into the policy's own words."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.client import ServerOption, signed_in
from interlock.cli.ledger_published import keep_private
from interlock.cli.output import JsonOption, emit, say, table
from interlock.cli.shown import harmless
from interlock.domain.codec import from_plain
from interlock.errors import ConfigurationError, Refusal
from interlock.ledger.report_pages import Report, Section, as_html
from interlock.policy.configuration import Separation
from interlock.policy.risk_exchange import as_rows, read_csv, read_xacml, write_csv, write_xacml, write_yaml

_COLUMNS = ("ROLES", "KIND", "RISK", "OWNER", "MITIGATION", "UNTIL", "STATE", "IN IT NOW")


def risks(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write it to this file: FILE.csv, FILE.xml (XACML 3.0), or FILE.html to print."),
    ] = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Each conflict of roles with its risk, owner and mitigation, and who is in it now."""
    if out is not None and out.suffix not in {".csv", ".xml", ".html"}:
        raise Refusal("no-format", f"What should {out} be?", "Name a file that ends with .csv, .xml or .html.")
    with signed_in(server) as client:
        found = client.get("/v1/policy/risks")
    separations = [from_plain(Separation, row["separation"]) for row in found]
    rows = [
        (
            plain["roles"],
            plain["kind"],
            plain["risk"],
            plain["owner"],
            f"{plain['control']} ({plain['control_kind']}) for {plain['people']}" if plain["control"] else "",
            plain["until"][:16],
            str(row["state"]),
            ", ".join(row["inside"]),
        )
        for plain, row in zip(as_rows(separations), found, strict=True)
    ]
    if out is None:
        shown = [tuple(harmless(cell) for cell in row) for row in rows]
        emit(found, table(_COLUMNS, shown, nothing="No roles are in conflict."))
        return
    if out.suffix == ".html":
        section = Section("Conflicts", tuple(name.lower() for name in _COLUMNS), tuple(rows), "None.")
        report = Report("Conflicts of roles and their risks", (section,))
        keep_private(out, as_html(report, "From the active policy and the grants of this moment.", datetime.now(UTC)))
    else:
        keep_private(out, write_csv(separations) if out.suffix == ".csv" else write_xacml(separations))
    say(f"Conflicts of roles and their risks: {out}")


def read_risks(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="FILE.csv or FILE.xml (XACML 3.0).")],
    json: JsonOption = False,
) -> None:
    """The section `separations` that FILE says, to be put into interlock.yaml and proposed."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError((f"{file} cannot be read: {error.strerror}",)) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError((f"{file} cannot be read: it is no text in UTF-8",)) from error
    if file.suffix not in {".csv", ".xml"}:
        raise Refusal("no-format", f"What is {file}?", "Name a file that ends with .csv or .xml.")
    separations = read_csv(text) if file.suffix == ".csv" else read_xacml(text)
    section = write_yaml(separations)
    emit(
        {"separations": as_rows(separations), "yaml": section},
        lambda console: console.print(harmless(section), markup=False, soft_wrap=True, end=""),
    )
