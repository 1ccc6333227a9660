"""`interlock git-hook`: the pre-receive hook of a plain git server.

Git gives it one line for each ref that is to be moved, and takes none of them when it ends with 1.
"""

import hashlib
import hmac
import json as jsonlib
import os
import secrets
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer

from interlock.cli.output import JsonOption, emit, note
from interlock.cli.shown import harmless
from interlock.errors import Failure, InterlockError, Refusal

_WAIT_S = 60.0
_ACCOUNTS = ("INTERLOCK_PUSHER", "REMOTE_USER", "GL_USER")


def add_to(app: typer.Typer) -> None:
    app.command("git-hook")(git_hook)


def git_hook(
    forge: Annotated[str, typer.Option("--forge", help="The forge's name in interlock.yaml.")],
    project: Annotated[str, typer.Option("--project", help="The project's name there.")],
    server: Annotated[str, typer.Option("--server", envvar="INTERLOCK_SERVER", metavar="URL", help="The server.")],
    authority: Annotated[Path, typer.Option("--authority", help="The server's authority (GET /v1/authority).")],
    secret: Annotated[Path, typer.Option("--secret", help="A file with the webhook's secret.")],
    branch: Annotated[str, typer.Option("--branch", help="The protected branch.")] = "main",
    pusher: Annotated[
        str | None,
        typer.Option("--pusher", help="Who pushes; INTERLOCK_PUSHER, REMOTE_USER or GL_USER when it is not said."),
    ] = None,
    after: Annotated[bool, typer.Option("--after", help="Run as post-receive hook: tell what was taken.")] = False,
    json: JsonOption = False,
) -> None:
    """Whether the refs may be moved as git says on standard input: a pre-receive hook; told of, a post-receive hook."""
    account = pusher or next((os.environ[name] for name in _ACCOUNTS if os.environ.get(name)), "")
    moves = [_read(line) for line in sys.stdin.buffer.read().decode("utf-8", "replace").splitlines()]
    if after:
        with _Server(server, authority, secret, forge, project) as told:
            for before, now, ref in moves:
                told.tell(before, now, ref, account)
        emit({"told": len(moves)}, lambda _: None)
        return
    refusals: list[str] = []
    for before, now, ref in moves:
        refusals += _look(before, now, ref, branch)
    if not refusals:
        with _Server(server, authority, secret, forge, project) as asked:
            for before, now, ref in moves:
                refusals += asked.ask(before, now, ref, account)
    emit({"allowed": not refusals, "sentences": refusals}, lambda _: None)
    if refusals:
        for one in refusals:
            note(harmless(f"interlock: {one}"))
        raise typer.Exit(1)


def _read(line: str) -> tuple[str, str, str]:
    words = line.split(" ", 2)
    if len(words) != 3:
        raise Failure("Git said something on standard input that is no move of a ref.", "Run this as a hook of git.")
    return words[0], words[1], words[2]


def _look(before: str, after: str, ref: str, branch: str) -> list[str]:
    """What this very repository shows: nothing that was there is lost, no tag means something else tomorrow."""
    if ref.startswith("refs/tags/") and before.strip("0"):
        return [
            f"{ref.removeprefix('refs/tags/')} is there already: a tag is neither moved nor deleted. Make a new one."
        ]
    if ref.startswith("refs/replace/"):
        return ["Replaced objects are not taken: they would show another history than there is."]
    if ref != f"refs/heads/{branch}" or not before.strip("0"):
        return []
    if not after.strip("0"):
        return [f"{branch} is not deleted."]
    code = subprocess.run(
        ["git", "merge-base", "--is-ancestor", "--end-of-options", before, after],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ).returncode
    if code != 0:
        return [
            f"{branch} would lose commits (a force push). Revert them instead, on a branch, and have that reviewed."
        ]
    return []


class _Server:
    """Signed questions to the control plane."""

    def __init__(self, url: str, authority: Path, secret: Path, forge: str, project: str) -> None:
        try:
            self._secret = secret.read_bytes().strip()
            trust = ssl.create_default_context(cafile=str(authority))
        except (OSError, ssl.SSLError) as error:
            raise Failure(f"{secret} or {authority} cannot be used: {error}.", "Check both files.") from error
        self._url = f"{url.rstrip('/')}/v1/forges/{forge}"
        self._project = project
        self._client = httpx2.Client(verify=trust, timeout=_WAIT_S, trust_env=False)

    def __enter__(self) -> "_Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, before: str, after: str, ref: str, account: str) -> list[str]:
        said = self._post("receive", before, after, ref, account)
        if said.get("allowed") is True:
            return []
        return [str(one) for one in said.get("sentences", ())] or ["The server did not allow it."]

    def tell(self, before: str, after: str, ref: str, account: str) -> None:
        self._post("hooks", before, after, ref, account)

    def _post(self, what: str, before: str, after: str, ref: str, account: str) -> dict[str, Any]:
        words = {
            "id": secrets.token_hex(16),
            "at": datetime.now(UTC).isoformat(),
            "project": self._project,
            "ref": ref,
            "before": before,
            "after": after,
            "by": account,
        }
        body = jsonlib.dumps(words).encode()
        signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        headers = {"X-Interlock-Signature": f"sha256={signature}", "Content-Type": "application/json"}
        try:
            answer = self._client.post(f"{self._url}/{what}", content=body, headers=headers)
            said = answer.json()
        except (httpx2.HTTPError, OSError, ValueError) as error:
            raise Failure(f"The server could not be asked, so nothing is taken: {error}.", "Try again.") from error
        if not answer.is_success or not isinstance(said, dict):
            raise _refused(said)
        return said


def _refused(said: Any) -> InterlockError:
    try:
        return Refusal(str(said["error"]["code"]), str(said["error"]["sentence"]), str(said["error"]["remedy"]))
    except (KeyError, TypeError):
        return Failure("The server's answer cannot be read, so nothing is taken.", "Try again.")
