"""Everything by address, in one of four sizes (Infinitetalk_runpod): ``image_url``, ``wav_url`` and ``aspect_ratio``."""

from __future__ import annotations

import re
from typing import Any

from talkingvideo_gateway.dialects.runpod.schemas.fields import Fields
from talkingvideo_gateway.dialects.runpod.schemas.people import (
    is_multi,
    max_frames,
    source_kind,
    speech,
    with_prompt,
)
from talkingvideo_gateway.dialects.runpod.schemas.schema import Result, Schema, plain_failure
from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.videos.object import VideoObject

NAME = "urls"
ADDRESS = re.compile(r"(https?|s3|pvc|configmap|upload)://")
DEFAULT_RATIO, DEFAULT_RESOLUTION = "9:16", "480p"
SIZES = {
    ("16:9", "480p"): (854, 480),
    ("9:16", "480p"): (480, 854),
    ("16:9", "720p"): (1_280, 720),
    ("9:16", "720p"): (720, 1_280),
}
"""Width and height of the delivered video."""


def to_spec(fields: Fields) -> dict[str, Any]:
    """The spec of one video."""
    kind = source_kind(fields)
    source = _address(fields, f"{kind}_url")
    audios = [_address(fields, "wav_url")]
    if is_multi(fields):
        audios.append(_address(fields, "wav_url_2"))
    else:
        fields.ignore("wav_url_2", "person_count is single.")
    fields.ignore("video_url" if kind == "image" else "image_url", f"input_type is {kind}.")
    spec = {"source": {kind: {"uri": source}}, "speech": speech(*audios), "video": _video(fields)}
    return with_prompt(fields, spec)


def output(_job: str, _video: VideoObject, result: Result) -> dict[str, Any]:
    """The worker's output with and without a bucket."""
    if result.base64 is not None:
        return {"video": f"data:video/mp4;base64,{result.base64}"}
    return {"video_url": result.url or result.path}


def _address(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if value is None:
        if name == "video_url":
            raise InvalidRequestError("For input_type='video', you must provide 'video_url'.")
        raise fields.wrong(name, "It is missing.")
    if not ADDRESS.match(value):
        raise InvalidRequestError(f"Input '{name}' must be a URL. Local paths and base64 are not supported.")
    return value


def _video(fields: Fields) -> dict[str, Any]:
    ratio = _known(fields, "aspect_ratio", ("16:9", "9:16"), DEFAULT_RATIO)
    resolution = _known(fields, "resolution", ("480p", "720p"), DEFAULT_RESOLUTION)
    width, height = SIZES[ratio, resolution]
    return {"resolution": resolution, "width": width, "height": height, **max_frames(fields)}


def _known(fields: Fields, name: str, words: tuple[str, ...], default: str) -> str:
    """A word that the worker knows; it took its default for every other one, without a word."""
    value = fields.text(name)
    if value is None or value in words:
        return value or default
    fields.say(name, f"{value[:40]!r} was changed to {default!r}: it is one of {', '.join(words)}.")
    return default


SCHEMA = Schema(NAME, to_spec, output, plain_failure)
