"""process: untrusted media become the workspace's files. Runs without credentials and without the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from talkingvideo_api.effective import Effective
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import PLAN_NAME, SOUND_NAME, Plan, PlannedFile, PlannedTrack
from talkingvideo_api.spec import Mode, Region
from talkingvideo_worker.engines.base import PreparedEngine, RenderInput, Track
from talkingvideo_worker.files import file_digest
from talkingvideo_worker.media.confined import ConfinedDecoders, confined_decoders
from talkingvideo_worker.media.encoder import EncoderSettings
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.loras import fetched_loras, lora_files, lora_name
from talkingvideo_worker.stages.prepare.chunks import divide, with_keys
from talkingvideo_worker.stages.prepare.folders import input_path, prepared_folder, prepared_marker
from talkingvideo_worker.stages.prepare.keys import VideoIdentity
from talkingvideo_worker.stages.prepare.portrait import (
    PreparedPortrait,
    frame_source,
    write_masks,
    write_portrait,
)
from talkingvideo_worker.stages.prepare.sizes import Size
from talkingvideo_worker.stages.prepare.speech import Timeline, build_timeline, write_tracks
from talkingvideo_worker.stages.workspace import ENGINE_FOLDER, used_by

HALVES = ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0))
"""Regions of two speakers when the spec gives none."""


@dataclass(frozen=True)
class _PreparedMedia:
    """The prepared media of a video.

    Attributes:
        portrait: The picture or video.
        timeline: The voices in time.
        render_input: What the engine renders from: portrait, tracks, LoRAs and values.
        lora_digests: sha256 of the fetched LoRAs by name.
    """

    portrait: PreparedPortrait
    timeline: Timeline
    render_input: RenderInput
    lora_digests: Mapping[str, str]


def process(context: StageContext) -> None:
    """Write picture, tracks, sound and plan into the scratch folder, unless they were published before.

    Raises:
        StageError: E_INPUT_VALIDATION with the field of an input that cannot be used.
    """
    if prepared_marker(context.scratch).exists():
        return
    folder = prepared_folder(context.scratch)
    (folder / ENGINE_FOLDER).mkdir(parents=True, exist_ok=True)
    with confined_decoders(context.scratch / "decoded", context.stage_input.limits) as decoders:
        _process(context, decoders, folder)


def _process(context: StageContext, decoders: ConfinedDecoders, folder: Path) -> None:
    media = _prepare_media(context, decoders, folder)
    _report(context, 0.4, "Preparing the engine")
    engine = context.engine.prepare(media.render_input, folder / ENGINE_FOLDER)
    _report(context, 0.5, "Encoding the sound")
    decoders.soundtrack(
        media.timeline.recordings,
        folder / SOUND_NAME,
        target_lufs=context.stage_input.effective.loudness,
        seconds=media.timeline.seconds,
    )
    _report(context, 0.6, "Planning the chunks")
    plan = _make_plan(context, media, engine, folder)
    (folder / PLAN_NAME).write_text(plan.to_json(), encoding="utf-8")


def _report(context: StageContext, fraction: float, message: str) -> None:
    context.reporter.report(Stage.PREPARE, fraction, message)


def _prepare_media(context: StageContext, decoders: ConfinedDecoders, folder: Path) -> _PreparedMedia:
    _report(context, 0.2, "Preparing the picture")
    framed = frame_source(context, decoders)
    _report(context, 0.3, "Preparing the speech")
    working = context.scratch / "working"
    working.mkdir(parents=True, exist_ok=True)
    timeline = build_timeline(context, decoders, working)
    portrait = write_portrait(context, decoders, framed, timeline.frames, folder)
    masks = write_masks(context, decoders, portrait, folder)
    lora_digests = _link_loras(context, working)
    render_input = RenderInput(
        portrait=portrait.portrait,
        tracks=_located(context, portrait, write_tracks(timeline, folder), masks),
        frames=timeline.frames,
        values=context.stage_input.values,
        loras=lora_files(context.stage_input, working, lora_digests),
    )
    return _PreparedMedia(portrait, timeline, render_input, lora_digests)


def _located(
    context: StageContext, portrait: PreparedPortrait, tracks: Sequence[Track], masks: Sequence[Path | None]
) -> tuple[Track, ...]:
    """The tracks with the region or mask of their speakers."""
    speakers = context.stage_input.spec.speech.speakers
    defaults = HALVES if len(speakers) > 1 else (None,)
    located = []
    for speaker, track, mask, default in zip(speakers, tracks, masks, defaults, strict=True):
        if mask is not None:
            located.append(replace(track, mask=mask))
        else:
            located.append(replace(track, region=_shown_region(portrait, speaker.region) or default))
    return tuple(located)


def _shown_region(portrait: PreparedPortrait, region: Region | None) -> tuple[float, float, float, float] | None:
    """A region of the spec in fractions of the prepared picture."""
    if region is None:
        return None
    return portrait.region_in_picture((region.left, region.top, region.width, region.height))


def _link_loras(context: StageContext, folder: Path) -> dict[str, str]:
    """Link the fetched LoRAs under the names that engines are given; publish takes their gigabytes from the inputs itself.

    Returns:
        sha256 of each LoRA by its name in the folder.
    """
    digests = {}
    for lora in fetched_loras(context.stage_input):
        name = lora_name(lora.index)
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(input_path(context.scratch, lora).absolute())
        digests[name] = file_digest(path)
    return digests


def _make_plan(context: StageContext, media: _PreparedMedia, prepared_engine: PreparedEngine, folder: Path) -> Plan:
    engine, effective = context.engine, context.stage_input.effective
    portrait, sizes = media.portrait.portrait, media.portrait.sizes
    files = _planned_files(folder, media.lora_digests)
    video = VideoIdentity(
        render_input=media.render_input,
        portrait_digest=files[portrait.path.name].sha256,
        loudness=[recording.loudness for recording in media.timeline.recordings],
        engine_digest=engine.digest(media.render_input.values),
        encoding=_encoding(effective, sizes.delivered),
    )
    chunks = divide(effective, engine, media.render_input)
    return Plan(
        effective_digest=effective.digest,
        files=files,
        picture=portrait.path.name,
        tracks=tuple(_planned_track(track) for track in media.render_input.tracks),
        frames=media.render_input.frames,
        width=sizes.rendered.width,
        height=sizes.rendered.height,
        delivered_width=sizes.delivered.width,
        delivered_height=sizes.delivered.height,
        sound_seconds=float(media.timeline.seconds),
        engine_digest=video.engine_digest,
        chunks=with_keys(chunks, engine, video, folder / ENGINE_FOLDER),
        found={"input": media.portrait.found, "engine": dict(prepared_engine.details)},
        warnings=_warnings(effective, media, prepared_engine),
    )


def _planned_files(folder: Path, lora_digests: Mapping[str, str]) -> dict[str, PlannedFile]:
    """The files of the workspace by name: the prepared ones in a folder, and the LoRAs as they were fetched."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    digests = {name: file_digest(folder / name) for name in names if name != PLAN_NAME} | dict(lora_digests)
    return {name: PlannedFile(sha256=digests[name], used_by=used_by(name)) for name in sorted(digests)}


def _encoding(effective: Effective, delivered: Size) -> dict[str, object]:
    return {
        "width": delivered.width,
        "height": delivered.height,
        "fit": effective.fit.value,
        "settings": EncoderSettings().digest,
    }


def _planned_track(track: Track) -> PlannedTrack:
    mask = None if track.mask is None else track.mask.name
    return PlannedTrack(file=track.path.name, phonemes=track.phonemes, region=track.region, mask=mask)


def _warnings(effective: Effective, media: _PreparedMedia, engine: PreparedEngine) -> tuple[str, ...]:
    """What the user should know, most important first."""
    timeline = media.timeline
    warnings = [*engine.warnings, *media.portrait.warnings]
    warnings += [warning for recording in timeline.recordings for warning in recording.warnings]
    if timeline.seconds < timeline.whole:
        field = "render.mode Clip" if effective.mode is Mode.CLIP else "video.maxFrames"
        warnings.append(
            f"The video ends after {float(timeline.seconds):.2f} s of {float(timeline.whole):.2f} s because of {field}."
        )
    return tuple(warnings)
