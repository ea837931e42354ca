"""``spec`` of a TalkingVideo: the video that a user wants.

No field has a default in the schema, so that Git and the cluster hold the same object; the effective values are
in ``status.effective`` (see `talkingvideo_api.effective`). Every string, list and number is bounded: the API server
estimates the cost of the validation rules from these bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from talkingvideo_api.model import Model
from talkingvideo_api.names import DNS_SUBDOMAIN, MAX_OBJECT_NAME, is_object_name
from talkingvideo_api.rules import Rule, Ruled, RuledModel
from talkingvideo_api.uris import LOCAL_SCHEMES, MAX_DATA_URI, MAX_URI, scheme_of

CREDENTIALS = "^[a-z0-9]+://[^/?#]*@"
"""A user name or password before the host, in a regular expression that CEL and Python read alike."""
LORA_SCHEMES = tuple(scheme for scheme in LOCAL_SCHEMES if scheme != "data")
"""Schemes of a LoRA's URI. The smallest useful LoRA is larger than a ``data:`` URI may be."""

OBJECT_NAME = Rule(
    f"self.matches('{DNS_SUBDOMAIN}')",
    "must be a name of a Kubernetes object: lower case letters, digits, '-' and '.', with a letter or digit at each end",
    is_object_name,
)
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_OBJECT_NAME), Ruled(OBJECT_NAME)]
"""Name of a Kubernetes object. It is never a path."""
ShortName = Annotated[str, StringConstraints(min_length=1, max_length=63)]
QueueName = Annotated[str, StringConstraints(min_length=1, max_length=63), Ruled(OBJECT_NAME)]
"""Name of an object that is also the value of a label."""
LoraName = Annotated[str, StringConstraints(max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""Name of a file, without a path."""
QUALIFIED_NAME = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
"""A label's key, or the name of a taint or an extended resource."""
LABEL_VALUE = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
CONTAINER_RESOURCE = "^(cpu|memory|ephemeral-storage|hugepages-[A-Za-z0-9]+)$"
"""Resources without a domain that a container may request."""
QUANTITY = "^[0-9]{1,15}([.][0-9]{1,9})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]{1,2})?$"


def _matches(pattern: str, message: str) -> Ruled:
    return Ruled(Rule(f"self.matches('{pattern}')", message, lambda value: re.fullmatch(pattern, value) is not None))


LabelValue = Annotated[
    str,
    StringConstraints(max_length=63),
    _matches(LABEL_VALUE, "must be a label's value: letters, digits, '-', '_' and '.', a letter or digit at each end"),
]
TaintKey = Annotated[
    str,
    StringConstraints(max_length=316),
    _matches(QUALIFIED_NAME, "must be the key of a taint, such as nvidia.com/gpu"),
]
Quantity = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32),
    _matches(QUANTITY, "must be a quantity, such as 500m, 2 or 16Gi"),
]


def _label_key(key: str) -> str:
    """The schema cannot bound the keys of a map, so that the API server accepts any."""
    if len(key) > MAX_QUALIFIED_NAME or not re.fullmatch(QUALIFIED_NAME, key):
        raise ValueError(f"{key[:80]!r} is not the key of a label")
    return key


def _resource_name(name: str) -> str:
    known = re.fullmatch(CONTAINER_RESOURCE, name) or (
        "/" in name and len(name) <= MAX_QUALIFIED_NAME and re.fullmatch(QUALIFIED_NAME, name)
    )
    if not known:
        raise ValueError(f"{name[:80]!r} is not a resource that a container can request")
    return name


MAX_QUALIFIED_NAME = 316
"""A domain of 253 characters, a slash and a name of 63."""
LabelKey = Annotated[str, AfterValidator(_label_key)]
ResourceName = Annotated[str, AfterValidator(_resource_name)]
FOUR_N_PLUS_ONE = Rule(
    "self % 4 == 1",
    "must be of the form 4n+1 (5, 9, 13 … 77, 81): the model encodes one frame and then groups of four",
    lambda value: value % 4 == 1,
)
EVEN = Rule(
    "self % 2 == 0",
    "must be even: 4:2:0 video stores chroma at half resolution",
    lambda value: value % 2 == 0,
)
EvenSize = Annotated[int, Field(ge=64, le=2048), Ruled(EVEN)]


