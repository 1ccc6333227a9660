"""Entities that changed, as the feed's ``change`` messages: what is over becomes a drop, everything else a put."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from interlock.domain.accounts import UpstreamAccount
from interlock.domain.codec import to_plain
from interlock.domain.grants import Activity, Grant, Login, Request, RequestKind, RequestState
from interlock.domain.people import Contract, Person
from interlock.domain.snapshot import HeldRequest, PolicyText, UpstreamCredential
from interlock.ports.state import Entity
from interlock.services.credentials import AccountSecrets


def held_request(request: Request) -> HeldRequest:
    """How a held statement's request stands, with the sentence for the client when it ended without a yes."""
    return HeldRequest(request.id, request.state.value, _ending_of(request))


def _ending_of(request: Request) -> str:
    reason = request.decided_reason or "no reason was given"
    reason = reason if reason.endswith((".", "!", "?")) else f"{reason}."
    match request.state:
        case RequestState.DENIED:
            return f"{request.decided_by or 'Somebody'} denied it: {reason}"
        case RequestState.WITHDRAWN:
            return f"It was withdrawn: {reason}"
        case RequestState.EXPIRED:
            return "Nobody approved it in time."
        case _:
            return ""


class Translation:
    """Turns changes into messages for one follower, and remembers only which holds and alarms it told.

    A hold that ended is put, with its sentence, because somebody waits to hear it; it is dropped with its session.
    ``alarms`` are the sessions that it was told of as to be held.
    """

    def __init__(self, alarms: Iterable[str] = (), own: AccountSecrets | None = None) -> None:
        self._alarms = set(alarms)
        self._own = own
        self._holds: dict[str, set[str]] = {}

    def message(self, version: int, at: datetime, entities: Iterable[Entity]) -> Mapping[str, Any] | None:
        """The ``change`` message, without its ``after``; None when nothing of it concerns a gateway."""
        put: dict[str, dict[str, Any]] = {}
        drop: dict[str, list[str]] = {}
        policy: PolicyText | None = None
        for entity in entities:
            if isinstance(entity, PolicyText):
                policy = entity if policy is None or entity.version > policy.version else policy
            for where, key, row in self._rows(entity, at):
                if row is None:
                    drop.setdefault(where, []).append(key)
                else:
                    put.setdefault(where, {})[key] = to_plain(row)
        if not put and not drop and policy is None:
            return None
        message = {"type": "change", "version": version, "at": to_plain(at), "put": put, "drop": drop}
        return message if policy is None else {**message, "policy": to_plain(policy)}

    def _rows(self, entity: Entity, at: datetime) -> Iterable[tuple[str, str, object]]:
        """Where each row goes, under which key; None instead of a row takes it away."""
        match entity:
            case Person():
                yield "people", entity.name, entity if entity.active else None
            case Contract():
                over = entity.ended_at is not None or at >= entity.end
                yield "contracts", entity.name, None if over else entity
            case Grant():
                yield "grants", entity.id, entity if entity.active(at) else None
            case Login():
                yield "logins", entity.id, entity if entity.active(at) else None
            case Request(kind=RequestKind.STATEMENT):
                yield self._held(entity)
            case Activity():
                yield from self._session(entity)
            case UpstreamAccount() if self._own is not None:
                yield "accounts", entity.id, None if entity.ended_at else self._own.credential_of(entity)

    def _held(self, request: Request) -> tuple[str, str, object]:
        told = self._holds.setdefault(request.session or "", set())
        if request.state is RequestState.USED:
            told.discard(request.id)
            return "held", request.id, None
        told.add(request.id)
        return "held", request.id, held_request(request)

    def _session(self, activity: Activity) -> Iterable[tuple[str, str, object]]:
        if activity.closed_at is not None:
            yield "cuts", activity.id, None
            for request in sorted(self._holds.pop(activity.id, ())):
                yield "held", request, None
        elif activity.cut_why:
            yield "cuts", activity.id, activity.cut_why
        if activity.held_why and activity.closed_at is None:
            self._alarms.add(activity.id)
            yield "alarms", activity.id, activity.held_why
        elif activity.id in self._alarms:
            self._alarms.discard(activity.id)
            yield "alarms", activity.id, None


def credentials_message(
    version: int, at: datetime, before: Mapping[str, UpstreamCredential], after: Mapping[str, UpstreamCredential]
) -> Mapping[str, Any] | None:
    """As :meth:`Translation.message`, from one set of credentials to the next; None when they are the same."""
    if before == after:
        return None
    put = {name: to_plain(credential) for name, credential in after.items() if before.get(name) != credential}
    drop = sorted(before.keys() - after.keys())
    return {
        "type": "change",
        "version": version,
        "at": to_plain(at),
        "put": {"credentials": put} if put else {},
        "drop": {"credentials": drop} if drop else {},
    }
