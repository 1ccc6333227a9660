"""A forge's double: it keeps pull requests, reviews and checks as a forge does, answers its API over HTTP, and makes
its signed messages. Forms as the public documentation of GitHub, GitLab and Gitea has them, stated anew.
"""

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

SECRET = "a secret of webhooks, long enough"
PROJECT = "acme/shop"
ZEROS = "0" * 40
Message = tuple[dict[str, str], bytes]


@dataclass
class Word:
    """One review; ``edited`` comments stay comments."""

    number: int
    login: str
    state: str
    commit: str
    at: datetime
    bot: bool = False
    dismissed: bool = False


@dataclass
class Pull:
    number: int
    head: str
    base: str
    login: str
    fork: str = ""
    merged: str = ""
    words: list[Word] = field(default_factory=list)
    versions: list[tuple[str, datetime]] = field(default_factory=list)


@dataclass
class Ran:
    number: int
    name: str
    by: str
    succeeded: bool
    commit: str
    at: datetime
    status_only: bool = False


@dataclass
class ForgeDouble:
    """``kind``: github, gitlab or gitea. ``answers`` are what was told to waiting jobs and put on commits."""

    kind: str = "github"
    pulls: dict[int, Pull] = field(default_factory=dict)
    checks: list[Ran] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""
    broken: bool = False
    _number: int = 100
    _at: datetime = datetime(2026, 11, 24, 9, tzinfo=UTC)

    @property
    def api(self) -> str:
        return self.url + {"github": "", "gitlab": "/api/v4", "gitea": "/api/v1"}[self.kind]

    def tick(self) -> datetime:
        self._at += timedelta(seconds=7)
        return self._at

    def number(self) -> int:
        self._number += 1
        return self._number

    # --- what people do there

    def open(self, head: str, login: str, base: str = "main", fork: str = "") -> Pull:
        pull = Pull(self.number(), head, base, login, fork)
        pull.versions.append((head, self.tick()))
        self.pulls[pull.number] = pull
        return pull

    def push_to(self, pull: Pull, head: str) -> None:
        pull.head = head
        pull.versions.append((head, self.tick()))

    def review(self, pull: Pull, login: str, state: str = "APPROVED", *, bot: bool = False, commit: str = "") -> Word:
        word = Word(self.number(), login, state, commit or pull.head, self.tick(), bot)
        pull.words.append(word)
        return word

    def ran(self, name: str, by: str, commit: str, *, succeeded: bool = True, status_only: bool = False) -> Ran:
        ran = Ran(self.number(), name, by, succeeded, commit, self.tick(), status_only)
        self.checks.append(ran)
        return ran

    # --- messages

    def message(self, event: str, body: dict[str, Any], secret: str = SECRET) -> Message:
        raw = json.dumps(body).encode()
        made = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
        number = f"72d3162e-cc78-11e3-81ab-{self.number():012d}"
        if self.kind == "gitlab":
            return {"x-gitlab-token": secret, "x-gitlab-event": event, "x-gitlab-event-uuid": number}, raw
        if self.kind == "gitea":
            return {"x-gitea-signature": made, "x-gitea-event": event, "x-gitea-delivery": number}, raw
        return {"x-hub-signature-256": f"sha256={made}", "x-github-event": event, "x-github-delivery": number}, raw

    def push(self, login: str, before: str, after: str, branch: str = "topic", *, deploy_key: bool = False) -> Message:
        ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        if self.kind == "gitlab":
            body: dict[str, Any] = {"object_kind": "push", "ref": ref, "before": before, "after": after}
            body |= {"user_username": login, "project": {"path_with_namespace": PROJECT}, "commits": []}
            return self.message("Push Hook", body)
        account = self._account(login)
        body = {"ref": ref, "before": before, "after": after, "commits": [], "repository": {"full_name": PROJECT}}
        if self.kind == "gitea":
            return self.message("push", {**body, "pusher": account, "sender": account})
        pusher = {"name": "a deploy key" if deploy_key else login, "email": "x@example.com"}
        return self.message("push", {**body, "pusher": pusher, "sender": account, "forced": False})

    def reviewed(self, pull: Pull, login: str = "someone") -> Message:
        if self.kind == "gitlab":
            request = {"iid": pull.number, "action": "approved", "source_project_id": 1, "target_project_id": 1}
            request |= {"last_commit": {"id": pull.head}}
            project = {"path_with_namespace": PROJECT}
            body = {"object_kind": "merge_request", "user": {"username": login}, "project": project}
            return self.message("Merge Request Hook", {**body, "object_attributes": request})
        event = "pull_request_review" if self.kind == "github" else "pull_request_approved"
        body = {"action": "submitted", "pull_request": self._pull(pull), "sender": self._account(login)}
        return self.message(event, {**body, "repository": {"full_name": PROJECT}})

    def synchronized(self, pull: Pull, login: str, before: str) -> Message:
        """A push to a fork's branch, as GitHub tells it."""
        body = {"action": "synchronize", "before": before, "after": pull.head, "pull_request": self._pull(pull)}
        return self.message(
            "pull_request", {**body, "sender": self._account(login), "repository": {"full_name": PROJECT}}
        )

    def asks_status(self, pull: Pull) -> Message:
        """GitLab's external status check: the merge request's message with the check, signed and without a number."""
        request = {"iid": pull.number, "action": "update", "source_project_id": 1, "target_project_id": 1}
        request |= {"last_commit": {"id": pull.head}}
        body = {"object_kind": "merge_request", "user": {"username": "x"}, "object_attributes": request}
        rule = {"id": 7, "name": "interlock", "external_url": "https://gw.example:8443/v1/forges/hub/hooks"}
        body |= {"project": {"path_with_namespace": PROJECT}, "external_approval_rule": rule}
        raw = json.dumps(body).encode()
        made = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        return {"x-gitlab-signature": made, "content-type": "application/json"}, raw

    def checked(self, commit: str) -> Message:
        repository = {"full_name": PROJECT}
        if self.kind == "gitlab":
            body = {"object_kind": "pipeline", "object_attributes": {"sha": commit}}
            return self.message("Pipeline Hook", {**body, "project": {"path_with_namespace": PROJECT}})
        if self.kind == "gitea":
            return self.message("status", {"sha": commit, "repository": repository})
        return self.message("check_suite", {"check_suite": {"head_sha": commit}, "repository": repository})

    def asks_to_deploy(self, login: str, commit: str, environment: str = "production", ref: str = "main") -> Message:
        number = self.number()
        deployment = {"id": number, "sha": commit, "ref": ref, "environment": environment}
        deployment["creator"] = self._account(login)
        answer = f"{self.url}/repos/{PROJECT}/actions/runs/{number}/deployment_protection_rule"
        body = {"action": "requested", "environment": environment, "event": "push", "deployment": deployment}
        body |= {"deployment_callback_url": answer, "repository": {"full_name": PROJECT}}
        return self.message("deployment_protection_rule", body)

    def deployed(self, login: str, commit: str, environment: str = "production", number: int = 0) -> Message:
        deployment = {"id": number or self.number(), "sha": commit, "ref": "main", "environment": environment}
        deployment["creator"] = self._account(login)
        body = {"deployment": deployment, "deployment_status": {"state": "success"}}
        return self.message("deployment_status", {**body, "repository": {"full_name": PROJECT}})

    # --- the API

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        """What the API answers; None: 404."""
        if method == "POST":
            self.answers.append({"path": path, **body})
            return {}
        if query.get("page", ["1"]) != ["1"]:
            return {"check_runs": []} if path.endswith("check-runs") else []
        return (self._gitlab if self.kind == "gitlab" else self._github)(path)

    def _github(self, path: str) -> Any:
        prefix = "/api/v1" if self.kind == "gitea" else ""
        base = re.escape(f"{prefix}/repos/{PROJECT}")
        if found := re.fullmatch(rf"{base}/pulls/(\d+)", path):
            return self._pull(self.pulls[int(found[1])])
        if found := re.fullmatch(rf"{base}/pulls/(\d+)/reviews", path):
            return [self._word(word) for word in self.pulls[int(found[1])].words]
        if found := re.fullmatch(rf"{base}/commits/(\w+)/check-runs", path):
            runs = [self._run(ran) for ran in self.checks if ran.commit == found[1] and not ran.status_only]
            return {"total_count": len(runs), "check_runs": runs}
        if found := re.fullmatch(rf"{base}/commits/(\w+)/statuses", path):
            return [self._status(ran) for ran in self.checks if ran.commit == found[1]]
        return None

    def _gitlab(self, path: str) -> Any:
        base = f"/api/v4/projects/{PROJECT}"
        if found := re.fullmatch(rf"{base}/merge_requests/(\d+)(/\w+)?", path):
            pull = self.pulls[int(found[1])]
            match found[2]:
                case "/approvals":
                    last = {word.login: word for word in pull.words}
                    standing = [word for word in last.values() if word.state == "APPROVED" and not word.dismissed]
                    return {"approved_by": [{"user": {"username": word.login}} for word in standing]}
                case "/notes":
                    return [self._note(word) for word in pull.words]
                case "/status_checks":
                    known = {"id": 7, "name": "interlock", "status": "pending"}
                    other = {"id": 8, "name": "qa", "external_url": "https://qa.example/hook", "status": "pending"}
                    return [{**known, "external_url": "https://gw.example:8443/v1/forges/hub/hooks"}, other]
                case "/versions":
                    return [{"head_commit_sha": sha, "created_at": _iso(at)} for sha, at in reversed(pull.versions)]
            state = {"state": "merged" if pull.merged else "opened", "merge_commit_sha": pull.merged or None}
            author = {"username": pull.login}
            return {"iid": pull.number, "sha": pull.head, "target_branch": pull.base, "author": author, **state}
        if found := re.fullmatch(rf"{base}/repository/commits/(\w+)/statuses", path):
            return [self._status(ran) for ran in self.checks if ran.commit == found[1]]
        return None

    def _account(self, login: str, *, bot: bool = False) -> dict[str, Any]:
        is_bot = bot or login.endswith("[bot]")
        return {"login": login, "id": 1, "type": "Bot" if is_bot else "User"}

    def _pull(self, pull: Pull) -> dict[str, Any]:
        return {
            "number": pull.number,
            "head": {"sha": pull.head, "ref": "topic", "repo": {"full_name": pull.fork or PROJECT}},
            "base": {"sha": ZEROS, "ref": pull.base, "repo": {"full_name": PROJECT}},
            "user": self._account(pull.login),
            "merged": bool(pull.merged),
            "merge_commit_sha": pull.merged or None,
        }

    def _word(self, word: Word) -> dict[str, Any]:
        state = "DISMISSED" if word.dismissed and self.kind == "github" else word.state
        return {
            "id": word.number,
            "user": self._account(word.login, bot=word.bot),
            "state": state,
            "commit_id": word.commit,
            "submitted_at": _iso(word.at),
            "dismissed": word.dismissed,
            "body": "LGTM, approved",
        }

    def _note(self, word: Word) -> dict[str, Any]:
        said = {"APPROVED": "approved this merge request", "UNAPPROVED": "unapproved this merge request"}
        text, system = said.get(word.state, "approved this merge request"), word.state in said
        author = {"username": word.login, "bot": word.bot}
        return {"id": word.number, "system": system, "body": text, "author": author, "created_at": _iso(word.at)}

    def _run(self, ran: Ran) -> dict[str, Any]:
        return {
            "id": ran.number,
            "name": ran.name,
            "head_sha": ran.commit,
            "status": "completed",
            "conclusion": "success" if ran.succeeded else "failure",
            "completed_at": _iso(ran.at),
            "app": {"slug": ran.by.removesuffix("[bot]")},
        }

    def _status(self, ran: Ran) -> dict[str, Any]:
        status = "success" if ran.succeeded else "failed" if self.kind == "gitlab" else "failure"
        common = {"id": ran.number, "sha": ran.commit, "status": status, "created_at": _iso(ran.at)}
        if self.kind == "gitlab":
            return {**common, "name": ran.name, "author": {"username": ran.by}}
        return {**common, "context": ran.name, "creator": self._account(ran.by)}


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def serving(double: ForgeDouble) -> Iterator[ForgeDouble]:
    """The double's API on a free port of this machine, while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            double.asked.append(f"{self.command} {path}")
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            found = None if double.broken else double.answer(self.command, path, parse_qs(parts.query), body)
            raw = json.dumps(found).encode()
            self.send_response(500 if double.broken else 404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = _answer  # noqa: N815 -- the names that http.server calls

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 -- as in the base class
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
