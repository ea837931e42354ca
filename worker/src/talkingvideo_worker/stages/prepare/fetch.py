"""fetch: the inputs come into the pod, unparsed. The only step with the network and the user's credentials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from talkingvideo_api.errors import StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.spec import MediaReference
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_api.uris import MAX_DATA_URI, scheme_of
from talkingvideo_worker.inputs.fetch import Fetcher
from talkingvideo_worker.inputs.policy import FetchPolicy
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.loras import fetched_loras
from talkingvideo_worker.stages.prepare.folders import (
    SOURCE,
    audio_field,
    inputs_folder,
    lora_input,
    mask_field,
    mask_input,
    prepared_marker,
    source_field,
    speaker_input,
)
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
    stage_input, spec = context.stage_input, context.stage_input.spec
    _refuse_too_much_inline_data(context)
    source = spec.source.video or spec.source.image
    limit = stage_input.limits.video_bytes if spec.source.video else stage_input.limits.image_bytes
    if source is not None:
        _fetch_one(context, source, inputs_folder(context.scratch) / SOURCE, limit, source_field(stage_input), 0.0)
    for index, speaker in enumerate(spec.speech.speakers):
        if speaker.audio is not None:
            destination = speaker_input(context.scratch, index)
            _fetch_one(context, speaker.audio, destination, stage_input.limits.audio_bytes, audio_field(index), 0.1)
        if speaker.mask is not None:
            destination = mask_input(context.scratch, index)
            _fetch_one(context, speaker.mask, destination, stage_input.limits.image_bytes, mask_field(index), 0.1)
    _fetch_loras(context)


def _fetch_loras(context: StageContext) -> None:
    """Fetch LoRAs up to the limit for all of them: a full scratch folder would get the pod evicted, again and again."""
    stage_input, together = context.stage_input, 0
    for lora, uri in fetched_loras(stage_input):
        destination, field = lora_input(context.scratch, lora.index), lora.field or "spec.render.preset"
        _fetch_one(context, MediaReference(uri=uri), destination, stage_input.limits.lora_bytes, field, 0.15)
        together += destination.stat().st_size
        if together > stage_input.limits.lora_bytes:
            message = (
                f"The LoRAs are {together:,} bytes together; the profile allows {stage_input.limits.lora_bytes:,}: "
                "put them on the weights volume and give their names, or give fewer."
            )
            raise StageError.invalid(message, field)


def _fetch_one(
    context: StageContext, reference: MediaReference, destination: Path, limit: int, field: str, fraction: float
) -> None:
    context.reporter.report(Stage.PREPARE, fraction, f"Fetching {field.removeprefix('spec.').removesuffix('.uri')}")
    network, stage_input = context.stage_input.network, context.stage_input
    _refuse_foreign_bucket(context, reference.uri, field)
    policy = FetchPolicy(
        allowed_schemes=network.schemes,
        allowed_hosts=network.allowed_hosts,
        open_hosts=network.open_hosts,
        max_bytes=limit,
        timeout_seconds=network.timeout_seconds,
    )
    headers = _headers(context, reference.headers_secret_name, field)
    fetcher = Fetcher(policy, context.mounts, headers=headers, s3=lambda: _s3_client(stage_input.s3))
    fetcher.fetch(reference.uri, destination, field)


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
    spec = context.stage_input.spec
    spoken = [it for speaker in spec.speech.speakers for it in (speaker.audio, speaker.mask)]
    references = [spec.source.image, spec.source.video, *spoken]
    inline = sum(len(it.uri) for it in references if it is not None and scheme_of(it.uri) == "data")
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
        raise StageError.invalid(message, field.replace(".uri", ".headersSecretName"))
    files = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]
    try:
        return {path.name: path.read_text(encoding="utf-8").strip() for path in files}
    except UnicodeDecodeError:
        message = f"The Secret {secret!r} holds a value that is not text: it cannot be sent as a header."
        headers_field = field.replace(".uri", ".headersSecretName")
        raise StageError.invalid(message, headers_field) from None
