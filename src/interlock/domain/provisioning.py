"""What a company's directory says here, by SCIM (RFC 7643): its users and groups as it wrote them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

USER, GROUP = "User", "Group"


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A user or group of the directory. ``content`` is the SCIM resource without id, meta and password.

    ``person`` is the person whom a user stands for, if it stands for one. ``suspended_at`` is when the directory made
    an active user inactive, which it may take back; ``deleted_at`` when it deleted the resource, which it may not.
    """

    id: str
    kind: str
    name: str
    content: Mapping[str, object]
    version: int
    created_at: datetime
    modified_at: datetime
    person: str | None = None
    suspended_at: datetime | None = None
    deleted_at: datetime | None = None
