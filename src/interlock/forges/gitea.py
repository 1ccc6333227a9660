"""Gitea and Forgejo: https://docs.gitea.com/usage/webhooks and https://docs.gitea.com/api.

The API stands at ``https://HOST/api/v1``. Reviews carry the commit they were given on; those that the forge calls
``dismissed`` count for nothing. Statuses count by the account that wrote them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from interlock.errors import Failure
from interlock.forges._http import (
    ForgeApi,
    NoStatusChecks,
    check_hmac,
    check_signed,
    latest_words,
    moment,
    read_body,
    unreadable,
)
from interlock.ports.forge import (
    Account,
    ChangeRequest,
    Check,
    Deploying,
    ForgeSettings,
    News,
    OpenForge,
    Pushed,
    Review,
)

_DECIDES = ("APPROVED", "REQUEST_CHANGES")
_REVIEWS = frozenset({"pull_request_approved", "pull_request_rejected", "pull_request_review", "pull_request_comment"})


class GiteaForge(NoStatusChecks):
    """Implements :class:`interlock.ports.forge.OpenForge`."""

    def __init__(self, settings: ForgeSettings) -> None:
        self._settings = settings
        headers = {"Authorization": f"token {settings.token}"} if settings.token else {}
        self._api = ForgeApi(settings.name, settings.url, headers)
        host = re.escape(urlsplit(settings.url).hostname or "")
        self._hidden = re.compile(rf"(?:[0-9]+\+)?([A-Za-z0-9][A-Za-z0-9._-]*)@noreply\.{host}", re.IGNORECASE)

    def check_headers(self, headers: Mapping[str, str]) -> None:
        check_signed(_signature(headers))

    def read_news(self, headers: Mapping[str, str], body: bytes) -> News:
        check_hmac(self._settings.webhook, body, _signature(headers))
        said = read_body(body)
        event = headers.get("x-gitea-event") or headers.get("x-forgejo-event") or ""
        number = headers.get("x-gitea-delivery") or headers.get("x-forgejo-delivery") or ""
        if not event or not number:
            raise unreadable("it has no event or no number")
        try:
            project = str(said["repository"]["full_name"])
            if event == "push":
                pushed = Pushed(
                    str(said["ref"]), str(said["before"]), str(said["after"]), self._account(said.get("pusher"))
                )
                return News(number, project, pushed)
            if event == "pull_request" or event.startswith("pull_request_") or event in _REVIEWS:
                return self._pull_request(number, project, said)
            if event == "status":
                return News(number, project, commits=(str(said["sha"]),))
        except (KeyError, TypeError, AttributeError) as error:
            raise unreadable(f"the event {event[:40]} lacks a part") from error
        return News(number, project)

    def _pull_request(self, number: str, project: str, said: Mapping[str, Any]) -> News:
        pull = said["pull_request"]
        pushed = None
        from_fork = (pull["head"].get("repo") or {}).get("full_name") != pull["base"]["repo"]["full_name"]
        if from_fork and said.get("action") in ("opened", "synchronized"):
            by = self._account(said.get("sender"))
            pushed = Pushed(f"refs/pull/{pull['number']}/head", "0" * 40, str(pull["head"]["sha"]), by)
        return News(number, project, pushed, changes=(str(pull["number"]),))

    async def change(self, project: str, number: str) -> ChangeRequest:
        path = f"/repos/{project}/pulls/{int(number)}"
        pull = await self._api.get(path)
        reviews = await self._api.pages(f"{path}/reviews")
        try:
            return ChangeRequest(
                number=number,
                head=str(pull["head"]["sha"]),
                branch=str(pull["base"]["ref"]),
                by=self._account(pull.get("user")),
                landed=str(pull.get("merge_commit_sha") or "") if pull.get("merged") else "",
                reviews=tuple(self._reviews(reviews)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise Failure(f"{self._settings.name} answered something that cannot be read at {path}.", "") from error

    def _reviews(self, reviews: Sequence[Any]) -> list[Review]:
        decisive = [one for one in reviews if one["state"] in _DECIDES and one.get("user") and one.get("submitted_at")]
        words = latest_words([(one["user"]["login"], moment(one["submitted_at"]), one) for one in decisive])
        return [
            Review(
                number=str(one["id"]),
                by=self._account(one["user"]) or Account("", program=True),
                approves=one["state"] == "APPROVED" and not one.get("dismissed"),
                at_commit=str(one.get("commit_id") or ""),
                at=moment(one["submitted_at"]),
            )
            for one in words
        ]

    async def changes_of(self, project: str, commit: str) -> Sequence[str]:
        pull = await self._api.get(f"/repos/{project}/commits/{commit}/pull")
        return [str(pull["number"])] if isinstance(pull, dict) and pull.get("number") else []

    async def checks(self, project: str, commit: str) -> Sequence[Check]:
        statuses = await self._api.pages(f"/repos/{project}/commits/{commit}/statuses")
        found = [
            Check(
                number=str(one["id"]),
                name=str(one["context"]),
                by=str(one["creator"]["login"]),
                succeeded=one["status"] == "success",
                at=moment(one["created_at"]),
            )
            for one in statuses
            if one.get("creator")
        ]
        latest: dict[tuple[str, str], Check] = {}
        for check in sorted(found, key=lambda one: (one.at, int(one.number))):
            latest[check.name, check.by] = check
        return list(latest.values())

    async def answer(self, project: str, asked: Deploying, *, allowed: bool, sentence: str) -> None:
        raise Failure("Gitea has no jobs that wait for an answer.", "Use `interlock gate` in the job.")

    async def tell(self, project: str, commit: str, *, name: str, allowed: bool, sentence: str) -> None:
        body = {"context": name, "state": "success" if allowed else "failure", "description": sentence[:250]}
        await self._api.post(f"/repos/{project}/statuses/{commit}", body)

    def login_of(self, address: str) -> str | None:
        found = self._hidden.fullmatch(address)
        return None if found is None else found[1]

    def is_own(self, address: str) -> bool:
        return False

    async def close(self) -> None:
        await self._api.close()

    def _account(self, said: object) -> Account | None:
        if not isinstance(said, Mapping) or not said.get("login"):
            return None
        login = str(said["login"])
        return Account(login, program=login in self._settings.bots or login.endswith("[bot]"))


def _signature(headers: Mapping[str, str]) -> str:
    """Hex of HMAC-SHA-256 over the body, as the message brings it."""
    return headers.get("x-gitea-signature") or headers.get("x-forgejo-signature") or ""


class Gitea:
    name = "gitea"

    def open(self, settings: ForgeSettings) -> OpenForge:
        return GiteaForge(settings)


FORGE = Gitea()
