"""A fresh key follows the one that signs the ledger's checkpoints.

Holds to:

* the fresh key is durable before an entry names it, and signs no checkpoint before one does
* both keys sign what the entry says: nobody names a key that they have not got, or replaces one they have not got;
  an entry that they did not sign rightly would end the publishing for good, and is not written
* what is replaced is the key that signs the published ledger now, and not one that only lies here: an entry that
  replaced another would be published by nobody
* each key keeps the overlap that it was replaced with, whatever follows later
* of two at once the second one finds the first one's key in force, and replaces that or, without it, nothing
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from interlock.domain.identity_events import LedgerKeyRotated
from interlock.errors import Failure, Refusal
from interlock.ledger.audit import Trust, find_current
from interlock.ledger.entries import Unreadable, read_body
from interlock.ledger.notes import NotANote, VerifierKey, read_verifier
from interlock.ledger.succession import NoSuccession, check_statement, statement
from interlock.ledger.tiles import Source
from interlock.ledger.verify import Broken
from interlock.ports.log_keys import LogKeys
from interlock.ports.state import Reading, State

_MOST = 200


@dataclass(frozen=True, slots=True)
class LedgerRotation:
    """``key`` follows ``older``, which signs as well until ``older_until``. ``others`` are those before it whose
    overlap goes on, and which are still here, each with its end."""

    key: VerifierKey
    older: VerifierKey
    older_until: datetime
    others: tuple[tuple[VerifierKey, datetime], ...] = ()


async def rotate_ledger_key(
    state: State, keys: LogKeys, published: Source, *, now: datetime, overlap: timedelta, by: str
) -> LedgerRotation:
    """Raises Refusal (``no-ledger-key``: the key that signs now is not here; ``unfinished``: it signs nothing yet),
    Failure."""
    with keys.alone():
        async with state.changing(by) as work:
            await work.lock(LedgerKeyRotated, "ledger")
            before = await _rotations(work)
            named = read_verifier(before[-1].key) if before else None
            older = await keys.first() if named is None else await keys.find(named)
            if older is None:
                raise Refusal(
                    "no-ledger-key",
                    f"The ledger's key {number_of(named)} is not on this machine, so nothing can follow it here.",
                    "Rotate where it was rotated last, or copy keys/ledger*.key from there.",
                )
            await _check_signs(published, older.verifier)
            fresh = await keys.make(older.verifier)
            until = (now.astimezone(UTC) + overlap).replace(microsecond=0)
            text = statement(older.verifier, fresh.verifier, until)
            lines = ((await older.sign(text)).rstrip("\n"), (await fresh.sign(text)).rstrip("\n"))
            _check(older.verifier, fresh.verifier, until, lines)
            ends = [(read_verifier(one.older), one.older_until) for one in before if now < one.older_until]
            others = [(key, end) for key, end in ends if await keys.find(key) is not None]
            work.record(
                LedgerKeyRotated(
                    key=str(fresh.verifier),
                    older=str(older.verifier),
                    older_until=until,
                    signatures=lines,
                )
            )
    return LedgerRotation(fresh.verifier, older.verifier, until, tuple(others))


async def _check_signs(published: Source, key: VerifierKey) -> None:
    current = await find_current(published, Trust(key))
    if isinstance(current, Broken) or current.key != key:
        why = current.reason if isinstance(current, Broken) else "It was replaced already."
        raise Refusal(
            "unfinished",
            f"The published ledger is not signed with the key {number_of(key)}, so that key cannot be replaced. {why}",
            "Right after a start or a rotation try again in some seconds. Else: interlock doctor, and compare keys/ "
            "with the control plane that publishes.",
        )


def _check(older: VerifierKey, key: VerifierKey, until: datetime, lines: tuple[str, str]) -> None:
    try:
        check_statement(older, key, until, lines)
    except (NoSuccession, NotANote) as error:
        raise Failure(
            f"The ledger's key {number_of(older)} cannot be replaced: what was to say so {error}.",
            "Compare the keys that sign. In OpenBao: bao read transit/keys/NAME",
        ) from error


async def newest_named(reading: Reading) -> VerifierKey | None:
    """The key that the last such entry names, published or not; None: the ledger has its first. Raises Refusal."""
    found = await _rotations(reading)
    return read_verifier(found[-1].key) if found else None


async def _rotations(reading: Reading) -> list[LedgerKeyRotated]:
    """The last of them, in their order, each with two keys. Raises Refusal."""
    found = []
    for entry in await reading.ledger_search(limit=_MOST, kind=LedgerKeyRotated.kind):
        try:
            event = read_body(entry.body).event
            if isinstance(event, LedgerKeyRotated):
                read_verifier(event.key), read_verifier(event.older)
                found.append(event)
        except (NotANote, Unreadable) as error:
            raise Refusal(
                "no-ledger-key", f"Entry {entry.position} names no key: {error}.", "Find out who wrote it."
            ) from error
    return found


def number_of(key: VerifierKey | None) -> str:
    return "" if key is None else key.number.hex()
