"""fetch: the inputs come into the pod, unparsed. The only step with the network and the user's credentials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from talkingvideo_api.errors import StageError
from talkingvideo_api.inputs import Input, InputKind, inputs_of
from talkingvideo_api.names import Stage
from talkingvideo_api.profile import InputLimits
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_api.uris import MAX_DATA_URI, scheme_of
from talkingvideo_worker.inputs.fetch import Fetcher
from talkingvideo_worker.inputs.policy import FetchPolicy
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.loras import fetched_loras
from talkingvideo_worker.stages.prepare.folders import input_path, prepared_marker
from talkingvideo_worker.stages.workspace import whole_plan


def fetch(context: StageContext) -> None:
    """Fetch every input of the order, unless an earlier run has published the plan, and all of it is there.

    Raises:
        StageError: Naming the field whose input cannot be had.
    """
    context.scratch.mkdir(parents=True, exist_ok=True)
    if whole_plan(context) is not None:
        prepared_marker(context.scratch).touch()
        return
    _refuse_too_much_inline_data(context)
    given = list(inputs_of(context.stage_input.spec))
    for done, each in enumerate(each for each in given if each.kind is not InputKind.LORA):
        _fetch_one(context, each, 0.15 * done / len(given))
    _fetch_loras(context)


def _limit(kind: InputKind, limits: InputLimits) -> int:
    """Most bytes of one input."""
    return {
        InputKind.IMAGE: limits.image_bytes,
        InputKind.MASK: limits.image_bytes,
        InputKind.VIDEO: limits.video_bytes,
        InputKind.AUDIO: limits.audio_bytes,
        InputKind.LORA: limits.lora_bytes,
    }[kind]


def _fetch_loras(context: StageContext) -> None:
    """Fetch LoRAs up to the limit for all of them: a full scratch folder would get the pod evicted, again and again."""
    limit, together = context.stage_input.limits.lora_bytes, 0
    for lora in fetched_loras(context.stage_input):
        together += _fetch_one(context, lora, 0.15).stat().st_size
        if together > limit:
            message = (
                f"The LoRAs are {together:,} bytes together; the profile allows {limit:,}: "
                "put them on the weights volume and give their names, or give fewer."
            )
            raise StageError.invalid(message, lora.field)


def _fetch_one(context: StageContext, each: Input, fraction: float) -> Path:
    """Fetch one input; returns its file."""
    context.reporter.report(Stage.PREPARE, fraction, f"Fetching {each.path.removeprefix('spec.')}")
    stage_input, reference, field = context.stage_input, each.reference, each.field
    network, destination = stage_input.network, input_path(context.scratch, each)
    _refuse_foreign_bucket(context, reference.uri, field)
    policy = FetchPolicy(
        allowed_schemes=network.schemes,
        allowed_hosts=network.allowed_hosts,
        open_hosts=network.open_hosts,
        max_bytes=_limit(each.kind, stage_input.limits),
        timeout_seconds=network.timeout_seconds,
    )
    headers = _headers(context, reference.headers_secret_name, f"{each.path}.headersSecretName")
    fetcher = Fetcher(policy, context.mounts, headers=headers, s3=lambda: _s3_client(stage_input.s3))
    fetcher.fetch(reference.uri, destination, field)
    return destination


def _s3_client(connection: S3Connection) -> Any:
    from talkingvideo_clients.stores.s3 import s3_client

    return s3_client(connection)


def _refuse_foreign_bucket(context: StageContext, uri: str, field: str) -> None:
    """The store's credentials may open more buckets than the administrator meant for inputs."""
    allowed = context.stage_input.input_buckets
    bucket = uri.partition("://")[2].partition("/")[0]
    if scheme_of(uri) == "s3" and "*" not in allowed and bucket not in allowed:
        message = f"Inputs may not come from bucket {bucket!r}; the profile allows {', '.join(allowed) or 'none'}."
        raise StageError.invalid(message, field)


def _refuse_too_much_inline_data(context: StageContext) -> None:
    uris = (each.reference.uri for each in inputs_of(context.stage_input.spec))
    inline = sum(len(uri) for uri in uris if scheme_of(uri) == "data")
    if inline > MAX_DATA_URI:
        message = f"The data: addresses are {inline:,} characters together; {MAX_DATA_URI:,} are allowed."
        raise StageError.invalid(message, "spec")


def _headers(context: StageContext, secret: str | None, field: str) -> Mapping[str, str] | None:
    """A mounted Secret as HTTP headers; the names that begin with a dot are the kubelet's own."""
    if secret is None:
        return None
    folder = context.mounts.headers / secret
    if not folder.is_dir():
        message = f"headersSecretName {secret!r} is not available here: it works in a cluster only."
        raise StageError.invalid(message, field)
    files = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]
    try:
        return {path.name: path.read_text(encoding="utf-8").strip() for path in files}
    except UnicodeDecodeError:
        message = f"The Secret {secret!r} holds a value that is not text: it cannot be sent as a header."
        raise StageError.invalid(message, field) from None
