"""process: strangers' media become the workspace's files. No credentials, and no use of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from talkingvideo_api.effective import Effective
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import PLAN_NAME, Plan, PlannedChunk, PlannedFile, PlannedTrack
from talkingvideo_api.spec import Continuity, Mode
from talkingvideo_worker.chunking.plan import PlanSettings, chained_chunks, plan_chunks
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import Engine, PreparedEngine, RenderInput, Track
from talkingvideo_worker.files import file_digest
from talkingvideo_worker.media.encoder import EncoderSettings
from talkingvideo_worker.media.silence import SoundProfile, sound_profile
from talkingvideo_worker.media.soundtrack import encode_soundtrack
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.loras import lora_files
from talkingvideo_worker.stages.prepare.folders import prepared_folder, prepared_marker
from talkingvideo_worker.stages.prepare.keys import chunk_key
from talkingvideo_worker.stages.prepare.loras import take_loras
from talkingvideo_worker.stages.prepare.masks import write_masks
from talkingvideo_worker.stages.prepare.portrait import Prepared, prepare_portrait
from talkingvideo_worker.stages.prepare.speech import Timeline, build_timeline, write_tracks
from talkingvideo_worker.stages.workspace import ENGINE_FOLDER, SOUND_NAME

HALVES = ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0))
"""Where two speakers are when nobody says."""


def process(context: StageContext) -> None:
    """Make picture, tracks, sound and plan in the scratch folder, unless they were published before.

    Raises:
        StageError: E_INPUT_VALIDATION for what cannot be used, naming its field.
    """
    if prepared_marker(context.scratch).exists():
        return
    folder, working = prepared_folder(context.scratch), context.scratch / "working"
    for path in (folder / ENGINE_FOLDER, working):
        path.mkdir(parents=True, exist_ok=True)
    _say(context, 0.2, "Looking at the picture")
    portrait = prepare_portrait(context, folder)
    _say(context, 0.3, "Listening to the speech")
    timeline = build_timeline(context, working)
    masks = write_masks(context, portrait, folder)
    render_input = _render_input(context, portrait, timeline, write_tracks(timeline, folder), masks)
    loras = take_loras(context, folder)
    render_input = replace(render_input, loras=lora_files(context.stage_input, folder, loras))
    _say(context, 0.4, "Preparing the engine")
    engine = context.engine
    prepared = engine.prepare(render_input, folder / ENGINE_FOLDER)
    _say(context, 0.5, "Planning the chunks")
    chunks = _chunks(context, engine, render_input)
    engine_digest = engine.digest(render_input.values)
    _say(context, 0.6, "Encoding the sound")
    encode_soundtrack(
        timeline.recordings,
        folder / SOUND_NAME,
        context.stage_input.limits,
        target_lufs=context.stage_input.effective.loudness,
        seconds=timeline.seconds,
    )
    files = _planned_files(folder, loras)
    plan = Plan(
        effective_digest=context.stage_input.effective.digest,
        files=files,
        picture=portrait.portrait.path.name,
        tracks=tuple(_planned(track) for track in render_input.tracks),
        frames=render_input.frames,
        width=portrait.sizes.rendered.width,
        height=portrait.sizes.rendered.height,
        delivered_width=portrait.sizes.delivered.width,
        delivered_height=portrait.sizes.delivered.height,
        sound_seconds=float(timeline.seconds),
        engine_digest=engine_digest,
        chunks=_keyed(context, engine, engine_digest, render_input, chunks, files, portrait, timeline),
        found={"input": portrait.found, "engine": dict(prepared.details)},
        warnings=_warnings(context, portrait, timeline, prepared),
    )
    (folder / PLAN_NAME).write_text(plan.to_json(), encoding="utf-8")


def _say(context: StageContext, fraction: float, message: str) -> None:
    context.reporter.report(Stage.PREPARE, fraction, message)


def _render_input(
    context: StageContext,
    portrait: Prepared,
    timeline: Timeline,
    tracks: Sequence[Track],
    masks: Sequence[Path | None],
) -> RenderInput:
    speakers = context.stage_input.spec.speech.speakers
    placed = []
    for index, (speaker, track, mask) in enumerate(zip(speakers, tracks, masks, strict=True)):
        region = speaker.region
        if mask is not None:
            track = replace(track, mask=mask)
        elif region is not None:
            asked = (region.left, region.top, region.width, region.height)
            track = replace(track, region=portrait.region_in_picture(asked))
        elif len(speakers) > 1:
            track = replace(track, region=HALVES[index])
        placed.append(track)
    return RenderInput(portrait.portrait, tuple(placed), timeline.frames, context.stage_input.values)


def _planned(track: Track) -> PlannedTrack:
    mask = None if track.mask is None else track.mask.name
    return PlannedTrack(file=track.path.name, phonemes=track.phonemes, region=track.region, mask=mask)


def _chunks(context: StageContext, engine: Engine, render_input: RenderInput) -> Sequence[ChunkFrames]:
    """Divide the video; what windows leave to the next can only be handed on by an engine that leaves something."""
    effective = context.stage_input.effective
    settings = PlanSettings(effective.target_seconds, effective.window_frames, effective.motion_frames)
    if engine.stateful and effective.continuity is Continuity.CHAINED:
        return chained_chunks(render_input.frames, settings)
    return _independent_chunks(effective, render_input, settings)


def _independent_chunks(
    effective: Effective, render_input: RenderInput, settings: PlanSettings
) -> tuple[ChunkFrames, ...]:
    """Cut on whole frames, where no speaker speaks."""
    profiles = [
        sound_profile(track.path, effective.silence_threshold_db, effective.min_silence_seconds)
        for track in render_input.tracks
    ]
    together = _together(profiles)
    return plan_chunks(render_input.frames, together.silences, together.energy, settings)


def _together(profiles: Sequence[SoundProfile]) -> SoundProfile:
    """Silence is where every speaker is silent; loudness is the loudest one's."""
    if len(profiles) == 1:
        return profiles[0]
    first, second = profiles
    silences = [(max(a, c), min(b, d)) for a, b in first.silences for c, d in second.silences if max(a, c) < min(b, d)]
    return SoundProfile(silences=tuple(silences), energy=np.maximum(first.energy, second.energy))


