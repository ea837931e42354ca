"""``spec`` of a TalkingVideo: what a user asks for.

No field has a default in the schema, so that what Git holds is what the cluster holds; the values in force are in
``status.effective`` (see `talkingvideo_api.effective`). Every string, list and number is bounded: the API server prices
the validation rules by these bounds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from talkingvideo_api.model import Model
from talkingvideo_api.rules import Rule, Ruled, RuledModel
from talkingvideo_api.uris import LOCAL_SCHEMES, MAX_DATA_URI, MAX_URI, scheme_of

LORA_SCHEMES = tuple(scheme for scheme in LOCAL_SCHEMES if scheme != "data")
"""Where a LoRA may come from: the smallest useful one is larger than what ``data:`` may hold."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
ShortName = Annotated[str, StringConstraints(min_length=1, max_length=63)]
LoraName = Annotated[str, StringConstraints(max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""Name of a file, which leads to no other folder."""
Quantity = Annotated[str, StringConstraints(min_length=1, max_length=32)]
FOUR_N_PLUS_ONE = Rule(
    "self % 4 == 1",
    "must be of the form 4n+1 (5, 9, 13 … 77, 81): the model works on one frame and groups of four",
    lambda value: value % 4 == 1,
)
EVEN = Rule(
    "self % 2 == 0",
    "must be even: a video's colour has half the resolution of its brightness",
    lambda value: value % 2 == 0,
)
EvenSize = Annotated[int, Field(ge=64, le=2048), Ruled(EVEN)]


def _exactly_one(first: str, second: str) -> Rule:
    return Rule(
        f"has(self.{first}) != has(self.{second})",
        f"give exactly one of {first} and {second}",
        lambda it: (getattr(it, first) is None) != (getattr(it, second) is None),
    )


class MediaReference(RuledModel):
    """Where a picture, a video or a sound is."""

    rules = (
        Rule(
            "['https://', 's3://', 'pvc://', 'configmap://', 'data:'].exists(p, self.uri.startsWith(p))",
            "uri must start with https://, s3://, pvc://, configmap:// or data: "
            "(file:// works in 'talkingvideo run' only)",
            lambda it: scheme_of(it.uri) in LOCAL_SCHEMES,
        ),
        Rule(
            "self.uri.startsWith('data:') || self.uri.size() <= 2048",
            "uri may be longer than 2048 characters only when it is data:",
            lambda it: it.uri.startswith("data:") or len(it.uri) <= MAX_URI,
        ),
        Rule(
            "!has(self.headersSecretName) || self.uri.startsWith('https://')",
            "headersSecretName is for https:// only; s3:// takes its credentials from the profile's store",
            lambda it: it.headers_secret_name is None or it.uri.startswith("https://"),
        ),
    )

    uri: Annotated[str, StringConstraints(min_length=5, max_length=MAX_DATA_URI)]
    """https://…, s3://bucket/key, pvc://claim/path, configmap://name/key, or data: (all of an object's together at most
    180 KiB)."""

    headers_secret_name: Name | None = None
    """Secret in the object's namespace whose keys and values are sent as HTTP headers (https:// only)."""


class Source(RuledModel):
    """What is made to speak."""

    rules = (_exactly_one("image", "video"),)

    image: MediaReference | None = None
    """A picture: PNG, JPEG or WebP."""

    video: MediaReference | None = None
    """A video to dub: its lips follow the new sound, its own sound is dropped."""


class Region(RuledModel):
    """A rectangle as fractions of the picture, from its upper left corner.

    The edges are called left and top: a key ``y`` is a truth value in YAML 1.1, and ``kubectl apply`` refuses it as the
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
    """Left edge, 0..1."""
    top: Annotated[float, Field(ge=0, le=1)]
    """Upper edge, 0..1."""
    width: Annotated[float, Field(ge=0.01, le=1)]
    """Width, 0.01..1."""
    height: Annotated[float, Field(ge=0.01, le=1)]
    """Height, 0.01..1."""


class Speaker(RuledModel):
    """One voice, as a recording or as text to speak, and where its face is."""

    rules = (
        Rule(
            "!(has(self.audio) && has(self.text))",
            "give exactly one of audio and text",
            lambda it: it.audio is None or it.text is None,
        ),
        Rule(
            "!(has(self.region) && has(self.mask))",
            "give at most one of region and mask",
            lambda it: it.region is None or it.mask is None,
        ),
        Rule(
            "!has(self.voice) || has(self.text)",
            "voice needs text: a recording has its own voice",
            lambda it: it.voice is None or it.text is not None,
        ),
    )

    audio: MediaReference | None = None
    """A recording in any common audio or video container."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=50_000)] | None = None
    """What is spoken, instead of a recording."""

    voice: ShortName | None = None
    """Voice or language of the text: one of Kokoro's voices such as af_heart or bm_george, or a language of espeak-ng
    such as en-us, de or fr. Kokoro speaks where its weights are and it has a voice of the language, espeak-ng else.
    Default: American English."""

    region: Region | None = None
    """Where this speaker's face is; by default the left and the right half for two speakers."""

    mask: MediaReference | None = None
    """Instead of region: a picture of the source's shape, white where this speaker is."""


def _speaks(speaker: Speaker) -> bool:
    return speaker.audio is not None or speaker.text is not None


class Arrangement(StrEnum):
    """How two recordings are laid out in time."""

    PARALLEL = "Parallel"
    SEQUENTIAL = "Sequential"


class Turn(RuledModel):
    """A time in which one speaker talks."""

    rules = (Rule("self.start < self.end", "start must be before end", lambda it: it.start < it.end),)

    speaker: Annotated[int, Field(ge=0, le=1)]
    """Index in speakers."""
    start: Annotated[float, Field(ge=0, le=7200)]
    """Seconds."""
    end: Annotated[float, Field(ge=0, le=7200)]
    """Seconds."""


class Speech(RuledModel):
    """Who speaks, and when."""

    rules = (
        Rule(
            "has(self.turns) || self.speakers.all(s, has(s.audio) || has(s.text))",
            "give exactly one of audio and text for each speaker",
            lambda it: it.turns is not None or all(_speaks(speaker) for speaker in it.speakers),
        ),
        Rule(
            "!has(self.turns) || ((has(self.speakers[0].audio) || has(self.speakers[0].text))"
            " && (self.speakers.size() < 2 || !(has(self.speakers[1].audio) || has(self.speakers[1].text))))",
            "turns say who speaks when over one recording: give the first speaker's audio or text and no other",
            lambda it: it.turns is None or [_speaks(speaker) for speaker in it.speakers] in ([True], [True, False]),
        ),
        Rule(
            "!has(self.turns) || self.turns.all(t, t.speaker < self.speakers.size())",
            "a turn names a speaker that does not exist: give speakers a second entry, with its region, its mask or {}",
            lambda it: it.turns is None or all(turn.speaker < len(it.speakers) for turn in it.turns),
        ),
        Rule(
            "!has(self.turns) || !has(self.arrangement)",
            "arrangement is for two recordings: leave it out with turns",
            lambda it: it.turns is None or it.arrangement is None,
        ),
    )

    speakers: Annotated[list[Speaker], Field(min_length=1, max_length=2)]
    """One or two."""

    arrangement: Arrangement | None = None
    """Parallel (both from the start) or Sequential (one after the other). Default Sequential for two texts, else
    Parallel."""

    turns: Annotated[list[Turn], Field(min_length=1, max_length=500)] | None = None
    """Who speaks when, over the first speaker's recording or text, which is the only one. Turns may overlap; outside
    all of them nobody's lips move, and the sound is heard nevertheless."""


class Resolution(StrEnum):
    """Size class of the rendered video."""

    P480 = "480p"
    P720 = "720p"


class AspectRatio(StrEnum):
    """Shape of the video."""

    SOURCE = "Source"
    WIDE = "16:9"
    TALL = "9:16"
    SQUARE = "1:1"
    PORTRAIT = "3:4"
    LANDSCAPE = "4:3"


class Fit(StrEnum):
    """How the rendered picture is brought to an exact width and height."""

    CROP = "Crop"
    PAD = "Pad"


class Video(RuledModel):
    """Size and length of the result. Always 25 frames per second."""

    rules = (
        Rule(
            "has(self.width) == has(self.height)",
            "give both width and height, or neither",
            lambda it: (it.width is None) == (it.height is None),
        ),
        Rule(
            "!has(self.width) || !has(self.aspectRatio)",
            "width and height already say the shape: leave aspectRatio out",
            lambda it: it.width is None or it.aspect_ratio is None,
        ),
    )

    resolution: Resolution | None = None
    """480p or 720p: the model's own size nearest to the wanted shape. Default 480p."""

    aspect_ratio: AspectRatio | None = None
    """Shape; Source keeps the picture's own. Default Source."""

    width: EvenSize | None = None
    """Exact width of the delivered file in pixels."""

    height: EvenSize | None = None
    """Exact height of the delivered file in pixels."""

    fit: Fit | None = None
    """Crop fills width x height and cuts what is over; Pad shows all and adds black bars. Default Crop."""

    max_frames: Annotated[int, Field(ge=1, le=180_000)] | None = None
    """Cut the video after this many frames, on purpose; status says so."""


class Preset(StrEnum):
    """Named sets of render values."""

    QUALITY = "quality"
    FAST = "fast"
    TURBO = "turbo"


class Mode(StrEnum):
    """How much of the sound is rendered."""

    STREAMING = "Streaming"
    CLIP = "Clip"


class TeaCache(Model):
    """Skip model calls whose result would hardly differ from the last."""

    threshold: Annotated[float, Field(ge=0, le=10)] | None = None
    """Accumulated relative change below which a call is skipped. Default 0.2."""


class Apg(Model):
    """Adaptive projected guidance (Sadat et al., 2024): less oversaturation at high guidance."""

    momentum: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Default -0.75."""
    norm_threshold: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Default 55."""


class Lora(RuledModel):
    """A low-rank change of the model's weights."""

    rules = (
        _exactly_one("uri", "name"),
        Rule(
            "!has(self.uri) || ['https://', 's3://', 'pvc://', 'configmap://'].exists(p, self.uri.startsWith(p))",
            "a LoRA's uri must start with https://, s3://, pvc:// or configmap:// "
            "(file:// works in 'talkingvideo run' only)",
            lambda it: it.uri is None or scheme_of(it.uri) in LORA_SCHEMES,
        ),
    )

    uri: Annotated[str, StringConstraints(min_length=5, max_length=MAX_URI)] | None = None
    """Where its safetensors file is: https://…, s3://bucket/key, pvc://claim/path or configmap://name/key."""
    name: LoraName | None = None
    """Name of one on the profile's weights volume: its file in loras/, without .safetensors."""
    scale: Annotated[float, Field(ge=-4, le=4)] | None = None
    """Default 1."""


class Quantization(StrEnum):
    """Number format of the model's weights on the GPU."""

    NONE = "None"
    FP8 = "FP8"
    INT8 = "Int8"


class Memory(Model):
    """How the model is laid out in the GPU's memory; chosen from what is free when left out."""

    quantization: Quantization | None = None
    """None, FP8 or Int8."""
    resident_parameters: Annotated[int, Field(ge=0, le=100_000_000_000)] | None = None
    """Parameters of the transformer that stay on the GPU; the others are brought there when needed."""


class Render(RuledModel):
    """Values of the diffusion. A preset gives them all; each can be set for itself."""

    rules = (
        Rule(
            "!has(self.motionFrames) || self.motionFrames < (has(self.windowFrames) ? self.windowFrames : 81)",
            "motionFrames must be below windowFrames (81 by default)",
            lambda it: it.motion_frames is None or it.motion_frames < (it.window_frames or 81),
        ),
        Rule(
            "has(self.motionFrames) || !has(self.windowFrames) || self.windowFrames > 9",
            "windowFrames must be above motionFrames (9 by default)",
            lambda it: it.motion_frames is not None or it.window_frames is None or it.window_frames > 9,
        ),
    )

    preset: Preset | None = None
    """quality (40 steps), fast (8 steps) or turbo (4 steps)."""
    mode: Mode | None = None
    """Streaming renders the whole sound; Clip one window of it. Default Streaming."""
    window_frames: Annotated[int, Field(ge=5, le=241), Ruled(FOUR_N_PLUS_ONE)] | None = None
    """Frames made at once, 4n+1. Default 81."""
    motion_frames: Annotated[int, Field(ge=1, le=77), Ruled(FOUR_N_PLUS_ONE)] | None = None
    """Frames that a window takes over from the one before, 4n+1. Default 9."""
    steps: Annotated[int, Field(ge=1, le=100)] | None = None
    """Denoising steps."""
    text_guidance: Annotated[float, Field(ge=0, le=20)] | None = None
    """Classifier-free guidance of the prompt."""
    audio_guidance: Annotated[float, Field(ge=0, le=20)] | None = None
    """Classifier-free guidance of the sound."""
    shift: Annotated[float, Field(ge=0.1, le=20)] | None = None
    """Shift of the flow-matching schedule."""
    seed: Annotated[int, Field(ge=-1, le=2_147_483_647)] | None = None
    """Seed of the random numbers; -1 draws one, and status says which. Default 42."""
    color_correction: Annotated[float, Field(ge=0, le=1)] | None = None
    """How far each window's colours are drawn to the picture's, 0..1. Default 1."""
    tea_cache: TeaCache | None = None
    """Off when absent."""
    apg: Apg | None = None
    """Off when absent."""
    loras: Annotated[list[Lora], Field(max_length=8)] | None = None
    """Applied in order, after the preset's."""
    memory: Memory | None = None
    """Automatic when absent."""
    gpus_per_chunk: Annotated[int, Field(ge=1, le=8)] | None = None
    """GPUs that render one chunk together. Default 1."""


class Continuity(StrEnum):
    """Where a chunk takes its first motion from."""

    INDEPENDENT = "Independent"
    CHAINED = "Chained"


class Chunking(Model):
    """How the speech is split, so that GPUs work side by side."""

    target_seconds: Annotated[float, Field(ge=10, le=600)] | None = None
    """Wanted length of a chunk; cuts fall into silences near it. Default 45."""
    silence_threshold_db: Annotated[float, Field(ge=-90, le=-10)] | None = None
    """Below this level, in dB of full scale after normalisation, is silence. Default -40."""
    min_silence_seconds: Annotated[float, Field(ge=0.04, le=10)] | None = None
    """Shorter pauses are no silence. Default 0.5."""
    max_parallel: Annotated[int, Field(ge=1, le=256)] | None = None
    """Chunks of this video rendered at once. Default 3."""
    continuity: Continuity | None = None
    """Independent (chunks start from the picture, in parallel) or Chained (each goes on from the one before)."""


class S3Output(Model):
    """Where in S3 the result goes, within what the profile allows."""

    bucket: Annotated[str, StringConstraints(min_length=3, max_length=63)] | None = None
    """Default: the store's bucket."""
    prefix: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Default: the store's prefix."""


class PvcOutput(Model):
    """A volume for the result."""

    claim: Name
    """PersistentVolumeClaim in the object's namespace, allowed by the profile."""
    path: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Folder in it."""


class Output(RuledModel):
    """Where the result goes, and what it is called."""

    rules = (
        Rule(
            "!(has(self.s3) && has(self.pvc))",
            "give at most one of s3 and pvc",
            lambda it: it.s3 is None or it.pvc is None,
        ),
    )

    store: ShortName | None = None
    """A store of the profile. Default: the profile's default store."""
    s3: S3Output | None = None
    """Another bucket or prefix in that store."""
    pvc: PvcOutput | None = None
    """A volume instead of a store."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    """Template of the result's key without ending: {namespace}, {name}, {revision}, {date}.
    Default {namespace}/{name}-{revision}."""
    overwrite: bool | None = None
    """Whether an existing result of that name is replaced. Default false."""
    loudness: Annotated[float, Field(ge=-40, le=-5)] | None = None
    """Bring the delivered sound to this integrated loudness in LUFS (EBU R 128); untouched when absent."""


class Notify(RuledModel):
    """Whom to tell: CloudEvents over HTTPS."""

    rules = (
        Rule(
            "self.url.startsWith('https://')", "url must start with https://", lambda it: it.url.startswith("https://")
        ),
    )

    url: Annotated[str, StringConstraints(min_length=9, max_length=MAX_URI)]
    """Receiver."""
    secret_name: Name | None = None
    """Secret in the object's namespace with the key that signs the messages."""


class Toleration(Model):
    """As in a Pod's spec."""

    key: Annotated[str, StringConstraints(max_length=316)] | None = None
    """Taint's key; every taint when absent."""
    operator: Annotated[str, StringConstraints(pattern="^(Exists|Equal)$")] | None = None
    """Exists or Equal. Default Equal."""
    value: Annotated[str, StringConstraints(max_length=63)] | None = None
    """Taint's value, for Equal."""
    effect: Annotated[str, StringConstraints(pattern="^(NoSchedule|PreferNoSchedule|NoExecute)$")] | None = None
    """NoSchedule, PreferNoSchedule or NoExecute; every effect when absent."""
    toleration_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = None
    """How long a NoExecute taint is borne. Default: for ever."""


class Resources(Model):
    """As in a container's spec."""

    requests: Annotated[dict[str, Quantity], Field(max_length=16)] | None = None
    """What the scheduler sets aside, such as cpu: 500m."""
    limits: Annotated[dict[str, Quantity], Field(max_length=16)] | None = None
    """What may not be exceeded, such as memory: 2Gi."""


class Overrides(Model):
    """Changes to the render pods, each only where the profile allows it."""

    node_selector: (
        Annotated[dict[str, Annotated[str, StringConstraints(max_length=63)]], Field(max_length=16)] | None
    ) = None
    """Labels of the nodes to use."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] | None = None
    """Taints that the pods accept."""
    resources: Resources | None = None
    """Requests and limits of the render container."""
    image_pull_secrets: Annotated[list[Name], Field(max_length=4)] | None = None
    """Names of Secrets in the object's namespace."""


class TalkingVideoSpec(Model):
    """What is wanted."""

    source: Source
    """The picture or video that is made to speak."""
    speech: Speech
    """Who speaks, and what."""
    prompt: Annotated[str, StringConstraints(max_length=4_000)] | None = None
    """What the model is told. Default "A person talking naturally"."""
    negative_prompt: Annotated[str, StringConstraints(max_length=4_000)] | None = None
    """What the model is told to avoid. Default: the model's usual one."""
    engine: ShortName | None = None
    """infinitetalk or preview. Default: the profile's."""
    profile: ShortName | None = None
    """The administrator's named set of image, nodes, stores and limits. Default "default"."""
    video: Video | None = None
    """Size and length."""
    render: Render | None = None
    """Values of the diffusion."""
    chunking: Chunking | None = None
    """How the work is split."""
    output: Output | None = None
    """Where the result goes."""
    notify: Notify | None = None
    """Whom to tell."""
    overrides: Overrides | None = None
    """Changes to the render pods that the profile allows."""
    dry_run: bool | None = None
    """Fetch, check, split and estimate; no GPU, no video. Default false."""
    suspend: bool | None = None
    """Stop starting work and end what is unfinished; finished chunks stay. Default false."""
    priority: Name | None = None
    """Priority class of the Jobs, from the profile's list."""
    queue_name: ShortName | None = None
    """Kueue's local queue: the Jobs are made suspended, and Kueue admits them."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=2_592_000)] | None = None
    """The video fails when it is not finished this long after its work began. Default: none."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=31_536_000)] | None = None
    """Jobs and their order are removed this long after the end; never the result or the object. Default 7 days."""
    consent_reference: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Free text that says where the depicted person's consent is on record; carried into the file's metadata."""
