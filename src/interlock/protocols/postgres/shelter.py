"""A transaction, or a savepoint inside the client's own, that the machine opens and closes with statements of its own.

Three cases, by where the client's session stands:

* inside a transaction block: a savepoint;
* at the beginning of a transaction that nothing happened in yet: ``BEGIN``, undone by ``ROLLBACK``;
* in the middle of a batch of the extended protocol whose messages make one transaction up to the Sync, and in which
  something ran already: ``BEGIN`` makes an ordinary block of it without ending it, and a savepoint inside; the machine
  commits the block when the client's Sync comes (``implicit_block``).
"""

from collections.abc import Generator
from dataclasses import dataclass

from interlock.protocols.postgres.injection import Injection, Step
from interlock.protocols.postgres.relay import Relay, Wait

_SAVEPOINT = "__interlock_fence"
_INNER = "__interlock_check"

BEGIN, COMMIT, ROLLBACK = Step("BEGIN"), Step("COMMIT"), Step("ROLLBACK")

_SET = Step(f"SAVEPOINT {_SAVEPOINT}")
_RELEASE = Step(f"RELEASE SAVEPOINT {_SAVEPOINT}")
_RETURN = Step(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")


@dataclass(frozen=True, slots=True)
class Shelter:
    """``whole`` is the second case: a transaction of the machine's own. ``clients`` the first."""

    whole: bool
    clients: bool
    opening: tuple[Step, ...]

    @property
    def undo(self) -> list[Step]:
        return [ROLLBACK] if self.whole else [_RETURN, _RELEASE]


def plan_shelter(relay: Relay, portal: str | None = None) -> Shelter:
    """What to open now. ``portal`` is a portal of the client's that may be lost, because it is bound again."""
    replies = relay.replies
    if replies.in_block:
        return Shelter(whole=False, clients=not replies.implicit_block, opening=(_SET,))
    lost = [name for name in replies.portals.known if name != portal]
    if relay.batch_executed == 0 and not lost:
        return Shelter(whole=True, clients=False, opening=(BEGIN,))
    replies.implicit_block = True
    return Shelter(whole=False, clients=False, opening=(BEGIN, _SET))


def leave(relay: Relay, shelter: Shelter) -> Generator[Wait, None, Injection]:
    """Undo everything since the shelter was opened. A cancel that comes late may hit the undoing: it is done again."""
    undone = yield from relay.inject(shelter.undo)
    return undone if undone.succeeded else (yield from relay.inject(shelter.undo))


def release(relay: Relay, shelter: Shelter) -> Generator[Wait, None, Injection | None]:
    """Keep what was done. A transaction of the machine's own stays open: whoever opened it commits it."""
    if shelter.whole:
        return None
    return (yield from relay.inject([_RELEASE]))


CHECK_AND_COME_BACK = (
    Step(f"SAVEPOINT {_INNER}"),
    Step("SET CONSTRAINTS ALL IMMEDIATE"),
)
COME_BACK = (Step(f"ROLLBACK TO SAVEPOINT {_INNER}"), Step(f"RELEASE SAVEPOINT {_INNER}"))
"""Deferred triggers run, and are undone: to the client's transaction they stay deferred."""
