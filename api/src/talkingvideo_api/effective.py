"""Effective values of one revision of a video.

They are always derived from spec and profile, so that nobody who may write status chooses an image or a key. Only the choices
that the profile makes are remembered in ``status.effective`` (engine, preset, image, store), so that a change to the operator's
configuration does not change a video that is being made; they count as far as the profile still allows them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from talkingvideo_api.engines import traits_of
from talkingvideo_api.model import Model
from talkingvideo_api.profile import Profile
from talkingvideo_api.spec import (
    Arrangement,
    AspectRatio,
    Chunking,
    Continuity,
    Fit,
    Lora,
    Mode,
    Output,
    Preset,
    Render,
    Resolution,
    Speech,
    TalkingVideoSpec,
    Video,
)
from talkingvideo_api.values import EffectiveLora, RenderValues, Sampling

DEFAULT_PROMPT = "A person talking naturally"
DEFAULT_TTL_SECONDS = 7 * 24 * 3_600
DEFAULT_MAX_PARALLEL = 3
DEFAULT_OUTPUT_NAME = "{namespace}/{name}-{revision}"

LOCATION_FIELDS = {"profile", "store", "output_name", "overwrite"}
"""Values that determine only where a video is made and stored, not its frames or the release that makes it."""

PRESET_LORAS: Mapping[Preset, tuple[EffectiveLora, ...]] = {
    Preset.QUALITY: (),
    Preset.FAST: (EffectiveLora(name="Wan2.1_I2V_14B_FusionX_LoRA"),),
    Preset.TURBO: (EffectiveLora(name="Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32"),),
}
"""LoRAs that the parameters of a preset were chosen for, by the names of their published files."""


class Effective(Model):
    """Effective values of a revision. Prompts and the URIs of LoRAs are only in spec."""

    engine: str
    """Name of the engine."""
    profile: str
    """Name of the profile."""
    worker_image: str
    """Image of the stages' pods."""
    mode: Mode
    """Streaming (the whole audio) or Clip (one window of it)."""
    window_frames: int
    """Number of frames that the model renders at once."""
    motion_frames: int
    """Number of frames that a window shares with the previous one."""
    seed: int
    """Seed of the random number generator: the drawn seed if spec.render.seed is -1."""
    sampling: Sampling | None = None
    """Diffusion parameters. Absent for engines without diffusion."""
    gpus_per_chunk: Annotated[int, Field(ge=1, le=8)]
    """Number of GPUs that render one chunk together."""
    resolution: Resolution
    """Size class: 480p or 720p."""
    aspect_ratio: AspectRatio
    """Aspect ratio of the result."""
    width: int | None = None
    """Exact width of the result in pixels, if spec sets it."""
    height: int | None = None
    """Exact height of the result in pixels, if spec sets it."""
    fit: Fit
    """How the rendered picture is fitted to the exact size."""
    max_frames: int | None = None
    """Number of frames after which the video is truncated."""
    arrangement: Arrangement
    """Arrangement of two recordings: Parallel or Sequential."""
    target_seconds: float
    """Desired length of a chunk in seconds."""
    silence_threshold_db: float
    """Level below which audio counts as silence, in dB."""
    min_silence_seconds: float
    """Minimum length of a silence in seconds."""
    continuity: Continuity
    """Whether chunks are Independent or Chained."""
    store: str
    """Name of the store."""
    output_name: str
    """Template of the result's key without file extension."""
    overwrite: bool
    """Whether an existing result is replaced."""
    loudness: float | None = None
    """Integrated loudness of the result's audio in LUFS. Absent if the loudness is not changed."""

    @property
    def digest(self) -> str:
        """SHA-256 digest, in hexadecimal, of what is made and by which release."""
        return hashlib.sha256(self.model_dump_json(exclude=LOCATION_FIELDS, exclude_none=True).encode()).hexdigest()

    def render_values(self, spec: TalkingVideoSpec) -> RenderValues:
        """The render values of an engine.

        Args:
            spec: Spec of the same revision. It has the prompts, which are not in status because they may be long.
        """
        return RenderValues(
            prompt=spec.prompt or DEFAULT_PROMPT,
            negative_prompt=spec.negative_prompt,
            mode=self.mode,
            window_frames=self.window_frames,
            motion_frames=self.motion_frames,
            seed=self.seed,
            sampling=self.sampling,
        )


def _preset(preset: Preset, resolution: Resolution) -> dict[str, float | int]:
    """Values of the presets. quality has the published defaults; fast and turbo match their distillation LoRAs."""
    match preset:
        case Preset.QUALITY:
            shift = 7.0 if resolution is Resolution.P480 else 11.0
            return {"steps": 40, "text_guidance": 5.0, "audio_guidance": 4.0, "shift": shift}
        case Preset.FAST:
            return {"steps": 8, "text_guidance": 1.0, "audio_guidance": 2.0, "shift": 2.0}
        case Preset.TURBO:
            return {"steps": 4, "text_guidance": 1.0, "audio_guidance": 1.0, "shift": 5.0}


