"""What every use case works with: the state, the time, and the policy that this control plane runs.

INVARIANT: whatever changes who may do what (logins, approvals, ends, the policy, the use of an approval) goes through
:meth:`Desk.deciding` or :meth:`Desk.ending`, which take one lock first. Such changes then happen one after another, so
that "still active, still eligible" is true at the commit and not only when it was read. They are few and made by
people; what machines do often (passwords for connections, session reports) takes narrower locks.

INVARIANT: the time is read after the lock was taken. A moment read before a wait would be too early at every edge.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from interlock.domain.snapshot import PolicyText
from interlock.errors import Failure
from interlock.policy.configuration import Configuration
from interlock.ports.clock import Clock
from interlock.ports.state import Reading, State, UnitOfWork

SYSTEM = "system"
"""The actor of what nobody in particular did, such as the passing of time."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The ports and the active configuration that the use cases take."""

    state: State
    clock: Clock
    configuration: Configuration

    @asynccontextmanager
    async def deciding(self, actor: str) -> AsyncIterator[UnitOfWork]:
        """A unit of work that may give something: alone, and only under the policy that is active.

        Raises Failure when another control plane has activated a policy that this one does not run.
        """
        async with self.ending(actor) as work:
            await self.check_policy(work)
            yield work

    @asynccontextmanager
    async def ending(self, actor: str) -> AsyncIterator[UnitOfWork]:
        """A unit of work that only takes away: alone, and possible whatever policy is active."""
        async with self.state.changing(actor) as work:
            await work.lock(PolicyText, "deciding")
            yield work

    async def check_policy(self, reading: Reading) -> None:
        policy = await reading.policy()
        if policy is None or policy.digest != self.configuration.digest:
            raise Failure(
                "The active policy is not the one that this control plane was started with.",
                "Start it again with the active interlock.yaml.",
            )
