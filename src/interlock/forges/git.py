"""A plain git server, which has no API: its pre-receive hook (`interlock git-hook`) tells what is pushed, and asks.

A message is JSON with ``id``, ``at``, ``project``, ``ref``, ``before``, ``after`` and ``by``, signed as
``X-Interlock-Signature: sha256=HEX`` of HMAC-SHA-256 over the body.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from interlock.errors import Failure
from interlock.forges._http import NoStatusChecks, check_hmac, check_signed, moment, read_body, unreadable
from interlock.ports.forge import Account, ChangeRequest, Check, Deploying, ForgeSettings, News, OpenForge, Pushed

_OLDEST = timedelta(minutes=5)


class PlainForge(NoStatusChecks):
    """Implements :class:`interlock.ports.forge.OpenForge`; nothing can be asked of it."""

    def __init__(self, settings: ForgeSettings) -> None:
        self._settings = settings

    def check_headers(self, headers: Mapping[str, str]) -> None:
        check_signed(_signature(headers))

    def read_news(self, headers: Mapping[str, str], body: bytes) -> News:
        check_hmac(self._settings.webhook, body, _signature(headers))
        said = read_body(body)
        try:
            words = {name: str(said[name]) for name in ("id", "at", "project", "ref", "before", "after", "by")}
        except KeyError as error:
            raise unreadable("a part is missing") from error
        if abs(datetime.now(UTC) - moment(words["at"])) > _OLDEST:
            raise unreadable("it is too old, or its clock is wrong")
        login = words["by"]
        by = Account(login, program=login in self._settings.bots) if login else None
        return News(words["id"], words["project"], Pushed(words["ref"], words["before"], words["after"], by))

    async def change(self, project: str, number: str) -> ChangeRequest:
        raise self._mute()

    async def changes_of(self, project: str, commit: str) -> Sequence[str]:
        return ()

    async def checks(self, project: str, commit: str) -> Sequence[Check]:
        return ()

    async def answer(self, project: str, asked: Deploying, *, allowed: bool, sentence: str) -> None:
        raise self._mute()

    async def tell(self, project: str, commit: str, *, name: str, allowed: bool, sentence: str) -> None:
        raise self._mute()

    def login_of(self, address: str) -> str | None:
        return None

    def is_own(self, address: str) -> bool:
        return False

    async def close(self) -> None:
        return

    def _mute(self) -> Failure:
        return Failure(f"{self._settings.name} is a plain git server, of which nothing can be asked.", "")


def _signature(headers: Mapping[str, str]) -> str:
    """Hex of HMAC-SHA-256 over the body, as the message brings it."""
    return headers.get("x-interlock-signature", "").removeprefix("sha256=")


class PlainGit:
    name = "git"

    def open(self, settings: ForgeSettings) -> OpenForge:
        return PlainForge(settings)


FORGE = PlainGit()
