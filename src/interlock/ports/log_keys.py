"""What the ledger's checkpoints are signed with: keys in files, or in a vault, each found by its public half."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from interlock.errors import Refusal
from interlock.ledger.notes import VerifierKey
from interlock.ledger.succession import Chain


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key of the ledger, and how to sign with it: gives the signature line for a text. ``sign`` raises Failure.

    By itself it is all the keys of a ledger whose key is never replaced, as :class:`LogKeys`.
    """

    verifier: VerifierKey
    sign: Callable[[str], Awaitable[str]]

    async def first(self) -> "LogKey":
        return self

    async def find(self, verifier: VerifierKey) -> "LogKey | None":
        return self if verifier == self.verifier else None

    async def settle(self, chain: Chain) -> None:
        pass

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def make(self, after: VerifierKey) -> "LogKey":
        raise Refusal("one-key", "This ledger keeps its key.", "Nothing is to be done.")


class LogKeys(Protocol):
    """INVARIANT: which key signs is said by the ledger's entries alone. A key that none of them names is the first one,
    or signs nothing."""

    async def first(self) -> LogKey:
        """The key that signs as long as no entry has named another. Raises Failure."""

    async def find(self, verifier: VerifierKey) -> LogKey | None:
        """The key with this public half; None where it is not here. Raises Failure."""

    async def settle(self, chain: Chain) -> None:
        """The keys of ``chain`` are published: the newest takes its place, and what is over is forgotten. Raises
        Failure."""

    def alone(self) -> AbstractContextManager[None]:
        """Alone among the rotations with these keys: others wait."""

    async def make(self, after: VerifierKey) -> LogKey:
        """A fresh key of the ledger that ``after`` signs now, durable before anybody hears of it; while :meth:`alone`.

        Raises Refusal (``unfinished``) while ``after`` itself is not handed over to yet, and Failure.
        """
