"""GitHub, and GitHub Enterprise: https://docs.github.com/en/webhooks and https://docs.github.com/en/rest.

What decides is asked of the API at the time; of a message only its signature, the push it tells and the numbers it
names are taken. A review counts by its state there (``APPROVED``, of a ``User``), never by what a comment says. Commit
statuses, which any token can write, count for nothing: checks do, which belong to an application.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

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

_DECIDES = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
_HIDDEN = re.compile(r"(?:[0-9]+\+)?([A-Za-z0-9][A-Za-z0-9-]*(?:\[bot\])?)@users\.noreply\.github\.com", re.IGNORECASE)
_OWN = frozenset({"noreply@github.com"})


class GitHubForge(NoStatusChecks):
    """Implements :class:`interlock.ports.forge.OpenForge`."""

    def __init__(self, settings: ForgeSettings) -> None:
        self._settings = settings
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        if settings.token:
            headers["Authorization"] = f"Bearer {settings.token}"
        self._api = ForgeApi(settings.name, settings.url, headers)

    def check_headers(self, headers: Mapping[str, str]) -> None:
        check_signed(_signature(headers))

    def read_news(self, headers: Mapping[str, str], body: bytes) -> News:
        check_hmac(self._settings.webhook, body, _signature(headers))
        said = read_body(body)
        event, number = headers.get("x-github-event", ""), headers.get("x-github-delivery", "")
        if not event or not number:
            raise unreadable("it has no event or no number")
        try:
            project = str(said["repository"]["full_name"]) if "repository" in said else ""
            return self._news(event, number, project, said)
        except (KeyError, TypeError, AttributeError) as error:
            raise unreadable(f"the event {event[:40]} lacks a part") from error

    def _news(self, event: str, number: str, project: str, said: Mapping[str, Any]) -> News:
        match event:
            case "push":
                return News(number, project, self._pushed(said))
            case "pull_request":
                return self._pull_request(number, project, said)
            case "pull_request_review" | "pull_request_review_comment":
                return News(number, project, changes=(str(said["pull_request"]["number"]),))
            case "check_run" | "check_suite":
                return News(number, project, commits=(str(said[event]["head_sha"]),))
            case "deployment_protection_rule":
                deployment = said["deployment"]
                asked = Deploying(
                    environment=str(said["environment"]),
                    commit=str(deployment["sha"]),
                    ref=str(deployment["ref"]),
                    by=self._account(deployment.get("creator")),
                    number=str(deployment["id"]),
                    answer_to=str(said["deployment_callback_url"]),
                )
                return News(number, project, deploying=asked)
            case "deployment_status":
                deployment = said["deployment"]
                done = said["deployment_status"]["state"] == "success"
                told = Deploying(
                    environment=str(deployment["environment"]),
                    commit=str(deployment["sha"]),
                    ref=str(deployment["ref"]),
                    by=self._account(deployment.get("creator")),
                    number=str(deployment["id"]),
                    done=True,
                )
                return News(number, project, deploying=told if done else None)
        return News(number, project)

    def _pushed(self, said: Mapping[str, Any]) -> Pushed:
        # The sender is the account; ``pusher.name`` is a name, and for a deploy key that of whoever made the key.
        sender = said.get("sender")
        by = self._account(sender) if isinstance(sender, Mapping) else None
        if by is not None and str(said["pusher"].get("name", "")).casefold() not in ("", by.login.casefold()):
            by = None
        return Pushed(str(said["ref"]), str(said["before"]), str(said["after"]), by)

    def _pull_request(self, number: str, project: str, said: Mapping[str, Any]) -> News:
        pull = said["pull_request"]
        pushed = None
        # A push to a fork is told by nothing else than this.
        from_fork = (pull["head"].get("repo") or {}).get("full_name") != pull["base"]["repo"]["full_name"]
        if from_fork and said["action"] in ("opened", "synchronize"):
            by = self._account(said.get("sender"))
            before = str(said.get("before") or "0" * 40)
            pushed = Pushed(f"refs/pull/{pull['number']}/head", before, str(pull["head"]["sha"]), by)
        return News(number, project, pushed, changes=(str(pull["number"]),))

    async def change(self, project: str, number: str) -> ChangeRequest:
        path = f"/repos/{project}/pulls/{int(number)}"
        pull = await self._api.get(path)
        reviews = await self._api.pages(f"{path}/reviews")
        try:
            landed = str(pull.get("merge_commit_sha") or "") if pull.get("merged") else ""
            return ChangeRequest(
                number=number,
                head=str(pull["head"]["sha"]),
                branch=str(pull["base"]["ref"]),
                by=self._account(pull.get("user")),
                landed=landed,
                reviews=tuple(self._reviews(reviews)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise self._strange(path) from error

    def _reviews(self, reviews: Sequence[Any]) -> list[Review]:
        decisive = [one for one in reviews if one["state"] in _DECIDES and one.get("user") and one.get("submitted_at")]
        words = latest_words([(one["user"]["login"], moment(one["submitted_at"]), one) for one in decisive])
        return [
            Review(
                number=str(one["id"]),
                by=self._account(one["user"]) or Account("", program=True),
                approves=one["state"] == "APPROVED",
                at_commit=str(one.get("commit_id") or ""),
                at=moment(one["submitted_at"]),
            )
            for one in words
        ]

    async def changes_of(self, project: str, commit: str) -> Sequence[str]:
        return [str(one["number"]) for one in await self._api.pages(f"/repos/{project}/commits/{commit}/pulls")]

    async def checks(self, project: str, commit: str) -> Sequence[Check]:
        path = f"/repos/{project}/commits/{commit}/check-runs"
        runs = await self._api.pages(path, inside="check_runs", filter="latest")
        try:
            return [
                Check(
                    number=str(one["id"]),
                    name=str(one["name"]),
                    by=f"{one['app']['slug']}[bot]",
                    succeeded=one["status"] == "completed" and one["conclusion"] == "success",
                    at=moment(one["completed_at"]),
                )
                for one in runs
                if one.get("completed_at") and one.get("app") and one.get("head_sha") == commit
            ]
        except (KeyError, TypeError) as error:
            raise self._strange(path) from error

    async def answer(self, project: str, asked: Deploying, *, allowed: bool, sentence: str) -> None:
        if not self._api.is_ours(asked.answer_to):
            raise Failure("The message names an address for the answer that is none of the forge's.", "")
        body = {
            "environment_name": asked.environment,
            "state": "approved" if allowed else "rejected",
            "comment": sentence[:1000],
        }
        await self._api.post(asked.answer_to, body)

    async def tell(self, project: str, commit: str, *, name: str, allowed: bool, sentence: str) -> None:
        body = {
            "name": name,
            "head_sha": commit,
            "status": "completed",
            "conclusion": "success" if allowed else "action_required",
            "output": {"title": "Open" if allowed else "Shut", "summary": sentence[:60_000]},
        }
        await self._api.post(f"/repos/{project}/check-runs", body)

    def login_of(self, address: str) -> str | None:
        found = _HIDDEN.fullmatch(address)
        return None if found is None else found[1]

    def is_own(self, address: str) -> bool:
        return address in _OWN

    async def close(self) -> None:
        await self._api.close()

    def _account(self, said: object) -> Account | None:
        if not isinstance(said, Mapping) or not said.get("login"):
            return None
        login = str(said["login"])
        is_bot = said.get("type") != "User" or login.endswith("[bot]") or login in self._settings.bots
        return Account(login, program=is_bot)

    def _strange(self, path: str) -> Failure:
        return Failure(f"{self._settings.name} answered something that cannot be read at {path}.", "Try again.")


def _signature(headers: Mapping[str, str]) -> str:
    """Hex of HMAC-SHA-256 over the body, as the message brings it."""
    return headers.get("x-hub-signature-256", "").removeprefix("sha256=")


class GitHub:
    name = "github"

    def open(self, settings: ForgeSettings) -> OpenForge:
        return GitHubForge(settings)


FORGE = GitHub()
