"""What the delivery chain needs of repositories: what is in them, as git itself says."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from interlock.domain.delivery import Change, Commit


class Repositories(Protocol):
    """Commits are full hashes. Every call raises Failure when the repository cannot be read."""

    async def refresh(self, repository: str, *, at_once: bool = False) -> None:
        """Fetch, unless that was done a moment ago; ``at_once``: also then."""

    async def tree(self, repository: str, commit: str) -> str | None:
        """The commit's tree; None when there is no such commit."""

    async def on_branch(self, repository: str, commit: str) -> bool:
        """Whether the protected branch has it on its first-parent line."""

    async def change(self, repository: str, base: str, commit: str, *, one_step: bool = False) -> Change:
        """What lies between; with ``one_step`` all of it as one step, as a reviewer of a branch sees it."""

    async def between(self, repository: str, base: str, commit: str) -> Mapping[str, Commit]:
        """The commits that ``commit`` has and ``base`` has not. An unknown ``base`` has none."""

    async def is_ancestor(self, repository: str, older: str, newer: str) -> bool: ...

    async def base_of(self, repository: str, commit: str) -> str:
        """Where ``commit`` left the protected branch; for one that came onto it, where it had left it before."""

    async def lands(self, repository: str, head: str, landed: str) -> bool:
        """Whether ``landed``, with one parent, has the very content of ``head`` merged onto that parent."""

    async def head(self, repository: str) -> str:
        """The commit that the protected branch has."""

    async def tips(self, repository: str) -> Sequence[str]: ...
