"""The matrix of conflicts as CSV (RFC 4180) and as XACML 3.0 policies, and back.

In XACML each conflict is a policy that denies a subject who has more than one of the roles
(``urn:oasis:names:tc:xacml:2.0:subject:role``): it says the same to an engine that knows nothing of us. Kind, risk,
owner and mitigation stand in an obligation beside it.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from interlock.errors import ConfigurationError
from interlock.policy.configuration import (
    ConflictKind,
    Control,
    Mitigation,
    Risk,
    Separation,
    SeparationKind,
)

COLUMNS = ("roles", "kind", "risk", "owner", "control", "control_kind", "until", "people")
_CORE = "urn:oasis:names:tc:xacml:3.0:core:schema:wd-17"
_OURS = "urn:interlock:separation"
_TEXT = "http://www.w3.org/2001/XMLSchema#string"
_NUMBER = "http://www.w3.org/2001/XMLSchema#integer"
_FUNCTION = "urn:oasis:names:tc:xacml:1.0:function:"
_ROLE = "urn:oasis:names:tc:xacml:2.0:subject:role"
_SUBJECT = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject"
_FORMULA = "=+-@\t\r"


def write_csv(separations: Iterable[Separation]) -> str:
    """Names in one cell have a space between them. What a spreadsheet would calculate begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for separation in separations:
        row = _plain(separation)
        writer.writerow([f"'{cell}" if cell[:1] and cell[0] in _FORMULA + "'" else cell for cell in row.values()])
    return text.getvalue()


def read_csv(text: str) -> tuple[Separation, ...]:
    """Raises ConfigurationError with every mistake, by its line."""
    reader = csv.reader(io.StringIO(text))
    rows = [(reader.line_num, row) for row in reader if row]
    if not rows or tuple(rows[0][1]) != COLUMNS:
        raise ConfigurationError((f"line 1: the columns are {','.join(COLUMNS)}",))
    found: list[Separation] = []
    mistakes: list[str] = []
    for line, row in rows[1:]:
        cells = [cell[1:] if cell.startswith("'") else cell for cell in row]
        if len(cells) != len(COLUMNS):
            mistakes.append(f"line {line}: there are {len(cells)} cells and not {len(COLUMNS)}")
            continue
        _take(dict(zip(COLUMNS, cells, strict=True)), f"line {line}", found, mistakes)
    if mistakes:
        raise ConfigurationError(tuple(mistakes))
    return tuple(found)


def write_xacml(separations: Iterable[Separation]) -> str:
    policies = "".join(_policy(number, separation) for number, separation in enumerate(separations, 1))
    combining = "urn:oasis:names:tc:xacml:3.0:policy-combining-algorithm:deny-overrides"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<PolicySet xmlns="{_CORE}" PolicySetId="{_OURS}s" Version="1.0" PolicyCombiningAlgId="{combining}">\n'
        f"  <Target/>\n{policies}</PolicySet>\n"
    )


def read_xacml(text: str) -> tuple[Separation, ...]:
    """Raises ConfigurationError for what is no XACML, has a document type, or holds no conflict of ours."""
    reader = _Reader()
    try:
        reader.read(text)
    except (expat.ExpatError, ValueError) as error:
        raise ConfigurationError((f"this is no XACML 3.0 that can be read: {error}",)) from error
    found: list[Separation] = []
    mistakes: list[str] = []
    for number, row in enumerate(reader.rows, 1):
        _take(row, f"policy {number}", found, mistakes)
    if not reader.rows:
        mistakes.append("there is no policy in it that denies two roles to one subject")
    if mistakes:
        raise ConfigurationError(tuple(mistakes))
    return tuple(found)


def write_yaml(separations: Iterable[Separation]) -> str:
    """The section ``separations``, to be put into interlock.yaml, and proposed."""
    lines = ["separations:"]
    for separation in separations:
        row = _plain(separation)
        lines.append(f"  - conflict: [{', '.join(separation.names)}]")
        lines.append(f"    kind: {row['kind']}")
        lines += [f"    {key}: {_quoted(row[key])}" for key in ("risk", "owner") if row[key]]
        if separation.risk.mitigation is not None:
            names = ", ".join(_quoted(name) for name in row["people"].split())
            lines.append(
                f"    mitigation: {{control: {_quoted(row['control'])}, kind: {row['control_kind']}, "
                f"until: {row['until']}, people: [{names}]}}"
            )
    return "\n".join(lines if len(lines) > 1 else ["separations: []"]) + "\n"


def _quoted(text: str) -> str:
    return "'" + " ".join(text.split()).replace("'", "''") + "'"


