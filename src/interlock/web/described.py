"""What the OpenAPI description says of answers: each status once, with the form of its body."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Form):
    code: str
    sentence: str
    remedy: str


class ErrorAnswer(_Form):
    """The form of every error but the authorization server's."""

    error: Problem


class OauthErrorAnswer(_Form):
    """RFC 6749 section 5.2, and RFC 7591 section 3.2.2."""

    error: str
    error_description: str


class SignalErrorAnswer(_Form):
    """RFC 8935 section 2.4."""

    err: str
    description: str


Responses = dict[int | str, dict[str, Any]]

_BOUNDARY: Final = {
    408: "came too slowly",
    413: "too long",
    421: "to a name that is not this server's",
    500: "a fault of Interlock's own",
}
_CALLS: Final = {
    401: "nobody has proved who they are",
    403: "a no, with its reason",
    404: "nothing that the caller may know of",
    422: "does not fit its form",
    503: "something that Interlock needs is not as it must be",
}


def _said(statuses: dict[int, str], model: type[BaseModel]) -> Responses:
    return {status: {"model": model, "description": words} for status, words in statuses.items()}


ERRORS: Final[Responses] = _said(_BOUNDARY | _CALLS, ErrorAnswer)
"""Of every call that is not the authorization server's."""
BOUNDARY_ERRORS: Final[Responses] = _said(_BOUNDARY, ErrorAnswer)
"""What the boundary says before any call is reached."""
OAUTH_ERRORS: Final[Responses] = BOUNDARY_ERRORS | _said(
    {400: "RFC 6749 section 5.2", 401: "the client has not proved who it is", 503: _CALLS[503]}, OauthErrorAnswer
)
SIGNAL_ERRORS: Final[Responses] = _said({400: "RFC 8935 section 2.4"}, SignalErrorAnswer)


def content(media_type: str, *statuses: int) -> Responses:
    """Answers that are no JSON, for routes with a ``response_class`` of no media type: their errors are JSON yet."""
    return {status: {"description": "", "content": {media_type: {}}} for status in statuses}
