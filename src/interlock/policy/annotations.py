"""The annotations by which a Cedar policy carries obligations, read and checked.

``@hold`` or ``@hold("alter,destroy")``: what the policy permits (or those actions of it) runs only when another person
approves the very statement · ``@mfa("5m")``: the person's proof of presence must not be older · ``@fence("100")``: a
write that changes more rows is rolled back and held · ``@limit("1000")``: at most so many rows are returned ·
``@mask("schema.table.column,…")``: columns that the client must not see · ``@reason("…")``: a sentence for the person
whom a ``forbid`` stops · ``@id("…")``: the policy's name in decisions and records.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from interlock.domain.actions import Action
from interlock.domain.durations import parse_duration
from interlock.policy.mistakes import did_you_mean

KNOWN = ("id", "hold", "mfa", "mask", "limit", "fence", "reason")

READING = frozenset({Action.READ, Action.EXPORT})
"""The actions that ``@limit`` speaks of, and without which ``@mask`` has no effect."""

MASKED = READING | {Action.WRITE}
"""The actions that ``@mask`` goes with: the error of a write tells of a row."""

COLUMN = re.compile(r'[^\s,".*]+(\.[^\s,".*]+){0,2}|([^\s,".*]+|\*)\.([^\s,".*]+|\*)\.([^\s,".*]+|\*)')
_ACTIONS = {action.value: action for action in Action}
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a policy permits. ``hold`` has the actions that are held; the others are None when not said."""

    hold: frozenset[Action] = frozenset()
    mfa: timedelta | None = None
    mask: tuple[str, ...] = ()
    limit: int | None = None
    fence: int | None = None
    reason: str = ""


Complaint = Callable[[str, str, str], None]
"""Called for each mistake with the annotation's name, a sentence, and what would be right."""


def read_terms(
    annotations: Mapping[str, str | None], *, permits: bool, actions: frozenset[Action], complain: Complaint
) -> Terms:
    """The terms that ``annotations`` set for a policy over ``actions``.

    Everything unknown, unreadable or without effect is complained of: an obligation that is silently not there is
    the one mistake that nobody would notice.
    """
    texts = {name: value or "" for name, value in annotations.items()}
    for name in texts:
        if name not in KNOWN:
            complain(name, f"there is no annotation @{name}", did_you_mean(name, KNOWN))
        elif not permits and name not in ("id", "reason"):
            complain(name, f"@{name} on a forbid has no effect", "obligations go with a permit")
        elif permits and name == "reason":
            complain(name, "@reason on a permit is never shown", "put it on a forbid")
    if not permits:
        return Terms(reason=texts.get("reason", ""))
    return Terms(
        hold=_read_hold(texts["hold"], actions, complain) if "hold" in texts else frozenset(),
        mfa=_read_mfa(texts["mfa"], complain) if "mfa" in texts else None,
        mask=_read_mask(texts["mask"], actions, complain) if "mask" in texts else (),
        limit=_read_rows("limit", texts["limit"], READING & actions, complain) if "limit" in texts else None,
        fence=_read_rows("fence", texts["fence"], {Action.WRITE} & actions, complain) if "fence" in texts else None,
    )


def _read_hold(text: str, actions: frozenset[Action], complain: Complaint) -> frozenset[Action]:
    words = [word.strip() for word in text.split(",")] if text.strip() else [action.value for action in sorted(actions)]
    held = set()
    for word in words:
        if word not in _ACTIONS:
            complain("hold", f"@hold names no action by {word!r}", did_you_mean(word, _ACTIONS))
        elif _ACTIONS[word] not in actions:
            complain("hold", f"@hold names {word}, which the policy does not permit", "take it out, or permit it")
        elif word in ("connect", "replay") and text.strip():
            complain("hold", f"{word} cannot be held: it is no statement", "take it out")
        else:
            held.add(_ACTIONS[word])
    return frozenset(held - {Action.CONNECT, Action.REPLAY})


def _read_mfa(text: str, complain: Complaint) -> timedelta | None:
    try:
        within = parse_duration(text)
    except ValueError:
        within = timedelta(0)
    if within <= timedelta(0):
        complain("mfa", f"@mfa({text!r}) says no duration", 'write how fresh the proof must be, such as @mfa("5m")')
        return None
    return within


def _read_mask(text: str, actions: frozenset[Action], complain: Complaint) -> tuple[str, ...]:
    columns = tuple(column.strip() for column in text.split(","))
    if not READING & actions:
        complain("mask", "@mask on a policy that permits no read has no effect", "put it where read is permitted")
    for column in columns:
        if COLUMN.fullmatch(column) is None:
            complain("mask", f"@mask names no column by {column!r}", "write schema.table.column, with * for any part")
    return columns


def _read_rows(name: str, text: str, concerned: frozenset[Action] | set[Action], complain: Complaint) -> int | None:
    if not concerned:
        wants = "write" if name == "fence" else "read or export"
        complain(name, f"@{name} on a policy that does not permit {wants} has no effect", f"permit {wants} in it")
    if _NUMBER.fullmatch(text) is None or int(text) < 1:
        complain(name, f"@{name}({text!r}) says no number of rows", f'write a number from 1, such as @{name}("100")')
        return None
    return int(text)