def _exactly_one(first: str, second: str) -> Rule:
    return Rule(
        f"has(self.{first}) != has(self.{second})",
        f"set exactly one of {first} and {second}",
        lambda it: (getattr(it, first) is None) != (getattr(it, second) is None),
    )


class MediaReference(RuledModel):
    """Reference to an image, a video or an audio file."""

    rules = (
        Rule(
            "['https://', 's3://', 'pvc://', 'configmap://', 'data:'].exists(p, self.uri.startsWith(p))",
            "uri must start with https://, s3://, pvc://, configmap:// or data: "
            "(file:// works in 'talkingvideo run' only)",
            lambda it: scheme_of(it.uri) in LOCAL_SCHEMES,
        ),
        Rule(
            "self.uri.startsWith('data:') || self.uri.size() <= 2048",
            "only data: URIs may be longer than 2048 characters",
            lambda it: it.uri.startswith("data:") or len(it.uri) <= MAX_URI,
        ),
        Rule(
            "!has(self.headersSecretName) || self.uri.startsWith('https://')",
            "headersSecretName requires an https:// uri; s3:// uses the credentials of the profile's store",
            lambda it: it.headers_secret_name is None or it.uri.startswith("https://"),
        ),
        Rule(
            f"!self.uri.matches('{CREDENTIALS}')",
            "uri must not contain a user name or password: everyone who may read the object could read them; "
            "use headersSecretName for https:// and the profile's store for s3://",
            lambda it: re.match(CREDENTIALS, it.uri) is None,
        ),
    )

    uri: Annotated[str, StringConstraints(min_length=5, max_length=MAX_DATA_URI)]
    """URI: https://…, s3://bucket/key, pvc://claim/path, configmap://name/key, or data: (at most 180 KiB for all inputs of
    an object together)."""

    headers_secret_name: Name | None = None
    """Name of a Secret in the object's namespace whose keys and values are sent as HTTP headers. Only for https:// URIs whose
    host the profile allows to receive it."""


class Source(RuledModel):
    """The picture or video that speaks. Exactly one of image and video must be set."""

    rules = (_exactly_one("image", "video"),)

    image: MediaReference | None = None
    """A picture in PNG, JPEG or WebP format."""

    video: MediaReference | None = None
    """A video to dub. Its lips are changed to match the new speech, and its own audio is dropped."""


class Region(RuledModel):
    """A rectangle in fractions of the picture's width and height, measured from its upper left corner.

    The edges are named left and top because YAML 1.1 reads a key ``y`` as a boolean: ``kubectl apply`` refuses it as the
    unknown field ``true``.
    """

    rules = (
        Rule(
            "self.left + self.width <= 1.0",
            "left + width must be at most 1: the region ends outside the picture",
            lambda it: it.left + it.width <= 1,
        ),
        Rule(
            "self.top + self.height <= 1.0",
            "top + height must be at most 1: the region ends outside the picture",
            lambda it: it.top + it.height <= 1,
        ),
    )

    left: Annotated[float, Field(ge=0, le=1)]
    """Distance of the left edge from the picture's left edge, 0..1."""
    top: Annotated[float, Field(ge=0, le=1)]
    """Distance of the top edge from the picture's top edge, 0..1."""
    width: Annotated[float, Field(ge=0.01, le=1)]
    """Width, 0.01..1."""
    height: Annotated[float, Field(ge=0.01, le=1)]
    """Height, 0.01..1."""


