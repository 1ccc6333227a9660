"""What the use cases of the delivery chain work with, and whose accounts are whose."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from interlock.domain.delivery import Verdict
from interlock.domain.duties import Revision, read_artifact, read_revision
from interlock.errors import NotFound, Refusal
from interlock.policy.configuration import Chain
from interlock.policy.repositories import Repository
from interlock.ports.attestation import Attestor
from interlock.ports.forge import OpenForge
from interlock.ports.repositories import Repositories
from interlock.ports.state import Reading
from interlock.services.desk import Desk
from interlock.services.gate_memory import GateMemory


@dataclass(frozen=True, slots=True)
class Delivery:
    """``forges`` by their names in the configuration."""

    desk: Desk
    repositories: Repositories
    attestor: Attestor
    forges: Mapping[str, OpenForge] = field(default_factory=dict)
    answered: dict[tuple[str, ...], str] = field(default_factory=dict)
    """What was answered last, so that a gate that is asked again and again writes its answer down once."""

    asking: dict[object, asyncio.Lock] = field(default_factory=dict)
    decided: dict[object, tuple[object, Verdict, datetime]] = field(default_factory=dict)
    """The last verdict of each question, with the places in the ledger and on the branch at which it was found, and
    until when nothing changes by itself."""

    memory: GateMemory = field(default_factory=GateMemory)

    def repository(self, name: str) -> Repository:
        found = self.desk.configuration.repositories.get(name)
        if found is None:
            names = ", ".join(sorted(self.desk.configuration.repositories)) or "none"
            raise NotFound(f"There is no repository {name}.", f"The repositories are: {names}.")
        return found

    def repository_of(self, forge: str, project: str) -> Repository | None:
        """The one whose project this is there; letter case means nothing to a forge."""
        for repository in self.desk.configuration.repositories.values():
            if (repository.forge, repository.project.casefold()) == (forge, project.casefold()):
                return repository
        return None

    def chain(self, name: str, duty: str, revision: Revision) -> tuple[Repository, Chain]:
        """The repository and its chain, which must be ``name`` and have ``duty``. Raises NotFound."""
        repository = self.repository(revision.repository)
        chain = self.desk.configuration.chains[repository.chain]
        if name != chain.name:
            raise NotFound(
                f"{repository.name} is not carried by {name}.", f"Its chain is {chain.name}, as interlock.yaml says."
            )
        if duty not in chain.duties:
            raise NotFound(f"The chain {name} has no duty {duty}.", f"Its duties are: {', '.join(chain.duties)}.")
        return repository, chain


def revision_of(artifact: str) -> Revision:
    """The commit that a ``git:`` artifact names. Raises Refusal (``bad-artifact``)."""
    known = read_artifact(artifact)
    found = read_revision(known.reference) if known is not None and known.kind == "git" else None
    if found is None:
        raise Refusal(
            "bad-artifact",
            f"{artifact[:80]!r} names no commit of a repository.",
            "Write git:REPOSITORY@HASH, with the full hash in lower case: git rev-parse HEAD",
        )
    return found


@dataclass(slots=True)
class Persons:
    """Which person an address, a login or a key belongs to, as the state has it; each asked once."""

    reading: Reading
    forge_name: str
    forge: OpenForge | None
    _known: dict[tuple[str, str], str | None] = field(default_factory=dict)
    """May be shared by all readings in which no identity has changed in between."""

    async def identity(self, kind: str, subject: str) -> str | None:
        key = (kind, subject)
        if key not in self._known:
            found = await self.reading.identity(kind, subject) if subject else None
            self._known[key] = None if found is None else found.person
        return self._known[key]

    async def of_address(self, address: str) -> str | None:
        found = await self.identity("email", address)
        if found is None and self.forge is not None:
            login = self.forge.login_of(address)
            found = None if login is None else await self.of_login(login)
        return found

    async def of_login(self, login: str) -> str | None:
        return await self.identity(self.forge_name, login) if self.forge_name else None

    def is_forge(self, address: str) -> bool:
        return self.forge is not None and self.forge.is_own(address)