def _sampling(render: Render, profile: Profile, resolution: Resolution) -> Sampling:
    preset = render.preset or profile.preset
    values: dict[str, Any] = {"preset": preset, "color_correction": 1.0, **_preset(preset, resolution)}
    for name in ("steps", "text_guidance", "audio_guidance", "shift", "color_correction"):
        if (given := getattr(render, name)) is not None:
            values[name] = given
    if render.tea_cache is not None:
        threshold = render.tea_cache.threshold
        values["tea_cache_threshold"] = 0.2 if threshold is None else threshold
    if render.apg is not None:
        values["apg_momentum"] = -0.75 if render.apg.momentum is None else render.apg.momentum
        values["apg_norm_threshold"] = 55.0 if render.apg.norm_threshold is None else render.apg.norm_threshold
    if render.memory is not None:
        values["quantization"] = render.memory.quantization
        values["resident_parameters"] = render.memory.resident_parameters
    given = (_effective_lora(index, lora) for index, lora in enumerate(render.loras or ()))
    values["loras"] = (*PRESET_LORAS[preset], *given)
    return Sampling(**values)


def _effective_lora(index: int, lora: Lora) -> EffectiveLora:
    return EffectiveLora(index=index, name=lora.name, scale=1.0 if lora.scale is None else lora.scale)


def _default_arrangement(speech: Speech) -> Arrangement:
    """Two recordings were made to be played together; two texts spoken at once are unintelligible."""
    texts = sum(speaker.text is not None for speaker in speech.speakers)
    return Arrangement.SEQUENTIAL if texts > 1 else Arrangement.PARALLEL


def drawn_seed(uid: str, revision: str) -> int:
    """The seed that ``seed: -1`` draws: different for every object and revision, the same for every retry."""
    return int.from_bytes(hashlib.sha256(f"{uid}/{revision}".encode()).digest()[:4], "big") & 0x7FFF_FFFF


def as_begun(profile: Profile, begun: Effective | None, output: Output) -> Profile:
    """The profile with the choices that it made when a revision began.

    Args:
        profile: The profile as it is configured now.
        begun: The values in status; anybody may have written them.
        output: The spec's output.
    """
    if begun is None:
        return profile
    keeps_store = begun.store in profile.stores and output.store is None
    return profile.model_copy(
        update={
            "engine": begun.engine if profile.allows_engine(begun.engine) else profile.engine,
            "preset": begun.sampling.preset if begun.sampling else profile.preset,
            "worker_image": begun.worker_image if profile.allows_image(begun.worker_image) else profile.worker_image,
            "default_store": begun.store if keeps_store else profile.default_store,
        }
    )


def resolve(spec: TalkingVideoSpec, profile: Profile, *, profile_name: str, uid: str, revision: str) -> Effective:
    """Resolve the values for a revision.

    Args:
        spec: Spec of the object.
        profile: The administrator's defaults.
        profile_name: Name of the profile.
        uid: Uid of the object; a drawn seed depends on it.
        revision: Revision of the spec; a drawn seed depends on it.
    """
    render, video = spec.render or Render(), spec.video or Video()
    chunking, output = spec.chunking or Chunking(), spec.output or Output()
    engine = spec.engine or profile.engine
    resolution = video.resolution or Resolution.P480
    seed = 42 if render.seed is None else render.seed
    return Effective(
        engine=engine,
        profile=profile_name,
        worker_image=profile.worker_image,
        mode=render.mode or Mode.STREAMING,
        window_frames=render.window_frames or 81,
        motion_frames=render.motion_frames or 9,
        seed=drawn_seed(uid, revision) if seed == -1 else seed,
        sampling=_sampling(render, profile, resolution) if traits_of(engine).is_diffusion else None,
        gpus_per_chunk=render.gpus_per_chunk or 1,
        resolution=resolution,
        aspect_ratio=video.aspect_ratio or AspectRatio.SOURCE,
        width=video.width,
        height=video.height,
        fit=video.fit or Fit.CROP,
        max_frames=video.max_frames,
        arrangement=spec.speech.arrangement or _default_arrangement(spec.speech),
        target_seconds=chunking.target_seconds or 45.0,
        silence_threshold_db=-40.0 if chunking.silence_threshold_db is None else chunking.silence_threshold_db,
        min_silence_seconds=chunking.min_silence_seconds or 0.5,
        continuity=chunking.continuity or Continuity.INDEPENDENT,
        store=output.store or profile.default_store,
        output_name=output.name or DEFAULT_OUTPUT_NAME,
        overwrite=bool(output.overwrite),
        loudness=output.loudness,
    )