def _plain(separation: Separation) -> dict[str, str]:
    risk, found = separation.risk, separation.risk.mitigation
    until = "" if found is None else found.until.astimezone(UTC).isoformat(timespec="microseconds")
    return {
        "roles": " ".join(separation.names),
        "kind": separation.conflict.value,
        "risk": risk.text,
        "owner": risk.owner,
        "control": "" if found is None else found.control,
        "control_kind": "" if found is None else found.kind.value,
        "until": until.replace("+00:00", "Z"),
        "people": "" if found is None else " ".join(sorted(found.people)),
    }


def _take(row: Mapping[str, str], where: str, found: list[Separation], mistakes: list[str]) -> None:
    try:
        found.append(_separation(row))
    except ValueError as error:
        mistakes.append(f"{where}: {error}")


def _separation(row: Mapping[str, str]) -> Separation:
    roles = tuple(row.get("roles", "").split())
    if len(set(roles)) < 2:
        raise ValueError("a conflict needs two roles")
    kind = ConflictKind(row.get("kind") or ConflictKind.STATIC)
    mitigation = None
    if any(row.get(key) for key in ("control", "control_kind", "until", "people")):
        until = datetime.fromisoformat(row.get("until", ""))
        if until.tzinfo is None:
            raise ValueError("until has no zone")
        people = frozenset(row.get("people", "").split())
        if not people or not row.get("control"):
            raise ValueError("a mitigation needs a control and people")
        mitigation = Mitigation(row["control"], Control(row.get("control_kind", "")), until, people)
    risk = Risk(row.get("risk", ""), row.get("owner", ""), mitigation)
    return Separation(SeparationKind.CONFLICT, roles, conflict=kind, risk=risk)


def _policy(number: int, separation: Separation) -> str:
    bag = "".join(
        f"<AttributeValue DataType={quoteattr(_TEXT)}>{escape(name)}</AttributeValue>" for name in separation.names
    )
    row = {key: value for key, value in _plain(separation).items() if key != "roles" and value}
    said = "".join(
        f"        <AttributeAssignmentExpression AttributeId={quoteattr(f'{_OURS}:{key}')}>"
        f"<AttributeValue DataType={quoteattr(_TEXT)}>{escape(value)}</AttributeValue>"
        "</AttributeAssignmentExpression>\n"
        for key, value in row.items()
    )
    combining = "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"
    return f"""\
  <Policy PolicyId={quoteattr(f"{_OURS}:{number}")} Version="1.0" RuleCombiningAlgId="{combining}">
    <Description>{escape(separation.risk.text)}</Description>
    <Target/>
    <Rule RuleId={quoteattr(f"{_OURS}:{number}:deny")} Effect="Deny">
      <Condition><Apply FunctionId="{_FUNCTION}integer-greater-than">
        <Apply FunctionId="{_FUNCTION}string-bag-size"><Apply FunctionId="{_FUNCTION}string-intersection">
          <AttributeDesignator Category="{_SUBJECT}" AttributeId="{_ROLE}" DataType="{_TEXT}" MustBePresent="false"/>
          <Apply FunctionId="{_FUNCTION}string-bag">{bag}</Apply>
        </Apply></Apply>
        <AttributeValue DataType="{_NUMBER}">1</AttributeValue>
      </Apply></Condition>
    </Rule>
    <ObligationExpressions>
      <ObligationExpression ObligationId="{_OURS}" FulfillOn="Deny">
{said}      </ObligationExpression>
    </ObligationExpressions>
  </Policy>
"""


class _Reader:
    """Collects, for each policy, the roles of its bag and what the obligation says. No document type is let in: with it
    would come entities."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []
        self._path: list[tuple[str, Mapping[str, str]]] = []
        self._policy: dict[str, str] = {}
        self._roles: list[str] = []
        self._text: list[str] = []

    def read(self, text: str) -> None:
        parser: Any = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.Parse(text, True)

    def _refuse(self, *_: object) -> None:
        raise ValueError("it has a document type")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if not self._path and name != f"{_CORE} PolicySet":
            raise ValueError("it does not begin with a PolicySet of XACML 3.0")
        self._path.append((name.removeprefix(f"{_CORE} "), attributes))
        self._text.clear()
        if self._path[-1][0] == "Policy":
            self._policy, self._roles = {}, []

    def _end(self, _: str) -> None:
        name, _attributes = self._path.pop()
        text = "".join(self._text)
        self._text.clear()
        outer = self._path[-1] if self._path else ("", {})
        if name == "AttributeValue" and outer[1].get("FunctionId") == f"{_FUNCTION}string-bag":
            self._roles.append(text)
        elif name == "AttributeValue" and outer[0] == "AttributeAssignmentExpression":
            key = outer[1].get("AttributeId", "").removeprefix(f"{_OURS}:")
            if key in COLUMNS:
                self._policy[key] = text
        elif name == "Policy" and self._roles:
            self.rows.append({**self._policy, "roles": " ".join(self._roles)})


def as_rows(separations: Sequence[Separation]) -> list[dict[str, str]]:
    """Each conflict with what is said of it, by the columns' names."""
    return [_plain(separation) for separation in separations]
