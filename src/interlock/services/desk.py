"""What every use case works with: the state, the time, and the policy that this control plane runs.

INVARIANT: whatever changes who may do what (logins, approvals, ends, the policy, the use of an approval) goes through
:meth:`Desk.deciding` or :meth:`Desk.ending`, which take one lock first. Such changes then happen one after another, so
that "still active, still eligible" is true at the commit and not only when it was read. They are few and made by
people; what machines do often (passwords for connections, session reports) takes narrower locks.

INVARIANT: the time is read after the lock was taken. A moment read before a wait would be too early at every edge.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from interlock.domain.grants import Request
from interlock.domain.snapshot import PolicyText
from interlock.errors import ConfigurationError, Failure
from interlock.policy.configuration import Configuration
from interlock.policy.decide import Decider
from interlock.ports.clock import Clock
from interlock.ports.state import Reading, State, UnitOfWork

SYSTEM = "system"
"""The actor of what nobody in particular did, such as the passing of time."""


@dataclass(slots=True)
class Desk:
    """The ports and the active configuration that the use cases take.

    ``configuration`` is replaced, whole, when a change of the policy was activated, here or by another control plane:
    whoever decides reads it inside the unit of work that decides. ``read_policy`` understands a policy's text; without
    it a desk works with the configuration that it began with, and with no other.
    """

    state: State
    clock: Clock
    configuration: Configuration
    read_policy: Callable[[PolicyText], Configuration] | None = None
    look_again: Callable[[Request], Awaitable[None]] | None = None
    """Whether a request for a deployment may still be approved: its gate is asked anew. Raises Refusal. None where no
    repository is known: then no such request is approved."""
    _decider: Decider | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def decider(self) -> Decider:
        """Decides by ``configuration`` what is asked here, and not at a gateway."""
        if self._decider is None or self._decider.configuration is not self.configuration:
            self._decider = Decider(self.configuration)
        return self._decider

    @asynccontextmanager
    async def deciding(self, actor: str) -> AsyncIterator[UnitOfWork]:
        """A unit of work that may give something: alone, and only under the policy that is active.

        Raises Failure when another control plane has activated a policy that this one cannot read.
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
        """Make sure that ``configuration`` is that of the active policy. Raises Failure when it cannot be."""
        policy = await reading.policy()
        if policy is None:
            raise Failure("No policy is active yet.", "Start the control plane with an interlock.yaml.")
        if policy.digest != self.configuration.digest:
            self.adopt(policy)

    def adopt(self, policy: PolicyText) -> None:
        """Work with ``policy``, which is the active one, from now on. Raises Failure when it cannot be read."""
        if policy.digest == self.configuration.digest:
            return
        if self.read_policy is None:
            raise Failure(
                "The active policy is not the one that this control plane was started with.",
                "Start it again with the active interlock.yaml.",
            )
        try:
            configuration = self.read_policy(policy)
        except ConfigurationError as error:
            raise Failure(
                f"The active policy (version {policy.version}) cannot be read by this control plane: {error.sentence}",
                "Start the version of Interlock that activated it.",
            ) from error
        if configuration.digest != policy.digest:
            raise Failure(
                f"The active policy (version {policy.version}) is not what its digest says.",
                "Type: interlock ledger verify",
            )
        self.configuration = configuration
