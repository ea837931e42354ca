"""What is sent and answered. OpenAI's own fields stand on top, the gateway's under ``talkingvideo``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from talkingvideo_gateway.http.bodies import json_object


def _json_text(value: Any) -> Any:
    """A form may have an object as JSON text."""
    return json_object(value) if isinstance(value, str) else value


Reference = Annotated[dict[str, Any], BeforeValidator(_json_text)]
"""``{"image_url": …}`` and its like: an https address, or a data: URL; or ``{"file_id": …}`` of a file that was uploaded."""
Fields = Annotated[dict[str, Any], BeforeValidator(_json_text)]


class CreateVideo(BaseModel):
    """A request for a video. Unknown fields are ignored, with a warning.

    A form may also have files: ``input_reference``, ``audio``, ``audio_2``, and others that ``talkingvideo`` names as
    ``upload://FIELD``.
    """

    model_config = ConfigDict(
        extra="allow",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "prompt": "A person talking naturally",
                    "input_reference": {"image_url": "https://example.com/portrait.jpg"},
                    "audio_reference": {"audio_url": "https://example.com/voice.wav"},
                    "talkingvideo": {"render": {"preset": "fast"}},
                }
            ]
        },
    )

    prompt: Annotated[str, Field(max_length=4_000)] | None = None
    """Text that conditions the model; it is not spoken."""
    model: Annotated[str, Field(max_length=200)] | None = None
    """The engine, where one has this name. Other names are only repeated in answers."""
    seconds: Annotated[str | float, Field(union_mode="left_to_right")] | None = None
    """Ignored, with a warning: the video is as long as its speech."""
    size: Annotated[str, Field(pattern="^[0-9]{1,5}x[0-9]{1,5}$")] | None = None
    """Width and height of the result in pixels, such as 720x1280."""
    input_reference: Reference | None = None
    """The picture: a file, ``{"image_url": …}`` or ``{"file_id": …}``. A file whose type is video/… is dubbed."""
    image_reference: Reference | None = None
    """The picture: ``{"image_url": …}``."""
    video_reference: Reference | None = None
    """A video to dub: ``{"video_url": …}``."""
    audio_reference: Reference | None = None
    """The recording: ``{"audio_url": …}``."""
    negative_prompt: Annotated[str, Field(max_length=4_000)] | None = None
    """Text that guidance steers away from."""
    num_inference_steps: int | None = None
    """Denoising steps; ``render.steps``."""
    guidance_scale: float | None = None
    """Guidance on the prompt; ``render.textGuidance``."""
    flow_shift: float | None = None
    """Shift of the noise schedule; ``render.shift``."""
    seed: int | None = None
    """Seed; -1 draws one."""
    width: Annotated[int, Field(ge=1, le=99_999)] | None = None
    """Width of the result in pixels, with height."""
    height: Annotated[int, Field(ge=1, le=99_999)] | None = None
    """Height of the result in pixels, with width."""
    fps: Annotated[float, Field(ge=1, le=1_000)] | None = None
    """Videos have 25 frames per second; another number is ignored, with a warning."""
    num_frames: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Most frames; the speech is cut there."""
    lora: Fields | None = None
    """A LoRA: ``{"name": …}`` of one that the administrator has installed, or ``{"path": "https://…"}``; ``scale``."""
    extra_params: Fields | None = None
    """``audio_guidance_scale``; others are ignored, with a warning."""
    talkingvideo: Fields | None = None
    """Fields of the resource's spec, in camelCase; they come before the others. Where a URI belongs, ``upload`` may name a file of
    the form or the id of one that was uploaded."""


class Link(BaseModel):
    """For how long a result is to be shared."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    seconds: Annotated[int, Field(ge=60, le=604_800)] = 86_400
    """How long the address works; at most 7 days."""


class Failure(BaseModel):
    """Why a video has failed."""

    code: str
    message: str


class Chunk(BaseModel):
    """A part of the video."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    index: int
    """From 0."""
    frames: int
    """Its frames, 25 a second."""
    status: Literal["waiting", "rendering", "finished"]
    progress: int
    """Percent."""
    stage: str | None = None
    """What is being done."""


class Result(BaseModel):
    """The finished video."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    content: str
    """Path of its file."""
    thumbnail: str
    """Path of its thumbnail, a JPEG file."""
    url: str | None
    """Public address, where the store has one."""
    mime_type: str
    bytes: int
    sha256: str
    width: int
    height: int
    frame_count: int
    frame_rate: int
    duration_seconds: float


class Details(BaseModel):
    """What OpenAI's Video has no field for."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    """Name of the object."""
    spec: dict[str, JsonValue]
    """What was asked for, in camelCase. data: URIs are left out."""
    phase: str | None
    """The object's phase."""
    queue_position: int | None
    """Place among those that wait, from 1."""
    estimated_completion: str | None
    """When it will be finished at the rate so far."""
    stage: str
    """What is being done."""
    chunks: list[Chunk]
    """The parts; none before the plan is made."""
    chunks_reused: int
    """How many of them an earlier video had made."""
    rendered: dict[str, JsonValue] | None
    """Size of the frames that the engine renders."""
    delivered: dict[str, JsonValue] | None
    """Size of the result."""
    estimate: dict[str, JsonValue] | None
    """Work that rendering takes: windows, and GPU seconds and cost where they are known."""
    effective: dict[str, JsonValue] | None
    """Values that it is made with, in camelCase, as in the object's status."""
    timings: dict[str, JsonValue] | None
    """Seconds of each stage."""
    usage: dict[str, JsonValue] | None
    """What it has used."""
    failure: dict[str, JsonValue] | None
    """Why it has failed, with the field, the stage and whether a retry may help."""
    warnings: list[str]
    """What was changed, ignored or assumed."""
    result: Result | None
    """The finished video."""


class Video(BaseModel):
    """A video, as OpenAI's API has it, with more."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    object: Literal["video"] = "video"
    created_at: int
    completed_at: int | None
    expires_at: int | None = None
    """Never: the result stays until it is deleted."""
    model: str
    status: Literal["queued", "in_progress", "completed", "failed"]
    progress: int
    prompt: str | None
    seconds: str
    """Length as text: as planned, then as made; 0 before it is known."""
    size: str
    """Width and height as text; empty before they are known."""
    remixed_from_video_id: str | None
    error: Failure | None
    """The error's code is the object's (E_OOM …), ``timeout`` or ``cancelled``."""
    media_type: str = "video/mp4"
    file_name: str
    inference_time_s: float | None
    """Seconds from its start to its end."""
    talkingvideo: Details


class Part(BaseModel):
    """Frames that are finished."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    start_frame: int
    """Index of the first one in the video."""
    frames: int
    content: str
    """Path of the file: MP4 with H.264, closed GOPs, no sound."""


class Parts(BaseModel):
    """What can be watched of a video that is being made."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    object: Literal["video.parts"] = "video.parts"
    frames: int
    """Frames of the whole video."""
    frame_rate: int
    sound: str
    """Path of the sound of the whole video: MP4 with AAC."""
    data: list[Part]
    """In the order of the video."""


class VideoList(BaseModel):
    """A page of videos."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    object: Literal["list"] = "list"
    data: list[Video]
    first_id: str | None
    last_id: str | None
    """What ``after`` is for the next page. It also says when the last video was made, so that it works when that is deleted."""
    has_more: bool


class DeletedVideo(BaseModel):
    """A video that is gone."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: Literal[True] = True


class SharedLink(BaseModel):
    """An address at which anybody can download a result for a while."""

    object: Literal["video.link"] = "video.link"
    url: str
    expires_at: int
