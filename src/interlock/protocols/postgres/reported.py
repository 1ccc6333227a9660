"""The settings that a server reports as they change, and which of them a session may not have."""

from interlock.errors import PeerError
from interlock.protocols.postgres.settings import READABLE_ENCODINGS, says_who

FOLLOWED = (
    "standard_conforming_strings",
    "client_encoding",
    "default_transaction_read_only",
    "session_authorization",
    "is_superuser",
    "application_name",
)
"""The settings on which the reading of statements, the rights of the session, or its name in the server's log, rest."""


class ForbiddenStateError(PeerError):
    """The session got into a state that it may not have, and ends."""


class Reported:
    """What the server last reported. ``follow`` raises when the session may not go on.

    ``person`` is whose name the session bears on an account that is shared; empty on one of their own.
    """

    def __init__(self, read_only: bool, person: str = "") -> None:
        self._read_only = read_only
        self._person = person
        self._settings: dict[str, str] = {}
        self._first: dict[str, str] = {}

    @property
    def ascii_only(self) -> bool:
        return self._settings.get("client_encoding") == "SQL_ASCII"

    def get(self, name: str) -> str | None:
        return self._settings.get(name)

    def check_start(self) -> None:
        """Whether the server reported at all what the session rests on."""
        for name in ("standard_conforming_strings", "client_encoding"):
            if name not in self._settings:
                raise _ended(f"its server does not report {name}")
        if self._read_only and self._settings.get("default_transaction_read_only") != "on":
            raise _ended(
                "its server does not report default_transaction_read_only (PostgreSQL 14 and newer do),"
                " without which a session that may only read cannot be kept from writing"
            )

    def follow(self, name: str, setting: str) -> None:
        self._settings[name] = setting
        first = self._first.setdefault(name, setting)
        if name == "standard_conforming_strings" and setting != "on":
            raise _ended("standard_conforming_strings is off, and statements could not be read exactly any more")
        if name == "client_encoding" and setting not in READABLE_ENCODINGS:
            raise _ended(f"client_encoding is {setting}, in which statements cannot be read exactly")
        if name == "default_transaction_read_only" and self._read_only and setting != "on":
            raise _ended("default_transaction_read_only is off, and no grant of this session allows a change")
        if name == "application_name" and self._person and not says_who(self._person, setting):
            raise _ended("application_name no longer says whose it is, and the database's log would name somebody else")
        if name in ("session_authorization", "is_superuser") and setting != first:
            raise _ended(f"{name} changed from {first} to {setting}, and the session would act with other rights")


def _ended(why: str) -> ForbiddenStateError:
    return ForbiddenStateError(f"Interlock ended this session: {why}.", "Connect again.")
