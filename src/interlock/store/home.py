"""Where the state is: the embedded server with its two roles, or a server by URL."""

from dataclasses import dataclass
from pathlib import Path

from interlock.store.connecting import APPLICATION_ROLE
from interlock.store.embedded import EmbeddedPostgres

OWNER_ROLE = "interlock_owner"
DATABASE = "interlock"


@dataclass(frozen=True, slots=True)
class StateAddress:
    """``owner_url`` makes and upgrades the schema, and nothing else; ``url`` is what the control plane works with.

    On a server of the operator's both may be the same URL; the schema's triggers hold all the same.
    """

    owner_url: str
    url: str


def embedded_state(folder: Path) -> EmbeddedPostgres:
    """The embedded server that holds the state, not started yet."""
    return EmbeddedPostgres(folder, logins=(OWNER_ROLE, APPLICATION_ROLE), database=DATABASE)


def embedded_address(server: EmbeddedPostgres, database: str = DATABASE) -> StateAddress:
    """Where the state is on the embedded server, which :func:`embedded_state` made and which is running."""
    return StateAddress(server.url_for(OWNER_ROLE, database), server.url_for(APPLICATION_ROLE, database))