class Speaker(RuledModel):
    """One speaker: a recording or a text to speak, and the position of the speaker's face."""

    rules = (
        Rule(
            "!(has(self.audio) && has(self.text))",
            "set exactly one of audio and text",
            lambda it: it.audio is None or it.text is None,
        ),
        Rule(
            "!(has(self.region) && has(self.mask))",
            "set at most one of region and mask",
            lambda it: it.region is None or it.mask is None,
        ),
        Rule(
            "!has(self.voice) || has(self.text)",
            "voice requires text: a recording has its own voice",
            lambda it: it.voice is None or it.text is not None,
        ),
    )

    audio: MediaReference | None = None
    """A recording in any common audio or video container."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=50_000)] | None = None
    """Text to speak, instead of a recording."""

    voice: ShortName | None = None
    """Voice or language of the text: a voice of Kokoro such as af_heart or bm_george, or a language of espeak-ng such as
    en-us, de or fr. Kokoro speaks if its weights are installed and it has a voice for the language; otherwise espeak-ng
    does. Defaults to American English."""

    region: Region | None = None
    """Rectangle that contains this speaker's face. With two speakers it defaults to the left half for the first and the
    right half for the second."""

    mask: MediaReference | None = None
    """A black and white picture with the source's aspect ratio, white where this speaker is. Replaces region."""


def _speaks(speaker: Speaker) -> bool:
    return speaker.audio is not None or speaker.text is not None


class Arrangement(StrEnum):
    """How two recordings are arranged in time."""

    PARALLEL = "Parallel"
    SEQUENTIAL = "Sequential"


class Turn(RuledModel):
    """A period in which one speaker talks."""

    rules = (Rule("self.start < self.end", "start must be before end", lambda it: it.start < it.end),)

    speaker: Annotated[int, Field(ge=0, le=1)]
    """Index of the speaker in speakers."""
    start: Annotated[float, Field(ge=0, le=7200)]
    """Start in seconds from the beginning of the recording."""
    end: Annotated[float, Field(ge=0, le=7200)]
    """End in seconds from the beginning of the recording."""


MAX_SPEAKERS = 2


class Speech(RuledModel):
    """The speakers and when they speak."""

    rules = (
        Rule(
            "has(self.turns) || self.speakers.all(s, has(s.audio) || has(s.text))",
            "set exactly one of audio and text for each speaker",
            lambda it: it.turns is not None or all(_speaks(speaker) for speaker in it.speakers),
        ),
        Rule(
            "!has(self.turns) || ((has(self.speakers[0].audio) || has(self.speakers[0].text))"
            " && (self.speakers.size() < 2 || !(has(self.speakers[1].audio) || has(self.speakers[1].text))))",
            "turns divide one recording between the speakers: set audio or text for the first speaker only",
            lambda it: it.turns is None or [_speaks(speaker) for speaker in it.speakers] in ([True], [True, False]),
        ),
        Rule(
            "!has(self.turns) || self.turns.all(t, t.speaker < self.speakers.size())",
            "a turn names a speaker that does not exist: add a second entry to speakers, with a region, a mask or {}",
            lambda it: it.turns is None or all(turn.speaker < len(it.speakers) for turn in it.turns),
        ),
        Rule(
            "!has(self.turns) || !has(self.arrangement)",
            "arrangement applies to two recordings: do not set it together with turns",
            lambda it: it.turns is None or it.arrangement is None,
        ),
    )

    speakers: Annotated[list[Speaker], Field(min_length=1, max_length=MAX_SPEAKERS)]
    """One or two speakers."""

    arrangement: Arrangement | None = None
    """Parallel (both speakers start together) or Sequential (one after the other). Defaults to Sequential for two texts
    and to Parallel otherwise."""

    turns: Annotated[list[Turn], Field(min_length=1, max_length=500)] | None = None
    """Divides the recording or text of the first speaker, the only one that has any, between the speakers. Turns may
    overlap. Outside all turns no lips move, while the audio continues."""


class Resolution(StrEnum):
    """Size class of the rendered video."""

    P480 = "480p"
    P720 = "720p"


class AspectRatio(StrEnum):
    """Aspect ratio of the video."""

    SOURCE = "Source"
    WIDE = "16:9"
    TALL = "9:16"
    SQUARE = "1:1"
    PORTRAIT = "3:4"
    LANDSCAPE = "4:3"


class Fit(StrEnum):
    """How the rendered picture is fitted to an exact width and height."""

    CROP = "Crop"
    PAD = "Pad"


