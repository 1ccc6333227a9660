"""What keeping accounts on a resource needs from its protocol: make one, end one, name those that are there.

A protocol's adapter may have an attribute ``accounts`` of this shape; without it none of its resources can say
``account: per-person``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from interlock.domain.actions import Action
from interlock.domain.resources import Resource
from interlock.domain.snapshot import UpstreamCredential


@dataclass(frozen=True, slots=True)
class AccountWish:
    """An account to be made. ``installation`` and ``grant`` are written on it, so that it is known again."""

    name: str
    secret: str = field(repr=False)
    actions: frozenset[Action]
    until: datetime
    installation: str
    grant: str


@dataclass(frozen=True, slots=True)
class AccountThere:
    """An account of ours that a resource has."""

    name: str
    grant: str


class AccountKeeping(Protocol):
    """Every call may be repeated. Each raises Failure with a sentence when the resource does not do it."""

    async def make(self, resource: Resource, maker: UpstreamCredential, wish: AccountWish) -> None:
        """Afterwards the account is there with exactly these rights, that secret and that end."""

    async def end(self, resource: Resource, maker: UpstreamCredential, name: str) -> None:
        """Afterwards it is not there, nobody is signed in with it, and what it owned is the owner's."""

    async def there(self, resource: Resource, maker: UpstreamCredential, installation: str) -> Sequence[AccountThere]:
        """The accounts that this installation made there."""
