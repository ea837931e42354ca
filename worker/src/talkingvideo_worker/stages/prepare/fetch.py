"""fetch: copy the inputs into the scratch folder, unparsed. The only step that uses the network and the user's credentials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from talkingvideo_api.errors import StageError
from talkingvideo_api.inputs import Input, InputKind, inputs_of
from talkingvideo_api.keys import input_problem
from talkingvideo_api.names import Stage
from talkingvideo_api.profile import InputLimits
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_api.uris import scheme_of
from talkingvideo_worker.inputs.fetch import Fetcher
from talkingvideo_worker.inputs.offline import read_headers
from talkingvideo_worker.inputs.policy import FetchPolicy
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.loras import fetched_loras
from talkingvideo_worker.stages.prepare.folders import input_path, inputs_folder, prepared_marker
from talkingvideo_worker.stages.workspace import read_complete_plan


def fetch(context: StageContext) -> None:
    """Fetch every input, unless the plan and all of its files were published before.

    Raises:
        StageError: With the field of the input that cannot be fetched.
    """
    inputs_folder(context.scratch).mkdir(parents=True, exist_ok=True)
    if read_complete_plan(context) is not None:
        prepared_marker(context.scratch).touch()
        return
    inputs = list(inputs_of(context.stage_input.spec))
    for done, given in enumerate(given for given in inputs if given.kind is not InputKind.LORA):
        _fetch_input(context, given, 0.15 * done / len(inputs))
    _fetch_loras(context)


def _fetch_loras(context: StageContext) -> None:
    """Fetch the LoRAs, which share one limit: a full scratch volume would have the pod evicted at every attempt."""
    limit, total = context.stage_input.limits.lora_bytes, 0
    for lora in fetched_loras(context.stage_input):
        total += _fetch_input(context, lora, 0.15).stat().st_size
        if total > limit:
            message = (
                f"The LoRAs are {total:,} bytes in total; the profile allows {limit:,}: "
                "put them on the weights volume and refer to them by name, or use fewer."
            )
            raise StageError.invalid(message, lora.field)


def _fetch_input(context: StageContext, given: Input, fraction: float) -> Path:
    """Fetch one input; returns its file."""
    context.reporter.report(Stage.PREPARE, fraction, f"Fetching {given.path.removeprefix('spec.')}")
    reference, connection = given.reference, context.stage_input.s3
    destination = input_path(context.scratch, given)
    _refuse_foreign_object(context, reference.uri, given.field)
    headers = _headers(context, reference.headers_secret_name, f"{given.path}.headersSecretName")
    policy = _policy(context, given)
    fetcher = Fetcher(policy, context.mounts, headers=headers, s3=lambda: _s3_client(connection))
    fetcher.fetch(reference.uri, destination, given.field)
    return destination


def _policy(context: StageContext, given: Input) -> FetchPolicy:
    network, secret = context.stage_input.network, given.reference.headers_secret_name
    return FetchPolicy(
        allowed_schemes=network.schemes,
        allowed_hosts=network.allowed_hosts,
        open_hosts=network.open_hosts,
        header_hosts=context.stage_input.secret_hosts.get(secret, ()) if secret else (),
        max_bytes=_max_bytes(given.kind, context.stage_input.limits),
        timeout_seconds=network.timeout_seconds,
    )


def _max_bytes(kind: InputKind, limits: InputLimits) -> int:
    """Maximum size of one input."""
    return {
        InputKind.IMAGE: limits.image_bytes,
        InputKind.MASK: limits.image_bytes,
        InputKind.VIDEO: limits.video_bytes,
        InputKind.AUDIO: limits.audio_bytes,
        InputKind.LORA: limits.lora_bytes,
    }[kind]


def _s3_client(connection: S3Connection) -> Any:
    from talkingvideo_clients.stores.s3 import s3_client

    return s3_client(connection)


def _refuse_foreign_object(context: StageContext, uri: str, field: str) -> None:
    """Refuse what the profile does not list: the store's credentials may open more than is meant for inputs."""
    if scheme_of(uri) != "s3":
        return
    bucket, _, key = uri.partition("://")[2].partition("/")
    if problem := input_problem(bucket, key, context.stage_input.input_buckets):
        raise StageError.invalid(f"{problem[:1].upper()}{problem[1:]}.", field)


def _headers(context: StageContext, secret: str | None, field: str) -> Mapping[str, str] | None:
    """The values of a mounted Secret as HTTP headers."""
    return None if secret is None else read_headers(context.mounts.headers, secret, field)