class Video(RuledModel):
    """Size and length of the result. The frame rate is always 25 frames per second."""

    rules = (
        Rule(
            "has(self.width) == has(self.height)",
            "set both width and height, or neither",
            lambda it: (it.width is None) == (it.height is None),
        ),
        Rule(
            "!has(self.width) || !has(self.aspectRatio)",
            "width and height determine the aspect ratio: do not set aspectRatio together with them",
            lambda it: it.width is None or it.aspect_ratio is None,
        ),
    )

    resolution: Resolution | None = None
    """Size class: 480p or 720p. The engine renders the model's size that is nearest to the aspect ratio. Defaults to
    480p."""

    aspect_ratio: AspectRatio | None = None
    """Aspect ratio of the result. Source keeps the aspect ratio of the source. Defaults to Source."""

    width: EvenSize | None = None
    """Exact width of the result in pixels."""

    height: EvenSize | None = None
    """Exact height of the result in pixels."""

    fit: Fit | None = None
    """How the rendered picture is fitted to width and height. Crop fills the frame and removes what exceeds it; Pad shows
    the whole picture and adds black bars. Defaults to Crop."""

    max_frames: Annotated[int, Field(ge=1, le=180_000)] | None = None
    """Maximum number of frames. A longer video is truncated, and a warning is added to status.warnings."""


class Preset(StrEnum):
    """Named sets of diffusion parameters."""

    QUALITY = "quality"
    FAST = "fast"
    TURBO = "turbo"


class Mode(StrEnum):
    """How much of the audio is rendered."""

    STREAMING = "Streaming"
    CLIP = "Clip"


class TeaCache(Model):
    """Skips model calls whose result is estimated to differ little from the previous one."""

    threshold: Annotated[float, Field(ge=0, le=10)] | None = None
    """Accumulated relative change below which a call is skipped. Defaults to 0.2."""


class Apg(Model):
    """Adaptive projected guidance (Sadat et al., 2024), which reduces oversaturation at high guidance scales."""

    momentum: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Weight of the running average of guidance. Defaults to -0.75."""
    norm_threshold: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Norm to which the guidance is limited. Defaults to 55."""


class Lora(RuledModel):
    """A low-rank adaptation (LoRA) of the model's weights. Exactly one of uri and name must be set."""

    rules = (
        _exactly_one("uri", "name"),
        Rule(
            "!has(self.uri) || ['https://', 's3://', 'pvc://', 'configmap://'].exists(p, self.uri.startsWith(p))",
            "a LoRA's uri must start with https://, s3://, pvc:// or configmap:// "
            "(file:// works in 'talkingvideo run' only)",
            lambda it: it.uri is None or scheme_of(it.uri) in LORA_SCHEMES,
        ),
        Rule(
            f"!has(self.uri) || !self.uri.matches('{CREDENTIALS}')",
            "a LoRA's uri must not contain a user name or password: everyone who may read the object could read them",
            lambda it: it.uri is None or re.match(CREDENTIALS, it.uri) is None,
        ),
    )

    uri: Annotated[str, StringConstraints(min_length=5, max_length=MAX_URI)] | None = None
    """URI of the safetensors file: https://…, s3://bucket/key, pvc://claim/path or configmap://name/key."""
    name: LoraName | None = None
    """Name of a file in loras/ of the profile's weights volume, without .safetensors."""
    scale: Annotated[float, Field(ge=-4, le=4)] | None = None
    """Factor by which the adaptation is scaled. Defaults to 1."""


class Quantization(StrEnum):
    """Number format of the transformer's weights on the GPU."""

    NONE = "None"
    FP8 = "FP8"
    INT8 = "Int8"


class Memory(Model):
    """How the model uses GPU memory. Fields that are not set are chosen from the free memory."""

    quantization: Quantization | None = None
    """Number format of the transformer's weights: None (bfloat16), FP8 or Int8."""
    resident_parameters: Annotated[int, Field(ge=0, le=100_000_000_000)] | None = None
    """Number of the transformer's parameters that stay on the GPU. The others are copied from host memory when they are
    needed."""


