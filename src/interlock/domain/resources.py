"""Resources: what is protected, and how roles point at it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """How the gateway signs in to a resource: a user, and where its secret is kept (``env:NAME``, ``file:PATH``)."""

    user: str
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """Something to protect. ``kind`` names the protocol; ``settings`` is the part only that protocol reads.

    ``host`` may be a host name, an address, or the absolute path of a Unix socket's folder.
    """

    name: str
    kind: str
    host: str
    port: int
    credential: CredentialSource | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def personal(self) -> bool:
        """Whether each person and grant has an account of its own there (``account: per-person``)."""
        return self.settings.get("account") == "per-person"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which resources a role is about. All that is given must hold; an empty selector matches nothing."""

    kind: str | None = None
    names: frozenset[str] = field(default_factory=frozenset)
    labels: Mapping[str, str] = field(default_factory=dict)

    def matches(self, resource: Resource) -> bool:
        if self.kind is None and not self.names and not self.labels:
            return False
        if self.kind is not None and resource.kind != self.kind:
            return False
        if self.names and resource.name not in self.names:
            return False
        return all(resource.labels.get(key) == value for key, value in self.labels.items())
