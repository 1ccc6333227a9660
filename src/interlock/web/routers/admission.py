"""Kubernetes asks (a validating admission webhook, ``admission.k8s.io/v1``): may these images run here?

Open: the API server brings nothing to sign in with. All that is told is whether a digest's chain is whole, and why not.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from interlock.errors import InterlockError
from interlock.services.admit_images import admit_images
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf
from interlock.web.boundary import BadInputError, read_gateway_body
from interlock.web.models import InPath

router = APIRouter(prefix="/v1/admission")


@router.post("/{repository}/{environment}", responses=told(answered.ADMISSION))
async def review(repository: InPath, environment: InPath, request: Request, services: ServicesOf) -> JSONResponse:
    """The review with its response. Whatever goes wrong is a no with its reason, never an error that lets it pass."""
    said: Any = await read_gateway_body(request)
    asked = said.get("request") if isinstance(said, dict) else None
    if not isinstance(asked, dict) or said.get("apiVersion") != "admission.k8s.io/v1":
        raise BadInputError("this is no AdmissionReview of admission.k8s.io/v1")
    uid, thing = str(asked.get("uid", ""))[:100], asked.get("object")
    try:
        refusals = await admit_images(
            services.delivery,
            repository=repository,
            environment=environment,
            thing=thing if isinstance(thing, dict) else {},
        )
    except InterlockError as error:
        refusals = [error.sentence]
    answer: dict[str, Any] = {"uid": uid, "allowed": not refusals}
    if refusals:
        answer["status"] = {"code": 403, "message": " ".join(refusals)[:4000]}
    return JSONResponse({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer})
