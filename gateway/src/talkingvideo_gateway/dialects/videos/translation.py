"""A request's fields in the resource's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import ValidationError

from talkingvideo_api.engines import ENGINES
from talkingvideo_gateway.dialects.videos.body import Body
from talkingvideo_gateway.dialects.videos.models import CreateVideo
from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.http.bodies import base64_upload, part
from talkingvideo_gateway.videos.merge import merge_patch
from talkingvideo_gateway.videos.object import MAX_WARNINGS
from talkingvideo_gateway.videos.request import InputKind, Upload, VideoRequest, upload_uri

NAME = "videos"
FRAME_RATE = 25
SMALLEST, LARGEST = 64, 2_048
"""Sizes in pixels that the resource allows; even ones only."""
MAX_WARNING = 300

PICTURE_FIELDS = ("input_reference", "image_reference", "video_reference")
AUDIO_FILES = ("audio", "audio_2")
"""Recordings of the first and the second speaker."""
IGNORED = frozenset({"user", "guidance_scale_2", "boundary_ratio", "true_cfg_scale", "generate_sound"})
"""Fields of servers with the same API that have no meaning here, and change nothing that somebody would miss."""
NOT_OF_ANOTHER_VIDEO = ("cancel", "suspend", "dryRun")
"""Fields that say what happens to a video, not what it shows."""


def to_request(body: Body, base: Mapping[str, Any] | None = None, based_on: str | None = None) -> VideoRequest:
    """The request for a video, or for another one with changes.

    Args:
        body: What was sent.
        base: Spec of the video that is changed.
        based_on: Name of that video.

    Raises:
        InvalidRequestError: A field is wrong, or what the video needs is missing.
    """
    try:
        asked = CreateVideo.model_validate(body.fields)
    except ValidationError as error:
        raise InvalidRequestError.of(error.errors(include_url=False)) from error
    inputs = _Inputs(asked, body)
    spec = {key: value for key, value in (base or {}).items() if key not in NOT_OF_ANOTHER_VIDEO}
    spec = merge_patch(spec, _simple_fields(asked))
    spec = inputs.placed(merge_patch(spec, _with_uris(asked.talkingvideo or {})))
    _check_whole(spec)
    options = {"model": asked.model, "remixed_from": based_on}
    return VideoRequest(
        dialect=NAME,
        spec=spec,
        uploads=inputs.used(spec),
        options={name: value for name, value in options.items() if value is not None},
        warnings=tuple(islice((warning[:MAX_WARNING] for warning in _warnings(asked)), MAX_WARNINGS)),
        based_on=based_on,
    )


class _Inputs:
    """Files of a request, and where they belong."""

    def __init__(self, asked: CreateVideo, body: Body) -> None:
        self._own = asked.talkingvideo or {}
        self.uploads: dict[str, Upload] = {}
        self.source: tuple[str, str] | None = None
        self.audio: dict[int, str] = {}
        for name, file in body.files.items():
            kind = InputKind.SOUND if name in AUDIO_FILES else InputKind.PICTURE
            self.uploads[name] = part(file, kind, name)
        self._find_source(asked, body)
        self._find_audio(asked)

    def _find_source(self, asked: CreateVideo, body: Body) -> None:
        given = [name for name in PICTURE_FIELDS if getattr(asked, name) is not None or name in body.files]
        if len(given) > 1:
            raise InvalidRequestError(f"There is {given[0]}, too: send one of them.", field=given[1])
        if not given:
            return
        name = given[0]
        if name in body.files:
            dubbed = name == "video_reference" or (body.files[name].content_type or "").startswith("video/")
            self.source = ("video" if dubbed else "image", upload_uri(name))
        else:
            reference = getattr(asked, name)
            dubbed = name == "video_reference" or "video_url" in reference
            self.source = ("video" if dubbed else "image", self._address(reference, name, InputKind.PICTURE))

    def _find_audio(self, asked: CreateVideo) -> None:
        for index, name in enumerate(AUDIO_FILES):
            if name in self.uploads:
                self.audio[index] = upload_uri(name)
        if asked.audio_reference is not None:
            if 0 in self.audio:
                raise InvalidRequestError("There is audio, too: send one of them.", field="audio_reference")
            self.audio[0] = self._address(asked.audio_reference, "audio_reference", InputKind.SOUND)
        elif "audio_reference" in self.uploads:
            self.audio[0] = upload_uri("audio_reference")

    def _address(self, reference: Mapping[str, Any], field: str, kind: InputKind) -> str:
        """The URI of a reference; what is in a data: URL becomes an upload."""
        if isinstance(file_id := reference.get("file_id"), str):
            return upload_uri(file_id)
        found = next(
            (reference[key] for key in ("image_url", "video_url", "audio_url", "url") if key in reference), None
        )
        address = found.get("url") if isinstance(found, Mapping) else found
        if not isinstance(address, str):
            message = 'It must be {"image_url": …}, {"video_url": …}, {"audio_url": …} or {"file_id": …}.'
            raise InvalidRequestError(message, field=field)
        if not address.startswith("data:"):
            return address
        if ";base64," not in address[:200]:
            raise InvalidRequestError("A data: URL has base64.", field=field)
        self.uploads[field] = base64_upload(address, kind, field)
        return upload_uri(field)

    def placed(self, spec: dict[str, Any]) -> dict[str, Any]:
        """The spec with the source and the recordings in their places."""
        if self.source is not None:
            if "source" in self._own:
                message = "There is a picture or a video outside of talkingvideo, too: send one of them."
                raise InvalidRequestError(message, field="talkingvideo.source")
            kind, uri = self.source
            spec = {**spec, "source": {kind: {"uri": uri}}}
        if not self.audio:
            return spec
        speech = _mapping(spec.get("speech", {}), "talkingvideo.speech")
        speakers = speech.get("speakers", [])
        if not isinstance(speakers, list):
            raise InvalidRequestError("It must be a list.", field="talkingvideo.speech.speakers")
        placed = [dict(_mapping(each, f"talkingvideo.speech.speakers[{index}]")) for index, each in enumerate(speakers)]
        placed += [{} for _ in range(max(self.audio) + 1 - len(placed))]
        for index, uri in self.audio.items():
            placed[index] = {**self._without_voice(placed[index], index), "audio": {"uri": uri}}
        return {**spec, "speech": {**speech, "speakers": placed}}

    def _without_voice(self, speaker: Mapping[str, Any], index: int) -> dict[str, Any]:
        """A speaker whose recording comes from elsewhere. What another video had is replaced; what this request has contradicts it."""
        said = sorted({"audio", "text"} & speaker.keys())
        if said and "speech" in self._own:
            message = "There is a recording outside of talkingvideo, too: send one of them."
            raise InvalidRequestError(message, field=f"talkingvideo.speech.speakers[{index}].{said[0]}")
        return {key: value for key, value in speaker.items() if key not in ("audio", "text", "voice")}

    def used(self, spec: Mapping[str, Any]) -> dict[str, Upload]:
        """The uploads, each of which the spec must name.

        Raises:
            InvalidRequestError: One has no place.
        """
        named = dict(_named_uploads(spec, ""))
        for name, upload in self.uploads.items():
            if name not in named:
                message = f"The file has no place: name it in talkingvideo, as {upload_uri(name)}."
                raise InvalidRequestError(message, field=name)
            if named[name].endswith(".audio.uri") and upload.kind is not InputKind.SOUND:
                self.uploads[name] = Upload(InputKind.SOUND, upload.content, name)
        return self.uploads


def _simple_fields(asked: CreateVideo) -> dict[str, Any]:
    """What OpenAI's and vLLM-Omni's fields ask for."""
    size = _size(asked)
    loras = [_lora(asked.lora)] if asked.lora else None
    audio_guidance = (asked.extra_params or {}).get("audio_guidance_scale")
    render = {
        "steps": asked.num_inference_steps,
        "textGuidance": asked.guidance_scale,
        "audioGuidance": audio_guidance,
        "shift": asked.flow_shift,
        "seed": asked.seed,
        "loras": loras,
    }
    video = {"maxFrames": _most_frames(asked)} | ({} if size is None else {"width": size[0], "height": size[1]})
    return _present(
        {
            "prompt": asked.prompt,
            "negativePrompt": asked.negative_prompt,
            "engine": asked.model if asked.model in ENGINES else None,
            "render": _present(render) or None,
            "video": _present(video) or None,
        }
    )


def _mapping(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequestError("It must be an object.", field=field)
    return value


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _asked_size(asked: CreateVideo) -> tuple[int, int] | None:
    if asked.width is not None and asked.height is not None:
        return asked.width, asked.height
    if asked.width is not None or asked.height is not None:
        missing = "height" if asked.height is None else "width"
        raise InvalidRequestError("Set both width and height, or neither.", field=missing)
    if asked.size is None:
        return None
    width, _, height = asked.size.partition("x")
    return int(width), int(height)


def _size(asked: CreateVideo) -> tuple[int, int] | None:
    """The nearest size that the resource allows."""
    size = _asked_size(asked)
    if size is None:
        return None
    width, height = (min(LARGEST, max(SMALLEST, value - value % 2)) for value in size)
    return width, height


def _most_frames(asked: CreateVideo) -> int | None:
    """As many as last as long at the model's frame rate."""
    if asked.num_frames is None:
        return None
    return min(180_000, max(1, round(asked.num_frames * FRAME_RATE / (asked.fps or FRAME_RATE))))


