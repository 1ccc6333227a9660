"""A CI job is let in as a workload: with the token that its provider signed about it, and a key of its own.

The token comes from a file, from INTERLOCK_JOB_TOKEN (GitLab's ``id_tokens`` are variables), or, in a job of GitHub's
that has ``permissions: {id-token: write}``, from the address that GitHub gives the job.
"""

import os
from pathlib import Path
from typing import Any

import httpx2

from interlock.cli.home import Home
from interlock.errors import Failure, Refusal
from interlock.identity.api_client import ApiClient

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_MOST_BYTES = 16 * 1024
_TIMEOUT = httpx2.Timeout(15, connect=5)


def login_of_job(home: Home, server: str, workload: str, file: Path | None, authority: str) -> None:
    """Keeps the token in the home. Raises Refusal or Failure."""
    with ApiClient(server, key=home.private_key(), authority=authority) as api:
        issuer = str(api.get("/.well-known/oauth-authorization-server")["issuer"])
        form = {"grant_type": JWT_GRANT, "workload": workload, "assertion": _job_token(file, issuer)}
        got: dict[str, Any] = api.post_form("/oauth/token", form)
        api.auth.token = str(got["access_token"])
        who = api.get("/v1/workload")
    home.write(home.authority.name, authority)
    home.remember(server=server)
    home.keep_login(
        {
            "server": server,
            "workload": who["workload"],
            "person": who["owner"],
            "token": got["access_token"],
            "token_ends_at": who["ends_at"],
            "ends_at": who["ends_at"],
        }
    )


def _job_token(file: Path | None, audience: str) -> str:
    if file is not None:
        try:
            with file.open("rb") as opened:
                return opened.read(_MOST_BYTES).decode("ascii", "replace").strip()
        except OSError as error:
            raise Failure(
                f"{file} cannot be read: {error.strerror or error}.", "Name the file of the token."
            ) from error
    given = os.environ.get("INTERLOCK_JOB_TOKEN", "").strip()
    if given:
        return given
    address = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    bearer = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    if address and bearer:
        return _ask_github(address, bearer, audience)
    raise Refusal(
        "no-job-token",
        "There is no token that says which job this is.",
        "GitHub: give the job `permissions: {id-token: write}`. GitLab: `id_tokens: {INTERLOCK_JOB_TOKEN: {aud: …}}`. "
        "Elsewhere: --job-token FILE.",
    )


def _ask_github(address: str, bearer: str, audience: str) -> str:
    if not address.startswith("https://"):
        raise Refusal("bad-address", "ACTIONS_ID_TOKEN_REQUEST_URL is no https address.", "Run inside of a job.")
    try:
        with httpx2.Client(trust_env=False, timeout=_TIMEOUT) as http:
            url = httpx2.URL(address).copy_merge_params({"audience": audience})
            answer = http.get(url, headers={"Authorization": f"Bearer {bearer}"})
        token = answer.json().get("value") if not answer.is_error else None
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, AttributeError) as error:
        raise Failure("GitHub did not give this job a token.", "Try again.") from error
    if not isinstance(token, str):
        raise Failure("GitHub did not give this job a token.", "Give the job `permissions: {id-token: write}`.")
    return token
