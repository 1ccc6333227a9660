"""What a form of the set-up comes to: one or several entries of the configuration."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.errors import Refusal
from interlock.policy.insert import NotInsertable, insert_entry, write_entry
from interlock.web.oauth import bad_request

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,200}\Z")
_SECRET = re.compile(r"(env|file|openbao):\S{1,400}\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """``section`` and ``name`` say where ``content`` stands."""

    section: str
    name: str
    content: Mapping[str, Any]


def yaml_of(entries: Sequence[Entry]) -> str:
    """The entries as they could stand in a file of their own."""
    return "\n".join(write_entry(one.section, one.name, one.content) for one in entries)


def added_to(text: str, entries: Sequence[Entry]) -> str:
    """The configuration with the entries in it. Raises Refusal (``not-added``)."""
    for one in entries:
        try:
            text = insert_entry(text, one.section, one.name, one.content)
        except NotInsertable as error:
            raise Refusal(
                "not-added", f"This cannot be added to the policy here: {error}.", "Change it on the page Policy."
            ) from error
    return text


def administrator(form: Mapping[str, str]) -> list[Entry]:
    return [Entry("people", _name(form, "name", "the person"), {"groups": ["administrators"]})]


def resource(form: Mapping[str, str], taken: Sequence[str]) -> list[Entry]:
    """The resource, and three roles for it where there are none of their names: one that reads, one that writes, one
    that reads what was recorded there and nothing else."""
    name, environment = _name(form, "name", "the resource"), _name(form, "environment", "the environment")
    kind = _name(form, "kind", "the kind")
    content: dict[str, Any] = {"kind": kind, "address": _text(form, "address")}
    if form.get("database"):
        content["database"] = _text(form, "database")
    if form.get("user"):
        content["credential"] = {"user": _text(form, "user")}
        if form.get("secret"):
            if not _SECRET.match(form["secret"]):
                raise Refusal(
                    "no-secret-here",
                    "Here stands where the secret is kept, and never the secret itself.",
                    "Write env:NAME, file:/PATH or openbao:PATH#FIELD, as the control plane is to read it.",
                )
            content["credential"]["secret"] = form["secret"]
    content["labels"] = {"environment": environment}
    entries = [Entry("resources", name, content)]
    # Administrators may end things, never give them: as a group they approve nothing, so persons are named.
    approvals = [{"from": {"people": _listed(form, "approvers")}, "count": 1}]
    on = {"kind": kind, "environment": environment}
    if "reader" not in taken:
        lend: dict[str, Any] = {"longest": "8h", "approvals": approvals}
        entries.append(Entry("roles", "reader", {"on": on, "allow": ["connect", "read"], "lend": lend}))
    if "writer" not in taken:
        writer = {
            "on": on,
            "allow": ["connect", "read", "write", "alter", "destroy"],
            "fence": {"rows": 100},
            "hold": ["alter", "destroy"],
            "lend": {"longest": "2h", "approvals": approvals, "mfa": True},
        }
        entries.append(Entry("roles", "writer", writer))
    if "auditor" not in taken:
        lend = {"longest": "1h", "approvals": approvals, "mfa": True}
        entries.append(Entry("roles", "auditor", {"on": on, "allow": ["replay"], "lend": lend}))
    return entries


def contract(form: Mapping[str, str], vendors: Sequence[str], people: Sequence[str]) -> list[Entry]:
    vendor, person = _name(form, "vendor", "the vendor"), _name(form, "person", "the person")
    entries = [] if vendor in vendors else [Entry("vendors", vendor, {})]
    if person not in people:
        entries.append(Entry("people", person, {"vendor": vendor}))
    content: dict[str, Any] = {
        "vendor": vendor,
        "sponsor": _name(form, "sponsor", "the sponsor"),
        "start": _day(form, "start"),
        "end": _day(form, "end"),
        "roles": _listed(form, "roles"),
        "review": "30d",
    }
    return [*entries, Entry("contracts", _name(form, "name", "the contract"), content)]


def _name(form: Mapping[str, str], field: str, what: str) -> str:
    found = form.get(field, "").strip()
    if not _NAME.match(found):
        raise Refusal("bad-name", f"{what.capitalize()} needs a name of letters, digits and . _ @ + -.", "Write one.")
    return found


def _listed(form: Mapping[str, str], field: str) -> list[str]:
    return [one.strip() for one in _text(form, field).split(",") if one.strip()]


def _day(form: Mapping[str, str], field: str) -> str:
    found = form.get(field, "")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", found):
        raise bad_request(f"{field} is no day")
    return found


def _text(form: Mapping[str, str], field: str) -> str:
    found = form.get(field, "").strip()
    if not found or len(found) > 400 or not found.isprintable():
        raise Refusal("bad-field", f"Something is missing: {field}.", "Fill it in.")
    return found