class Render(RuledModel):
    """Diffusion parameters. The preset sets all of them; each can be overridden."""

    rules = (
        Rule(
            "!has(self.motionFrames) || self.motionFrames < (has(self.windowFrames) ? self.windowFrames : 81)",
            "motionFrames must be less than windowFrames (81 by default)",
            lambda it: it.motion_frames is None or it.motion_frames < (it.window_frames or 81),
        ),
        Rule(
            "has(self.motionFrames) || !has(self.windowFrames) || self.windowFrames > 9",
            "windowFrames must be greater than motionFrames (9 by default)",
            lambda it: it.motion_frames is not None or it.window_frames is None or it.window_frames > 9,
        ),
    )

    preset: Preset | None = None
    """quality (40 steps), fast (8 steps) or turbo (4 steps). Defaults to the profile's preset."""
    mode: Mode | None = None
    """Streaming renders the whole audio; Clip renders one window of it. Defaults to Streaming."""
    window_frames: Annotated[int, Field(ge=5, le=241), Ruled(FOUR_N_PLUS_ONE)] | None = None
    """Number of frames that the model renders at once. Defaults to 81."""
    motion_frames: Annotated[int, Field(ge=1, le=77), Ruled(FOUR_N_PLUS_ONE)] | None = None
    """Number of frames that a window shares with the previous one. Defaults to 9."""
    steps: Annotated[int, Field(ge=1, le=100)] | None = None
    """Number of denoising steps."""
    text_guidance: Annotated[float, Field(ge=0, le=20)] | None = None
    """Scale of classifier-free guidance on the prompt."""
    audio_guidance: Annotated[float, Field(ge=0, le=20)] | None = None
    """Scale of classifier-free guidance on the audio."""
    shift: Annotated[float, Field(ge=0.1, le=20)] | None = None
    """Shift of the flow-matching noise schedule."""
    seed: Annotated[int, Field(ge=-1, le=2_147_483_647)] | None = None
    """Seed of the random number generator. -1 draws a seed, which status.effective.seed reports. Defaults to 42."""
    color_correction: Annotated[float, Field(ge=0, le=1)] | None = None
    """How strongly the colours of each window are corrected towards those of the source picture, 0..1. Defaults to 1."""
    tea_cache: TeaCache | None = None
    """Enables TeaCache. Disabled if not set."""
    apg: Apg | None = None
    """Enables adaptive projected guidance. Disabled if not set."""
    loras: Annotated[list[Lora], Field(max_length=8)] | None = None
    """LoRAs to apply, in order, after those of the preset."""
    memory: Memory | None = None
    """How the model uses GPU memory. Chosen automatically if not set."""
    gpus_per_chunk: Annotated[int, Field(ge=1, le=8)] | None = None
    """Number of GPUs that render one chunk together. Defaults to 1."""


class Continuity(StrEnum):
    """What a chunk starts from."""

    INDEPENDENT = "Independent"
    CHAINED = "Chained"


class Chunking(Model):
    """How the speech is split into chunks that render in parallel."""

    target_seconds: Annotated[float, Field(ge=10, le=600)] | None = None
    """Desired length of a chunk in seconds. Chunks are cut at silences near it. Defaults to 45."""
    silence_threshold_db: Annotated[float, Field(ge=-90, le=-10)] | None = None
    """Level below which audio counts as silence, in dB relative to full scale after normalisation. Defaults to -40."""
    min_silence_seconds: Annotated[float, Field(ge=0.04, le=10)] | None = None
    """Minimum length of a silence in seconds. Defaults to 0.5."""
    max_parallel: Annotated[int, Field(ge=1, le=256)] | None = None
    """Maximum number of chunks of this video that render at the same time. Defaults to 3."""
    continuity: Continuity | None = None
    """Independent: each chunk starts from the source picture, and chunks render in parallel. Chained: each chunk continues
    the previous one, and chunks render one after another. Defaults to Independent."""


