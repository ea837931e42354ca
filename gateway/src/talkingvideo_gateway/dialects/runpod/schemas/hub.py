"""Files by path, address or base64, in exact sizes (Infinitetalk_Runpod_hub, the worker that is forked most)."""

from __future__ import annotations

from typing import Any

from talkingvideo_api.uris import parse_object_uri
from talkingvideo_gateway.dialects.runpod.schemas.fields import Fields
from talkingvideo_gateway.dialects.runpod.schemas.people import (
    is_multi,
    max_frames,
    source_kind,
    speech,
    with_prompt,
)
from talkingvideo_gateway.dialects.runpod.schemas.schema import DELIVERY, Delivery, Result, Schema, plain_failure
from talkingvideo_gateway.dialects.values import allowed_size
from talkingvideo_gateway.videos.object import VideoObject
from talkingvideo_gateway.videos.request import InputKind

NAME = "hub"
DEFAULT_SIZE = 512
LARGEST_SIZE = 16_384
VOLUME = "/runpod-volume"
"""Where RunPod mounts an endpoint's network volume."""

FORMS = ("url", "base64", "path")


def to_spec(fields: Fields) -> dict[str, Any]:
    """The spec of one video."""
    kind = source_kind(fields)
    source = _file(fields, kind, InputKind.PICTURE)
    audios = [_file(fields, "wav", InputKind.SOUND)]
    if is_multi(fields):
        # The worker's own default for a second voice that is missing.
        audios.append(_given(fields, "wav", InputKind.SOUND, "_2") or audios[0])
    else:
        _ignore(fields, "wav", "person_count is single.", "_2")
    _ignore(fields, "video" if kind == "image" else "image", f"input_type is {kind}.")
    fields.ignore("force_offload", "memory is used according to the GPU.")
    spec = {"source": {kind: {"uri": source}}, "speech": speech(*audios), "video": _video(fields), **_output(fields)}
    return with_prompt(fields, spec)


def output(_job: str, _video: VideoObject, result: Result) -> dict[str, Any]:
    """The worker's output; an address where the video is too large for an answer."""
    if result.base64 is not None:
        return {"video": result.base64}
    return {"video_path": result.path} if result.path is not None else {"video_url": result.url}


def _video(fields: Fields) -> dict[str, Any]:
    wanted = [fields.integer(name, 1, LARGEST_SIZE) or DEFAULT_SIZE for name in ("width", "height")]
    width, height, changes = allowed_size(*wanted)
    fields.notes.warnings.extend(changes)
    return {"width": width, "height": height, **max_frames(fields)}


def _output(fields: Fields) -> dict[str, Any]:
    fields.notes.options[DELIVERY] = Delivery.INLINE
    if not fields.flag("network_volume"):
        return {}
    if (pvc := volume_output(fields)) is None:
        fields.notes.options[DELIVERY] = Delivery.LINK
        fields.say("network_volume", f"is ignored: no volume is configured for {VOLUME}. The answer has an address.")
        return {}
    return {"output": {"pvc": pvc}}


def volume_output(fields: Fields, folder: str = "") -> dict[str, str] | None:
    """``spec.output.pvc`` for the network volume, which is noted as the way of delivery; None where there is none."""
    uri = fields.notes.volumes.folder(VOLUME) or ""
    if not uri.startswith("pvc://"):
        return None
    volume = parse_object_uri(uri).child(folder)
    fields.notes.options[DELIVERY] = Delivery.VOLUME
    return {"claim": volume.container} | ({"path": path} if (path := volume.path.strip("/")) else {})


def _file(fields: Fields, stem: str, kind: InputKind) -> str:
    if (uri := _given(fields, stem, kind)) is None:
        raise fields.wrong(f"{stem}_url", f"One of {', '.join(f'{stem}_{form}' for form in FORMS)} is needed.")
    return uri


def _given(fields: Fields, stem: str, kind: InputKind, suffix: str = "") -> str | None:
    """The file in the first of its forms; further ones are ignored."""
    names = [name for form in FORMS if fields.has(name := f"{stem}_{form}{suffix}")]
    for name in names[1:]:
        fields.ignore(name, f"{names[0]} is given, too.")
    return fields.media(names[0], kind) if names else None


def _ignore(fields: Fields, stem: str, because: str, suffix: str = "") -> None:
    for form in FORMS:
        fields.ignore(f"{stem}_{form}{suffix}", because)


SCHEMA = Schema(NAME, to_spec, output, plain_failure)
