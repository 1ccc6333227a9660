"""Whether enough witnesses have cosigned a checkpoint lately, in a sentence for whoever looks after the ledger."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from interlock.domain.durations import format_duration
from interlock.ledger.notes import SignedCheckpoint, VerifierKey, cosigners

OLD_S = 300
"""A cosignature of so many seconds ago says nothing of what is published now."""


def explain_cosignatures(
    signed: SignedCheckpoint, witnesses: Sequence[VerifierKey], need: int, now_s: float
) -> str | None:
    """What is wrong when fewer than ``need`` have cosigned lately, else None. ``now_s``: seconds since 1970.

    Raises NotANote for a forged cosignature.
    """
    seen = cosigners(signed, witnesses)
    fresh = [name for name, seconds in seen.items() if now_s - seconds < OLD_S]
    if len(fresh) >= need:
        return None
    return (
        f"The ledger was cosigned by {len(fresh)} of {len(witnesses)} witnesses in the last five minutes, and "
        f"{need} are needed; {_last(seen, now_s)}."
    )


def _last(seen: Mapping[str, int], now_s: float) -> str:
    if not seen:
        return "none has cosigned what is published now"
    age_s = int(now_s - max(seen.values()))
    told = age_s - age_s % 60 if age_s > 120 else age_s
    return f"the last cosignature is {format_duration(timedelta(seconds=told))} old"