def _keyed(
    context: StageContext,
    engine: Engine,
    engine_digest: str,
    render_input: RenderInput,
    chunks: Sequence[ChunkFrames],
    files: Mapping[str, PlannedFile],
    portrait: Prepared,
    timeline: Timeline,
) -> tuple[PlannedChunk, ...]:
    folder = prepared_folder(context.scratch) / ENGINE_FOLDER
    effective, delivered = context.stage_input.effective, portrait.sizes.delivered
    encoding = {
        "width": delivered.width,
        "height": delivered.height,
        "fit": effective.fit.value,
        "settings": EncoderSettings().digest,
    }
    keys: list[str] = []
    for chunk in chunks:
        key = chunk_key(
            render_input,
            chunk,
            portrait_digest=files[portrait.portrait.path.name].sha256,
            loudness=[recording.loudness for recording in timeline.recordings],
            engine_digest=engine_digest,
            prepared_digest=engine.chunk_digest(render_input, folder, chunk),
            predecessor=keys[-1] if chunk.overlap else None,
            encoding=encoding,
        )
        keys.append(key)
    return tuple(
        PlannedChunk(
            index=index,
            start_frame=chunk.start,
            windows=chunk.windows,
            first_window=chunk.first_window,
            overlap=chunk.overlap,
            key=key,
        )
        for index, (chunk, key) in enumerate(zip(chunks, keys, strict=True))
    )


def _planned_files(folder: Path, known: Mapping[str, str]) -> dict[str, PlannedFile]:
    """The prepared files by name.

    Args:
        folder: Where they are.
        known: sha256 of files that are too large to be read once more.
    """
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {
        name: PlannedFile(sha256=known.get(name) or file_digest(folder / name), used_by=_consumers(name))
        for name in names
        if name != PLAN_NAME
    }


def _consumers(name: str) -> tuple[Stage, ...]:
    """The delivered sound is for stitch; engines read all other files."""
    return (Stage.STITCH,) if name == SOUND_NAME else (Stage.RENDER,)


def _warnings(
    context: StageContext, portrait: Prepared, timeline: Timeline, prepared: PreparedEngine
) -> tuple[str, ...]:
    """What the user should know, most important first."""
    warnings = [*prepared.warnings, *portrait.warnings]
    warnings += [warning for recording in timeline.recordings for warning in recording.warnings]
    if timeline.seconds < timeline.whole:
        asking = "render.mode Clip" if context.stage_input.effective.mode is Mode.CLIP else "video.maxFrames"
        warnings.append(
            f"The video is cut at {float(timeline.seconds):.2f} s of {float(timeline.whole):.2f} s, as {asking} asks."
        )
    return tuple(warnings)
