"""Accounts on resources that Interlock makes for one person and one grant, and takes away with it."""

from dataclasses import dataclass
from datetime import datetime

LONGEST_NAME_BYTES = 63
"""What PostgreSQL keeps of a name (NAMEDATALEN - 1)."""


@dataclass(frozen=True, slots=True)
class UpstreamAccount:
    """``id`` is the grant's number, ``name`` the account's on the resource. It is there from ``made_at`` until the
    resource has said that it is gone."""

    id: str
    person: str
    resource: str
    name: str
    made_at: datetime
    ended_at: datetime | None = None


def account_name(person: str, grant: str) -> str:
    """``PERSON#GRANT``, the person cut when it is too long. The grant is whole, so that no two have one name."""
    room = LONGEST_NAME_BYTES - len(grant.encode()) - 1
    return f"{person.encode()[:room].decode(errors='ignore')}#{grant}"
