"""The body of ``/run`` and ``/runsync``."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request

from talkingvideo_gateway.dialects.runpod.policy import Policy
from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.http.bodies import json_object, refuse_nul
from talkingvideo_gateway.http.limits import plain_body


class RunBody(BaseModel):
    """Body of ``/run`` and ``/runsync``."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", use_attribute_docstrings=True)

    input: dict[str, Any]
    """What a worker gets, as one of three workers has it."""
    policy: Policy | None = None
    """How long the job may take."""
    webhook: Any = None
    """Ignored: this release calls no addresses."""
    webhook_v2: Any = None
    """Ignored, as webhook is."""
    s3_config: Any = None
    """Refused: no credential in a request is accepted."""


async def read_body(request: Request) -> RunBody:
    """The body, whatever its Content-Type says.

    Raises:
        InvalidRequestError: It cannot be used.
    """
    await plain_body(request)
    return await asyncio.to_thread(_parsed, await request.body())


def _parsed(content: bytes) -> RunBody:
    fields = json_object(content)
    refuse_nul(fields)
    try:
        return RunBody.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequestError.of(error.errors(include_url=False)) from error


BodyOf = Annotated[RunBody, Depends(read_body)]


def _document() -> dict[str, Any]:
    schema = RunBody.model_json_schema(ref_template="#/components/schemas/{model}")
    policy = schema.pop("$defs")["Policy"]
    schema["properties"]["policy"] = policy
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


DOCUMENT = _document()
"""What OpenAPI says about it, since it is read by hand."""
