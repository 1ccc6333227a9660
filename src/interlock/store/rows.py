"""Entities as rows of their tables, and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from types import UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from sqlalchemy import JSON, Table

from interlock.domain.accounts import UpstreamAccount
from interlock.domain.codec import from_plain, to_plain
from interlock.domain.delivery import Evidence
from interlock.domain.detections import Alarm
from interlock.domain.duties import Duty
from interlock.domain.grants import Activity, Approval, Grant, Login, Request
from interlock.domain.notices import ChatLink
from interlock.domain.oauth import Delegation, OauthClient, Passkey
from interlock.domain.people import Contract, Extension, Identity, Invitation, Person, Vendor
from interlock.domain.proposals import Proposal
from interlock.domain.provisioning import Provisioned
from interlock.domain.recordings import RecordingKey, Segment
from interlock.domain.retention import LegalHold
from interlock.domain.signin import (
    Attempts,
    ConnectionPass,
    ConnectionPassword,
    Enrolment,
    GatewayIdentity,
    LocalCredential,
)
from interlock.domain.snapshot import PolicyText
from interlock.errors import Misuse, Refusal
from interlock.ports.state import Entity
from interlock.store import tables

E = TypeVar("E", bound=Entity)
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field becomes a column's value, and back."""

    name: str
    to_column: Convert
    from_column: Convert


class Form(Generic[E]):
    """The form of one entity type in its table. ``key`` names the columns of its primary key, in their order."""

    def __init__(self, entity: type[E], table: Table) -> None:
        self.entity = entity
        self.table = table
        self.key = tuple(column.name for column in table.primary_key.columns)
        hints = get_type_hints(entity)
        names = [field.name for field in fields(entity)]
        if set(names) != set(table.columns.keys()):
            raise Misuse(f"{entity.__name__} and the table {table.name} differ in their fields")
        self._fields = tuple(
            _Field(name, *_conversions(hints[name], is_json=isinstance(table.columns[name].type, JSON)))
            for name in names
        )

    def row(self, entity: Entity) -> dict[str, Any]:
        """The entity as column values. Raises Refusal for text that PostgreSQL cannot keep."""
        row = {field.name: field.to_column(getattr(entity, field.name)) for field in self._fields}
        for name, value in row.items():
            if not _all_keepable(value):
                raise Refusal(
                    "unkeepable-text",
                    f"The {name} of this {self.entity.__name__.lower()} has a character that cannot be kept.",
                    "Leave out NUL characters and halves of surrogate pairs.",
                )
        return row

    def read(self, row: Mapping[Any, Any]) -> E:
        return self.entity(**{field.name: field.from_column(row[field.name]) for field in self._fields})

    def key_of(self, entity: Entity) -> tuple[str, ...]:
        """The entity's key as text, in the order of ``key``."""
        return tuple(str(getattr(entity, name)) for name in self.key)

    def key_values(self, key: tuple[str, ...]) -> dict[str, Any]:
        """The columns of a key that :meth:`key_of` gave, with their values."""
        columns = self.table.columns
        return {name: columns[name].type.python_type(text) for name, text in zip(self.key, key, strict=True)}


def keepable(text: str) -> bool:
    """Whether PostgreSQL can keep ``text``: no NUL, and UTF-8 can say it. What it cannot keep, it does not have."""
    if "\0" in text:
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _all_keepable(value: object) -> bool:
    if isinstance(value, str):
        return keepable(value)
    return not isinstance(value, list) or all(keepable(item) for item in value if isinstance(item, str))


def _same(value: Any) -> Any:
    return value


def _conversions(hint: Any, *, is_json: bool) -> tuple[Convert, Convert]:
    if is_json:
        return to_plain, lambda plain: from_plain(hint, plain)
    if get_origin(hint) is UnionType:
        hint = next(option for option in get_args(hint) if option is not type(None))
    if get_origin(hint) is frozenset:
        return sorted, frozenset
    if get_origin(hint) is tuple:
        return list, tuple
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda member: member.value, hint
    return _same, _same


_FORMS: tuple[Form[Any], ...] = (
    Form(Vendor, tables.vendors),
    Form(Person, tables.people),
    Form(Identity, tables.identities),
    Form(Contract, tables.contracts),
    Form(Request, tables.requests),
    Form(Approval, tables.approvals),
    Form(Grant, tables.grants),
    Form(Login, tables.logins),
    Form(Activity, tables.activities),
    Form(LocalCredential, tables.local_credentials),
    Form(Enrolment, tables.enrolments),
    Form(Attempts, tables.attempts),
    Form(ConnectionPassword, tables.connection_passwords),
    Form(ConnectionPass, tables.connection_passes),
    Form(GatewayIdentity, tables.gateways),
    Form(PolicyText, tables.policies),
    Form(OauthClient, tables.oauth_clients),
    Form(Delegation, tables.delegations),
    Form(Passkey, tables.passkeys),
    Form(Provisioned, tables.provisioned),
    Form(Extension, tables.extensions),
    Form(Duty, tables.duties),
    Form(Alarm, tables.alarms),
    Form(Evidence, tables.evidence),
    Form(Segment, tables.segments),
    Form(RecordingKey, tables.recording_keys),
    Form(UpstreamAccount, tables.accounts),
    Form(LegalHold, tables.legal_holds),
    Form(Proposal, tables.proposals),
    Form(ChatLink, tables.chat_links),
    Form(Invitation, tables.invitations),
)
_BY_TYPE: Mapping[type, Form[Any]] = {form.entity: form for form in _FORMS}
_BY_TABLE: Mapping[str, Form[Any]] = {form.table.name: form for form in _FORMS}


def form_of(entity: type[E]) -> Form[E]:
    """The form of an entity type. Raises Misuse for what is no entity."""
    form = _BY_TYPE.get(entity)
    if form is None:
        raise Misuse(f"{entity.__name__} is not an entity of the state")
    return form


def form_of_table(name: str) -> Form[Any]:
    """The form of the entities in the table ``name``. Raises Misuse when it holds none."""
    form = _BY_TABLE.get(name)
    if form is None:
        raise Misuse(f"no entities are kept in the table {name}")
    return form
