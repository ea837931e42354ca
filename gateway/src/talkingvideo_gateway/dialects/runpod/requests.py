"""From a body of ``/run`` or ``/runsync`` to requests for videos: one, or those of a batch."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from talkingvideo_gateway.dialects.runpod.body import RunBody
from talkingvideo_gateway.dialects.runpod.policy import policy_spec
from talkingvideo_gateway.dialects.runpod.schemas import conditions, schema_of
from talkingvideo_gateway.dialects.runpod.schemas.fields import Fields, Notes, unknown_fields
from talkingvideo_gateway.dialects.runpod.schemas.schema import DELIVERY, Delivery, Schema
from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.http.volumes import Volumes
from talkingvideo_gateway.settings import ResultForm, RunPodEndpoint
from talkingvideo_gateway.videos.request import VideoRequest

NAME = "runpod"
ENDPOINT, SCHEMA, ITEM, INDEX = "endpoint", "schema", "item", "index"
"""Options of a request: its endpoint, the schema of its input, and id and place of an item of a batch."""

MAX_ITEM_ID = 200

CREDENTIALS = (
    "Credentials in a request are not accepted: leave s3Config out. The answer has an address of the result, and the "
    "administrator can configure a bucket."
)
NO_WEBHOOK = "is ignored: this release calls no addresses. Ask for the status instead."

DELIVERIES = {ResultForm.LINK: Delivery.LINK, ResultForm.INLINE: Delivery.INLINE}
INPUT = "input"


@dataclass(frozen=True)
class Recipient:
    """Where a body was sent, and what its job will be.

    Attributes:
        job: Id of the job.
        endpoint: Id of the endpoint.
        settings: What is configured for the endpoint.
        volumes: Shared volumes that paths may name files of.
        idempotency_key: Bodies with the same key make one job.
    """

    job: str
    endpoint: str
    settings: RunPodEndpoint
    volumes: Volumes
    idempotency_key: str | None = None


def to_requests(body: RunBody, recipient: Recipient) -> list[VideoRequest]:
    """The requests for the videos of a job, in order.

    Raises:
        InvalidRequestError: A field is wrong; it is named.
    """
    if body.s3_config:
        raise InvalidRequestError(CREDENTIALS, field="s3Config")
    schema = schema_of(body.input)
    common, warnings = _common(body)
    if conditions.BATCH not in body.input:
        fields = Fields(body.input, INPUT, Notes(recipient.volumes, warnings=warnings))
        return [_request(fields, schema, common, recipient)]
    requests = []
    for place, item in enumerate(_items(body.input)):
        path = f"{INPUT}.{conditions.BATCH}[{place}]"
        fields = Fields(item, path, Notes(recipient.volumes, warnings=[*warnings]))
        fields.notes.options |= {ITEM: fields.text("id", MAX_ITEM_ID) or f"item-{place}", INDEX: place}
        request = _request(fields, schema, common, recipient)
        requests.append(replace(request, name=f"{recipient.job}-{place}", batch=recipient.job))
    return requests


def job_id(prefix: str, caller: str, endpoint: str, idempotency_key: str | None) -> str:
    """An id in RunPod's form: a new one, or always the same one for the same key of the same caller."""
    if idempotency_key:
        text = json.dumps([caller, NAME, endpoint, prefix, idempotency_key])
        return f"{prefix}{uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4)}-u1"
    return f"{prefix}{uuid.uuid4()}-u1"


def _request(fields: Fields, schema: Schema, common: Mapping[str, Any], recipient: Recipient) -> VideoRequest:
    notes = fields.notes
    notes.options |= {ENDPOINT: recipient.endpoint, SCHEMA: schema.name}
    notes.options[DELIVERY] = DELIVERIES[recipient.settings.results]
    spec = {**schema.to_spec(fields), **common}
    fields.finish()
    return VideoRequest(
        dialect=NAME,
        spec=spec,
        uploads=notes.uploads,
        files=notes.files,
        name=recipient.job,
        idempotency_key=recipient.idempotency_key,
        options=notes.options,
        warnings=notes.bounded_warnings(),
        profile=recipient.settings.profile,
    )


def _common(body: RunBody) -> tuple[dict[str, Any], list[str]]:
    """What all videos of a job have in common."""
    spec, warnings = policy_spec(body.policy)
    webhooks = {"webhook": body.webhook, "webhookV2": body.webhook_v2}
    ignored = [f"{name} {NO_WEBHOOK}" for name, value in webhooks.items() if value]
    if unknown := unknown_fields(body.model_extra or {}):
        ignored.append(f"Not known here, and ignored: {unknown}.")
    return spec, [*warnings, *ignored]


def _items(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of each item of a batch; ``output_config`` beside the batch is that of every item."""
    items = values[conditions.BATCH]
    if not isinstance(items, list) or not items or not all(isinstance(item, Mapping) for item in items):
        raise InvalidRequestError("It must be a list of one or more objects.", field=f"{INPUT}.{conditions.BATCH}")
    shared = {name: value for name, value in values.items() if name != conditions.BATCH}
    return [{**shared, **item} for item in items]