def _lora(lora: Mapping[str, Any]) -> dict[str, Any]:
    address = next((lora[key] for key in ("path", "local_path", "lora_path", "url") if key in lora), None)
    name = next((lora[key] for key in ("name", "lora_name") if key in lora), None)
    scale = _present({"scale": next((lora[key] for key in ("scale", "lora_scale") if key in lora), None)})
    if isinstance(address, str) and "://" in address:
        return {"uri": address, **scale}
    if address is None and isinstance(name, str):
        return {"name": name, **scale}
    message = "A LoRA is the name of one that is installed here, or has an https address as its path."
    raise InvalidRequestError(message, field="lora")


def _warnings(asked: CreateVideo) -> Iterator[str]:
    if asked.seconds is not None:
        yield "seconds is ignored: the video is as long as its speech."
    if asked.fps is not None and asked.fps != FRAME_RATE:
        yield f"fps {asked.fps:g} is ignored: the model makes {FRAME_RATE} frames per second."
    wanted, used = _asked_size(asked), _size(asked)
    if wanted is not None and used is not None and wanted != used:
        yield (
            f"{wanted[0]}x{wanted[1]} was changed to {used[0]}x{used[1]}: sizes are even, from {SMALLEST} to {LARGEST}."
        )
    if asked.model is not None and asked.model not in ENGINES:
        yield f"model {asked.model[:80]} is only repeated: the engine is the profile's, or talkingvideo.engine."
    for name in sorted((asked.extra_params or {}).keys() - {"audio_guidance_scale"}):
        yield f"extra_params.{name[:80]} is ignored: no engine here has it."
    for name in sorted((asked.model_extra or {}).keys() - IGNORED):
        yield f"{name[:80]} is ignored: there is no such field."


def _check_whole(spec: Mapping[str, Any]) -> None:
    """Say what is missing in the request's words, not the resource's."""
    if not spec.get("source"):
        raise InvalidRequestError("There is no picture: send a file, or an address.", field="input_reference")
    if not spec.get("speech"):
        message = "Nothing is said: send a recording, or a text as talkingvideo.speech.speakers[0].text. The prompt is not spoken."
        raise InvalidRequestError(message, field="audio")


def _with_uris(value: Any) -> Any:
    """``upload`` in place of ``uri`` names a file of the form, or the id of one that was uploaded."""
    if isinstance(value, Mapping):
        return {
            "uri" if key == "upload" else key: upload_uri(item)
            if key == "upload" and isinstance(item, str)
            else _with_uris(item)
            for key, item in value.items()
        }
    return [_with_uris(item) for item in value] if isinstance(value, list) else value


def _named_uploads(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every upload that a spec names, with the path of its URI."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named_uploads(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _named_uploads(item, f"{path}[{index}]")
    elif isinstance(value, str) and value.startswith(upload_uri("")):
        yield value.removeprefix(upload_uri("")), path