class S3Output(Model):
    """Bucket and prefix of the result, within what the profile allows."""

    bucket: Annotated[str, StringConstraints(min_length=3, max_length=63)] | None = None
    """Bucket. Defaults to the store's bucket."""
    prefix: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Prefix of the key. Defaults to the store's prefix. The namespace's own folder follows it or is part of it."""


class PvcOutput(Model):
    """Volume that receives the result."""

    claim: Name
    """Name of a PersistentVolumeClaim in the object's namespace. The profile must allow it."""
    path: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Folder in the volume. Defaults to its root."""


class Output(RuledModel):
    """Destination and name of the result."""

    rules = (
        Rule(
            "!(has(self.s3) && has(self.pvc))",
            "set at most one of s3 and pvc",
            lambda it: it.s3 is None or it.pvc is None,
        ),
    )

    store: ShortName | None = None
    """Name of a store of the profile. Defaults to the profile's default store."""
    s3: S3Output | None = None
    """A different bucket or prefix in the store."""
    pvc: PvcOutput | None = None
    """A volume that receives the result instead of the store."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    """Template of the result's key without file extension. It may contain {namespace}, {name}, {revision} and {date}.
    Defaults to {namespace}/{name}-{revision}. In a bucket it begins with {namespace}/ unless the profile allows other names. No
    part of the key may begin with a dot."""
    overwrite: bool | None = None
    """Whether an existing result with the same key is replaced. Defaults to false."""
    loudness: Annotated[float, Field(ge=-40, le=-5)] | None = None
    """Integrated loudness of the result's audio in LUFS (EBU R 128). The loudness is not changed if not set."""


class Notify(RuledModel):
    """Receiver of notifications: CloudEvents over HTTPS."""

    rules = (
        Rule(
            "self.url.startsWith('https://')", "url must start with https://", lambda it: it.url.startswith("https://")
        ),
    )

    url: Annotated[str, StringConstraints(min_length=9, max_length=MAX_URI)]
    """URL that events are sent to."""
    secret_name: Name | None = None
    """Name of a Secret in the object's namespace that holds the key for signing the events."""


class Toleration(RuledModel):
    """A toleration, as in a Pod's spec."""

    rules = (
        Rule(
            "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
            "without a key, operator must be Exists",
            lambda it: it.key is not None or it.operator == "Exists",
        ),
        Rule(
            "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
            "value does not apply to the operator Exists",
            lambda it: it.operator != "Exists" or not it.value,
        ),
        Rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds requires the effect NoExecute",
            lambda it: it.toleration_seconds is None or it.effect == "NoExecute",
        ),
    )

    key: TaintKey | None = None
    """Key of the taint. Matches all keys if not set."""
    operator: Annotated[str, StringConstraints(pattern="^(Exists|Equal)$")] | None = None
    """Exists or Equal. Defaults to Equal."""
    value: LabelValue | None = None
    """Value of the taint, if operator is Equal."""
    effect: Annotated[str, StringConstraints(pattern="^(NoSchedule|PreferNoSchedule|NoExecute)$")] | None = None
    """Effect of the taint: NoSchedule, PreferNoSchedule or NoExecute. Matches all effects if not set."""
    toleration_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = None
    """Seconds for which a NoExecute taint is tolerated. Tolerated forever if not set."""


class Resources(Model):
    """Compute resources, as in a container's spec."""

    requests: Annotated[dict[ResourceName, Quantity], Field(max_length=16)] | None = None
    """Minimum amount of resources that the scheduler reserves, such as cpu: 500m."""
    limits: Annotated[dict[ResourceName, Quantity], Field(max_length=16)] | None = None
    """Maximum amount of resources that is allowed, such as memory: 2Gi."""


class Overrides(Model):
    """Overrides of the render pods' specification. The profile must allow each of them."""

    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=16)] | None = None
    """Labels that a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] | None = None
    """Tolerations that are added to the pods."""
    resources: Resources | None = None
    """Resource requests and limits of the render container."""
    image_pull_secrets: Annotated[list[Name], Field(max_length=4)] | None = None
    """Names of Secrets in the object's namespace for pulling the image."""


def _inline_size(cel: str) -> str:
    """CEL for the characters of a reference that is a data: URI."""
    return f"({cel}.uri.startsWith('data:') ? {cel}.uri.size() : 0)"


