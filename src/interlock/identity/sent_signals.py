"""Security events that we tell others (RFC 8417): what our ledger says of logins, credentials and persons.

One ledger entry is one event, whose ``jti`` is made of the entry's link: sent twice, it is known to be the same. The
subject is our name (the issuer) and the person's (``iss_sub``); no address, no reason that somebody wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interlock.domain.event import Event
from interlock.domain.identity_events import EnrolmentUsed, LoginEnded, PasskeyAdded, PasskeyEnded, PasswordEnded
from interlock.domain.rights_events import PersonEnded, PersonReturned
from interlock.identity.signals import CAEP, RISC
from interlock.ledger.entries import read_body
from interlock.ports.state import LedgerEntry

EVENT_TYPE = "secevent+jwt"


@dataclass(frozen=True, slots=True)
class Telling:
    """What is told of one entry: the event's address, about whom, and what else it says."""

    event: str
    person: str
    more: Mapping[str, Any]


def claims_of(entry: LedgerEntry, *, issuer: str, audience: str) -> Mapping[str, Any] | None:
    """The token's claims; None for an entry of which nobody is told. Raises Unreadable."""
    told = telling_of(read_body(entry.body).event)
    if told is None:
        return None
    at = int(entry.at.timestamp())
    by = "user" if entry.actor == told.person else "system" if entry.actor == "system" else "admin"
    return {
        "iss": issuer,
        "aud": audience,
        "iat": at,
        "jti": entry.link[:32],
        "sub_id": {"format": "iss_sub", "iss": issuer, "sub": told.person},
        "events": {told.event: {"event_timestamp": at, "initiating_entity": by, **told.more}},
    }


def telling_of(event: Event) -> Telling | None:
    match event:
        case LoginEnded():
            return Telling(f"{CAEP}session-revoked", event.person, {})
        case PasskeyAdded():
            return _credential(event.person, "fido2-roaming", "create")
        case PasskeyEnded():
            return _credential(event.person, "fido2-roaming", "delete")
        case EnrolmentUsed():
            return _credential(event.person, "password", "update")
        case PasswordEnded():
            return _credential(event.person, "password", "revoke")
        case PersonEnded():
            return Telling(f"{RISC}account-disabled", event.person, {})
        case PersonReturned():
            return Telling(f"{RISC}account-enabled", event.person, {})
    return None


def _credential(person: str, kind: str, change: str) -> Telling:
    return Telling(f"{CAEP}credential-change", person, {"credential_type": kind, "change_type": change})
