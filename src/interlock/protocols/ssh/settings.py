"""What may be set for an ``ssh`` resource: how the gateway knows the host, and how it signs in there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncssh

from interlock.domain.resources import Resource

_KEYS = ("host_key", "host_authority", "sign_in")
WAYS = ("key", "certificate", "password")


@dataclass(frozen=True, slots=True)
class Trust:
    """The host's own keys, and the authorities that may certify one. Never both empty."""

    keys: tuple[asyncssh.SSHKey, ...]
    authorities: tuple[asyncssh.SSHKey, ...]


def check_settings(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The mistakes in a resource's settings, one sentence each."""
    mistakes = [
        f"an ssh resource has no key '{key}'; it may have {', '.join(_KEYS[:-1])} and {_KEYS[-1]}"
        for key in settings
        if key not in _KEYS
    ]
    if settings.get("host_key") is None and settings.get("host_authority") is None:
        mistakes.append(
            "an ssh resource needs host_key, the line of the host's public key as `ssh-keyscan -t ed25519 HOST` shows "
            "it, or host_authority, that of the authority that certifies it"
        )
    for name in ("host_key", "host_authority"):
        lines = _lines(settings.get(name))
        if settings.get(name) is not None and not lines:
            mistakes.append(f"{name} must be a public key such as 'ssh-ed25519 AAAA…', or a list of them")
        mistakes += [f"{name} has a line that is no public key: {line!r}" for line in lines if _key(line) is None]
    way = settings.get("sign_in", "key")
    if way not in WAYS:
        mistakes.append(f"sign_in must be one of {', '.join(WAYS)}, not {way!r}")
    return tuple(mistakes)


def read_trust(resource: Resource) -> Trust:
    found = (
        tuple(key for line in _lines(resource.settings.get(name)) if (key := _key(line)) is not None)
        for name in ("host_key", "host_authority")
    )
    return Trust(*found)


def way_in(resource: Resource) -> str:
    return str(resource.settings.get("sign_in", "key"))


def _lines(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value.strip() else []
    return [line for line in value if isinstance(line, str)] if isinstance(value, list) else []


def _key(line: str) -> asyncssh.SSHKey | None:
    try:
        return asyncssh.import_public_key(line)
    except (asyncssh.KeyImportError, ValueError):
        return None