def _inline_sizes_of_speaker(index: int) -> str:
    """CEL for the characters of a speaker's data: URIs."""
    speaker = f"self.speech.speakers[{index}]"
    sizes = (f"(has({speaker}.{field}) ? {_inline_size(f'{speaker}.{field}')} : 0)" for field in ("audio", "mask"))
    return f"(self.speech.speakers.size() > {index} ? {' + '.join(sizes)} : 0)"


INLINE_SIZE = " + ".join(
    [
        *(f"(has(self.source.{field}) ? {_inline_size(f'self.source.{field}')} : 0)" for field in ("image", "video")),
        *(_inline_sizes_of_speaker(index) for index in range(MAX_SPEAKERS)),
    ]
)
"""CEL for the characters of all data: URIs of a spec. CEL has no sum over a list."""


def _inline_references(spec: TalkingVideoSpec) -> Iterator[MediaReference]:
    given = [spec.source.image, spec.source.video]
    given += [reference for speaker in spec.speech.speakers for reference in (speaker.audio, speaker.mask)]
    return (reference for reference in given if reference and reference.uri.startswith("data:"))


class TalkingVideoSpec(RuledModel):
    """Specification of the desired video."""

    rules = (
        Rule(
            f"{INLINE_SIZE} <= {MAX_DATA_URI}",
            f"the data: URIs of an object may have at most {MAX_DATA_URI} characters together: "
            "put larger files into a store, a volume or a ConfigMap",
            lambda it: sum(len(reference.uri) for reference in _inline_references(it)) <= MAX_DATA_URI,
        ),
    )

    source: Source
    """The picture or video that speaks."""
    speech: Speech
    """The speakers, their recordings or texts, and when they speak."""
    prompt: Annotated[str, StringConstraints(max_length=4_000)] | None = None
    """Text that conditions the model. Defaults to "A person talking naturally"."""
    negative_prompt: Annotated[str, StringConstraints(max_length=4_000)] | None = None
    """Text that guidance steers away from. Defaults to the model's own negative prompt."""
    engine: ShortName | None = None
    """Name of the engine: infinitetalk, preview, or one that the profile adds. Defaults to the profile's engine."""
    profile: ShortName | None = None
    """Name of the profile: the administrator's set of image, nodes, stores and limits. Defaults to "default"."""
    video: Video | None = None
    """Size and length of the result."""
    render: Render | None = None
    """Diffusion parameters."""
    chunking: Chunking | None = None
    """How the speech is split into chunks."""
    output: Output | None = None
    """Destination and name of the result."""
    notify: Notify | None = None
    """Receiver of notifications. Not supported yet."""
    overrides: Overrides | None = None
    """Overrides of the render pods' specification."""
    dry_run: bool | None = None
    """Whether to stop after the inputs are fetched, checked and split, and the work is estimated. No GPU is used and no
    video is made. Defaults to false."""
    suspend: bool | None = None
    """Whether the work is suspended. Unfinished Jobs are deleted and no new ones are created; finished chunks are kept.
    Defaults to false."""
    cancel: bool | None = None
    """Whether the video is cancelled: the work ends for good, with the phase Cancelled. Unfinished Jobs are deleted; finished
    chunks are kept. A video that has already succeeded or failed is not changed. While it is true, nothing starts, and
    suspend has no effect. A cancelled video starts again when cancel is false and the annotation talkingvideo.dev/retry
    has a new value, or a field that determines the result is edited. Defaults to false."""
    priority: Name | None = None
    """PriorityClass of the pods. The profile must list it."""
    queue_name: QueueName | None = None
    """Name of a LocalQueue of Kueue. The Jobs are created suspended, and Kueue admits them."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=2_592_000)] | None = None
    """Seconds after the start of the work at which an unfinished video fails. No deadline if not set."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=31_536_000)] | None = None
    """Seconds after the end at which the Jobs and the ConfigMap of the stage input are deleted. The result and the object
    are never deleted. Defaults to 604800 (7 days)."""
    consent_reference: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Free text that states where the consent of the depicted person is on record. Written into the file's metadata."""
