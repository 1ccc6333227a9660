"""The feed's messages as types, and what a change makes of a snapshot. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from interlock.domain.codec import from_plain
from interlock.domain.grants import Grant, Login
from interlock.domain.people import Contract, Person
from interlock.domain.snapshot import HeldRequest, PolicyText, Snapshot, UpstreamCredential

_ROWS: Mapping[str, type] = {
    "people": Person,
    "contracts": Contract,
    "grants": Grant,
    "logins": Login,
    "credentials": UpstreamCredential,
    "held": HeldRequest,
    "cuts": str,
    "alarms": str,
    "accounts": UpstreamCredential,
}

_RIGHTS = frozenset({"people", "contracts", "grants", "logins"})

Key = tuple[str, str]
"""A row of the snapshot: the map's name and the key."""


class FeedBroken(Exception):
    """The feed says what cannot be: begin again with a snapshot. Its text says why, for the log."""


@dataclass(frozen=True, slots=True)
class Whole:
    lease_s: float
    snapshot: Snapshot
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    after: int
    version: int
    at: datetime
    put: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    drop: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policy: PolicyText | None = None

    @property
    def touched(self) -> frozenset[Key]:
        put = {(name, key) for name, rows in self.put.items() for key in rows}
        return frozenset(put | {(name, key) for name, keys in self.drop.items() for key in keys})

    @property
    def ends(self) -> bool:
        """Whether a right may have ended by it. A contract that pauses is put, and not dropped."""
        return not _RIGHTS.isdisjoint(self.drop) or "contracts" in self.put


@dataclass(frozen=True, slots=True)
class Beat:
    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class WatchAsked:
    session: str
    ticket: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Decide nothing, because of ``why``; an empty one ends it."""

    why: str


Message = Whole | Stop | Change | Beat | WatchAsked


def read_message(plain: Mapping[str, Any]) -> Message | None:
    """The message that ``plain`` is, or None for a type that this version does not know. Raises FeedBroken."""
    try:
        return _read(plain)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FeedBroken(f"a message of the type {plain.get('type')!r} cannot be read: {error}") from error


def _read(plain: Mapping[str, Any]) -> Message | None:
    match plain["type"]:
        case "snapshot":
            lease_s = float(plain["lease_s"])
            if not lease_s > 0:
                raise ValueError("the lease lasts no time")
            return Whole(lease_s, from_plain(Snapshot, plain["snapshot"]), str(plain.get("stopped", "")))
        case "change":
            policy = plain.get("policy")
            return Change(
                after=int(plain["after"]),
                version=int(plain["version"]),
                at=from_plain(datetime, plain["at"]),
                put={name: _rows(name, rows) for name, rows in plain.get("put", {}).items()},
                drop={_known(name): tuple(map(str, keys)) for name, keys in plain.get("drop", {}).items()},
                policy=None if policy is None else from_plain(PolicyText, policy),
            )
        case "beat":
            return Beat(int(plain["version"]), from_plain(datetime, plain["at"]))
        case "stop":
            return Stop(str(plain["why"]) or "it was told to stop")
        case "go":
            return Stop("")
        case "watch":
            return WatchAsked(str(plain["session"]), str(plain["ticket"]))
    return None


def _known(name: str) -> str:
    if name not in _ROWS:
        # A map that is not understood may be the one that ends somebody's access.
        raise ValueError(f"there is no map {name!r}")
    return name


def _rows(name: str, rows: Mapping[str, Any]) -> dict[str, object]:
    kind: type = _ROWS[_known(name)]
    return {key: from_plain(kind, row) for key, row in rows.items()}


def check_version(snapshot: Snapshot, told: int) -> None:
    """Raises FeedBroken unless ``snapshot`` is of the version ``told``, which the control plane said last."""
    if told < snapshot.version:
        raise FeedBroken(f"it went back from version {snapshot.version} to {told}")
    if told > snapshot.version:
        raise FeedBroken(f"something between the versions {snapshot.version} and {told} was never heard")


def apply_change(snapshot: Snapshot, change: Change) -> Snapshot:
    """``snapshot`` with ``change``. The policy is left as it is: it changes when its rules are ready.

    Raises FeedBroken when the change does not follow the snapshot.
    """
    check_version(snapshot, change.after)
    if change.version < change.after:
        raise FeedBroken(f"it went back from version {change.after} to {change.version}")
    maps: dict[str, Any] = {}
    for name in change.put.keys() | change.drop.keys():
        rows = dict(getattr(snapshot, name))
        for key in change.drop.get(name, ()):
            rows.pop(key, None)
        rows.update(change.put.get(name, {}))
        maps[name] = rows
    return replace(snapshot, version=change.version, at=change.at, **maps)
