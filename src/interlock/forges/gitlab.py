"""GitLab: https://docs.gitlab.com/user/project/integrations/webhooks and https://docs.gitlab.com/api.

The API stands at ``https://HOST/api/v4``. An approval there does not say which revision it was given on; that is found
from the notes that GitLab itself writes of approvals and the times of the merge request's versions.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from interlock.errors import Failure
from interlock.forges._http import (
    ForgeApi,
    check_hmac,
    check_signed,
    latest_words,
    moment,
    not_signed,
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
    StatusCheck,
)

_APPROVED, _UNAPPROVED = "approved this merge request", "unapproved this merge request"
_BOT = re.compile(r"(project|group)_[0-9]+_bot[_0-9a-f]*|ghost|support-bot|alert-bot")


class GitLabForge:
    """Implements :class:`interlock.ports.forge.OpenForge`."""

    def __init__(self, settings: ForgeSettings) -> None:
        self._settings = settings
        self._api = ForgeApi(settings.name, settings.url, {"PRIVATE-TOKEN": settings.token} if settings.token else {})
        host = re.escape(urlsplit(settings.url).hostname or "")
        self._hidden = re.compile(rf"[0-9]+-([A-Za-z0-9][A-Za-z0-9._-]*)@users\.noreply\.{host}", re.IGNORECASE)

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """An external status check is signed; anything else brings the secret itself, and is known by it."""
        if "x-gitlab-signature" in headers:
            check_signed(_signature(headers))
            return
        given = headers.get("x-gitlab-token", "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._settings.webhook.encode()):
            raise not_signed()

    def read_news(self, headers: Mapping[str, str], body: bytes) -> News:
        self.check_headers(headers)
        number = headers.get("x-gitlab-event-uuid") or headers.get("idempotency-key") or ""
        if "x-gitlab-signature" in headers:
            check_hmac(self._settings.webhook, body, _signature(headers))
            # It has no number of its own.
            number = number or hashlib.sha256(body).hexdigest()
        said = read_body(body)
        if not number:
            raise unreadable("it has no number")
        try:
            project = str(said["project"]["path_with_namespace"])
            match said.get("object_kind"):
                case "push" | "tag_push":
                    login = str(said.get("user_username") or "")
                    by = self._account({"username": login})
                    return News(number, project, Pushed(str(said["ref"]), str(said["before"]), str(said["after"]), by))
                case "merge_request":
                    return self._merge_request(number, project, said)
                case "note" if "merge_request" in said:
                    return News(number, project, changes=(str(said["merge_request"]["iid"]),))
                case "pipeline":
                    return News(number, project, commits=(str(said["object_attributes"]["sha"]),))
                case "build":
                    return News(number, project, commits=(str(said["sha"]),))
                case "deployment":
                    return self._deployment(number, project, said)
        except (KeyError, TypeError, AttributeError) as error:
            raise unreadable("a part is missing") from error
        return News(number, project)

    def _merge_request(self, number: str, project: str, said: Mapping[str, Any]) -> News:
        request = said["object_attributes"]
        pushed = None
        if request.get("source_project_id") != request.get("target_project_id") and (
            request.get("action") == "open" or request.get("oldrev")
        ):
            by = self._account(said.get("user"))
            before = str(request.get("oldrev") or "0" * 40)
            pushed = Pushed(f"refs/merge-requests/{request['iid']}/head", before, str(request["last_commit"]["id"]), by)
        return News(number, project, pushed, changes=(str(request["iid"]),))

    def _deployment(self, number: str, project: str, said: Mapping[str, Any]) -> News:
        if said.get("status") != "success":
            return News(number, project)
        told = Deploying(
            environment=str(said["environment"]),
            commit=str(said["commit_url"]).rpartition("/")[2],
            ref=str(said.get("ref") or ""),
            by=self._account(said.get("user")),
            number=str(said["deployment_id"]),
            done=True,
        )
        return News(number, project, deploying=told)

    async def change(self, project: str, number: str) -> ChangeRequest:
        path = f"/projects/{quote(project, safe='')}/merge_requests/{int(number)}"
        request = await self._api.get(path)
        approvals = await self._api.get(f"{path}/approvals")
        notes = await self._api.pages(f"{path}/notes", sort="asc", order_by="created_at")
        versions = await self._api.pages(f"{path}/versions")
        try:
            merged = request.get("state") == "merged"
            landed = (request.get("merge_commit_sha") or request.get("squash_commit_sha") or "") if merged else ""
            return ChangeRequest(
                number=number,
                head=str(request["sha"]),
                branch=str(request["target_branch"]),
                by=self._account(request.get("author")),
                landed=str(landed),
                reviews=tuple(self._reviews(approvals, notes, versions)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise Failure(f"{self._settings.name} answered something that cannot be read at {path}.", "") from error

    def _reviews(self, approvals: Mapping[str, Any], notes: Sequence[Any], versions: Sequence[Any]) -> list[Review]:
        standing = {str(one["user"]["username"]).casefold() for one in approvals["approved_by"]}
        revisions = sorted((moment(one["created_at"]), str(one["head_commit_sha"])) for one in versions)
        # Only GitLab writes system notes; a comment that says the same is none.
        said = [one for one in notes if one.get("system") and one.get("body") in (_APPROVED, _UNAPPROVED)]
        words = latest_words([(one["author"]["username"], moment(one["created_at"]), one) for one in said])
        return [
            Review(
                number=str(one["id"]),
                by=self._account(one["author"]) or Account("", program=True),
                approves=one["body"] == _APPROVED and str(one["author"]["username"]).casefold() in standing,
                at_commit=_at(revisions, moment(one["created_at"])),
                at=moment(one["created_at"]),
            )
            for one in words
        ]

    async def changes_of(self, project: str, commit: str) -> Sequence[str]:
        path = f"/projects/{quote(project, safe='')}/repository/commits/{commit}/merge_requests"
        return [str(one["iid"]) for one in await self._api.pages(path)]

    async def checks(self, project: str, commit: str) -> Sequence[Check]:
        path = f"/projects/{quote(project, safe='')}/repository/commits/{commit}/statuses"
        return [
            Check(
                number=str(one["id"]),
                name=str(one["name"]),
                by=str(one["author"]["username"]),
                succeeded=one["status"] == "success",
                at=moment(one.get("finished_at") or one["created_at"]),
            )
            for one in await self._api.pages(path)
            if one.get("author") and one.get("sha") == commit
        ]

    async def answer(self, project: str, asked: Deploying, *, allowed: bool, sentence: str) -> None:
        raise Failure("GitLab's jobs wait for no answer of ours.", "Use `interlock gate` in the job.")

    async def tell(self, project: str, commit: str, *, name: str, allowed: bool, sentence: str) -> None:
        body = {"name": name, "state": "success" if allowed else "failed", "description": sentence[:250]}
        await self._api.post(f"/projects/{quote(project, safe='')}/statuses/{commit}", body)

    async def status_checks(self, project: str, number: str) -> Sequence[StatusCheck]:
        """The external status checks of a merge request that are asked at our address."""
        path = f"/projects/{quote(project, safe='')}/merge_requests/{int(number)}"
        found = await self._api.pages(f"{path}/status_checks")
        ours = f"/v1/forges/{self._settings.name}/hooks"
        try:
            mine = [str(one["id"]) for one in found if urlsplit(str(one["external_url"])).path == ours]
            if not mine:
                return ()
            head = str((await self._api.get(path))["sha"])
        except (KeyError, TypeError) as error:
            raise Failure(f"{self._settings.name} answered something that cannot be read at {path}.", "") from error
        return [StatusCheck(number, head, check) for check in mine]

    async def answer_check(self, project: str, check: StatusCheck, *, allowed: bool) -> None:
        path = f"/projects/{quote(project, safe='')}/merge_requests/{int(check.change)}/status_check_responses"
        body = {"sha": check.commit, "external_status_check_id": int(check.check)}
        await self._api.post(path, {**body, "status": "passed" if allowed else "failed"})

    def login_of(self, address: str) -> str | None:
        found = self._hidden.fullmatch(address)
        return None if found is None else found[1]

    def is_own(self, address: str) -> bool:
        return False

    async def close(self) -> None:
        await self._api.close()

    def _account(self, said: object) -> Account | None:
        if not isinstance(said, Mapping) or not said.get("username"):
            return None
        login = str(said["username"])
        is_bot = login in self._settings.bots or _BOT.fullmatch(login) is not None or bool(said.get("bot"))
        return Account(login, program=is_bot)


def _at(revisions: Sequence[tuple[datetime, str]], at: datetime) -> str:
    """The revision that was there at a time; empty when there was none, or two came in that very moment."""
    before = [sha for moment_, sha in revisions if moment_ < at]
    same = [sha for moment_, sha in revisions if moment_ == at]
    return before[-1] if before and not same else ""


def _signature(headers: Mapping[str, str]) -> str:
    """Hex of HMAC-SHA-256 over the body, as the message brings it."""
    return headers.get("x-gitlab-signature", "").removeprefix("sha256=")


class GitLab:
    name = "gitlab"

    def open(self, settings: ForgeSettings) -> OpenForge:
        return GitLabForge(settings)


FORGE = GitLab()
