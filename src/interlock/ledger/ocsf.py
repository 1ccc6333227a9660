"""Ledger entries as events of the Open Cybersecurity Schema Framework (OCSF 1.8), for the tools that watch.

Sign-ins are Authentication (3002), persons and their means of signing in Account Change (3001), a started grant User
Access Management (3005), everything else Entity Management (3004). What OCSF has no place for is under ``unmapped``,
as far as its class may be shown.
"""

from collections.abc import Mapping
from typing import Any

from interlock.domain.codec import to_plain
from interlock.domain.sensitivity import Sensitivity, sensitivity_of
from interlock.ledger.entries import Recorded

VERSION = "1.8.0"
_AUTHENTICATION, _ACCOUNT, _ACCESS, _ENTITY = 3002, 3001, 3005, 3004
_OTHER = 99
_CLASSES = {
    "login": _AUTHENTICATION,
    "sign-in": _AUTHENTICATION,
    "person": _ACCOUNT,
    "identity": _ACCOUNT,
    "enrolment": _ACCOUNT,
    "passkey": _ACCOUNT,
    "chat": _ACCOUNT,
    "password": _ACCOUNT,
}
_ACTIVITIES: Mapping[int, Mapping[str, int]] = {
    _AUTHENTICATION: {"login.started": 1, "login.ended": 2, "sign-in.refused": 1},
    _ACCOUNT: {"person.added": 1, "person.ended": 5},
    _ACCESS: {"grant.started": 1},
}
_ENTITY_ACTIVITIES = {
    **dict.fromkeys(("added", "opened", "registered", "given", "joined", "activated", "started", "issued"), 1),
    "read": 2,
    "changed": 3,
    **dict.fromkeys(("ended", "closed", "voided", "cut"), 4),
}
_SHOWN = {
    Sensitivity.PUBLIC: frozenset({Sensitivity.PUBLIC}),
    Sensitivity.SENSITIVE: frozenset({Sensitivity.PUBLIC, Sensitivity.SENSITIVE}),
    Sensitivity.SECRET: frozenset(Sensitivity),
}
_HIDDEN = "(not shown)"


def as_ocsf(recorded: Recorded, show: Sensitivity = Sensitivity.SENSITIVE) -> dict[str, Any]:
    """The OCSF event of an entry. ``show``: fields up to this class; names of persons are sensitive."""
    kind = recorded.event.kind
    noun, _, verb = kind.partition(".")
    plain: dict[str, Any] = to_plain(recorded.event)
    class_uid = _ACCESS if kind == "grant.started" else _CLASSES.get(noun, _ENTITY)
    activity = (
        _ENTITY_ACTIVITIES.get(verb, _OTHER) if class_uid == _ENTITY else _ACTIVITIES[class_uid].get(kind, _OTHER)
    )
    shown = {name: value for name, value in plain.items() if sensitivity_of(name) in _SHOWN[show]}
    person = str(shown.get("person") or _HIDDEN)
    event: dict[str, Any] = {
        "activity_id": activity,
        "category_uid": 3,
        "class_uid": class_uid,
        "type_uid": class_uid * 100 + activity,
        "severity_id": 2 if kind == "sign-in.refused" else 1,
        "time": int(recorded.at.timestamp() * 1000),
        "metadata": {
            "version": VERSION,
            "product": {"name": "Interlock", "vendor_name": "Interlock"},
            "event_code": kind,
            "log_name": "ledger",
            "sequence": recorded.position,
            "uid": str(recorded.position),
        },
        "actor": _actor(recorded.actor if show is not Sensitivity.PUBLIC else _HIDDEN),
        "unmapped": shown,
    }
    match class_uid:
        case 3002:
            refused = kind == "sign-in.refused"
            event |= {"user": {"name": person}, "service": {"name": "Interlock"}, "status_id": 2 if refused else 1}
        case 3001:
            event |= {"user": {"name": person}}
        case 3005:
            event |= {"user": {"name": person}, "privileges": [f"{plain['role']} on {plain['resource']}"]}
        case _:
            event |= {"entity": {"type": noun, "name": str(shown.get(noun) or shown.get("request") or noun)}}
    return event


def _actor(name: str) -> dict[str, Any]:
    if name == "system" or name.startswith("gateway:"):
        return {"app_name": f"Interlock ({name})"}
    return {"user": {"name": name}}
