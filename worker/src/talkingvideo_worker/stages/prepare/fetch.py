"""fetch: copy the inputs into the scratch folder, unparsed. The only step that uses the network and the user's credentials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from talkingvideo_api.errors import StageError
from talkingvideo_api.inputs import Input, InputKind, inputs_of
from talkingvideo_api.names import Stage
from talkingvideo_api.profile import InputLimits
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_api.uris import scheme_of
from talkingvideo_worker.inputs.fetch import Fetcher
from talkingvideo_worker.inputs.policy import FetchPolicy
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.loras import fetched_loras
from talkingvideo_worker.stages.prepare.folders import input_path, prepared_marker
from talkingvideo_worker.stages.workspace import read_complete_plan


def fetch(context: StageContext) -> None:
    """Fetch every input, unless the plan and all of its files were published before.

    Raises:
        StageError: With the field of the input that cannot be fetched.
    """
    context.scratch.mkdir(parents=True, exist_ok=True)
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
    _refuse_foreign_bucket(context, reference.uri, given.field)
    headers = _headers(context, reference.headers_secret_name, f"{given.path}.headersSecretName")
    policy = _policy(context, given.kind)
    fetcher = Fetcher(policy, context.mounts, headers=headers, s3=lambda: _s3_client(connection))
    fetcher.fetch(reference.uri, destination, given.field)
    return destination


def _policy(context: StageContext, kind: InputKind) -> FetchPolicy:
    network = context.stage_input.network
    return FetchPolicy(
        allowed_schemes=network.schemes,
        allowed_hosts=network.allowed_hosts,
        open_hosts=network.open_hosts,
        max_bytes=_max_bytes(kind, context.stage_input.limits),
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


def _refuse_foreign_bucket(context: StageContext, uri: str, field: str) -> None:
    """Refuse buckets that the profile does not list: the store's credentials may open more than are meant for inputs."""
    allowed = context.stage_input.input_buckets
    bucket = uri.partition("://")[2].partition("/")[0]
    if scheme_of(uri) == "s3" and "*" not in allowed and bucket not in allowed:
        message = f"Inputs may not come from bucket {bucket!r}; the profile allows {', '.join(allowed) or 'none'}."
        raise StageError.invalid(message, field)


def _headers(context: StageContext, secret: str | None, field: str) -> Mapping[str, str] | None:
    """The values of a mounted Secret as HTTP headers. The kubelet's own files begin with a dot."""
    if secret is None:
        return None
    folder = context.mounts.headers / secret
    if not folder.is_dir():
        message = f"The Secret {secret!r} is not mounted: headersSecretName works in a cluster only."
        raise StageError.invalid(message, field)
    files = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]
    try:
        return {path.name: path.read_text(encoding="utf-8").strip() for path in files}
    except UnicodeDecodeError:
        message = f"The Secret {secret!r} has a value that is not UTF-8 text: it cannot be sent as a header."
        raise StageError.invalid(message, field) from None
