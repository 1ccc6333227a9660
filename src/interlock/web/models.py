"""What the calls of people take: strict forms, in which an unknown key is a mistake and no text is without a limit."""

from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, StringConstraints

from interlock.domain.codec import to_plain

_NO_NUL = r"^[^\x00]*$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=254, pattern=_NO_NUL)]
Text = Annotated[str, StringConstraints(max_length=4000, pattern=_NO_NUL)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=16)]
InPath = Annotated[str, Path(min_length=1, max_length=254, pattern=_NO_NUL)]
InQuery = Annotated[str, Query(max_length=254, pattern=_NO_NUL)]


class Body(BaseModel):
    """The base of every body."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class WithReason(Body):
    """An act that others will read about."""

    reason: Text


def answer(value: object) -> JSONResponse:
    """``value`` by the codec of the domain."""
    return JSONResponse(to_plain(value))


def joined(entity: object, **more: object) -> dict[str, Any]:
    """An entity's own fields with others beside them."""
    plain: dict[str, Any] = to_plain(entity)
    return {**plain, **{name: to_plain(value) for name, value in more.items()}}
