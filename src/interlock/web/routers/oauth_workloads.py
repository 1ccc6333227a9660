"""A job's token for one of ours: RFC 7523 section 2.1 (``jwt-bearer``), or RFC 8693 with an ID token.

Asked for with ``workload``, the name in interlock.yaml, and a DPoP proof of the job's own key.
"""

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from interlock.errors import Refusal
from interlock.identity.workload_tokens import SKEW, rule_of
from interlock.services.workloads import admit_workload, find_workload
from interlock.web.oauth import needed
from interlock.web.routers.entrance import address_of
from interlock.web.routers.oauth_metadata import EXCHANGE_GRANT
from interlock.web.services import Services

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 -- the type's name (RFC 8693 section 3)
JOB_TOKENS = frozenset({"urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt"})


async def give_workload(request: Request, services: Services, form: Mapping[str, str], key: str) -> Response:
    name = needed(form, "workload")
    text = needed(form, "subject_token" if form.get("grant_type") == EXCHANGE_GRANT else "assertion")
    workload = find_workload(services.desk, name)
    now = services.desk.clock.now()
    job = await services.oauth.workloads.read(workload, text, now)
    if not await services.proofs.replays.first_use(f"workload:{workload.issuer}", job.token_id, job.ends_at + SKEW):
        raise Refusal("invalid_grant", "This job's token was used before.", "Ask the CI system for a fresh one.")
    ends_at = await admit_workload(
        services.desk,
        workload=workload,
        subject=job.subject,
        token_ends_at=job.ends_at,
        key=key,
        address=address_of(request),
    )
    issued = services.tokens.issue_for_workload(name, rule=rule_of(workload), key=key, at=now, ends_at=ends_at)
    said = {
        "access_token": issued.text,
        "token_type": "DPoP",
        "expires_in": int(issued.ends_at.timestamp() - now.timestamp()),
        "workload": name,
        "owner": workload.owner,
    }
    if form.get("grant_type") == EXCHANGE_GRANT:
        said["issued_token_type"] = ACCESS_TOKEN
    return JSONResponse(said, headers={"Pragma": "no-cache"})
