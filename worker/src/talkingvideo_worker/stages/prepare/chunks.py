"""Divides a video into chunks and gives each its key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from talkingvideo_api.effective import Effective
from talkingvideo_api.plan import PlannedChunk
from talkingvideo_api.spec import Continuity
from talkingvideo_worker.chunking.plan import PlanSettings, chained_chunks, plan_chunks
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import Engine, RenderInput
from talkingvideo_worker.media.silence import SoundProfile, sound_profile
from talkingvideo_worker.stages.prepare.keys import VideoIdentity, chunk_key


def divide(effective: Effective, engine: Engine, render_input: RenderInput) -> Sequence[ChunkFrames]:
    """Divide a video. Chunks are chained only for engines whose windows leave a state from which a chunk can continue."""
    settings = PlanSettings(effective.target_seconds, effective.window_frames, effective.motion_frames)
    if engine.stateful and effective.continuity is Continuity.CHAINED:
        return chained_chunks(render_input.frames, settings)
    return _independent_chunks(effective, render_input, settings)


def _independent_chunks(
    effective: Effective, render_input: RenderInput, settings: PlanSettings
) -> tuple[ChunkFrames, ...]:
    """Cut on whole frames, where no speaker speaks."""
    profile = speech_profile(effective, [track.path for track in render_input.tracks])
    return plan_chunks(render_input.frames, profile.silences, profile.energy, settings)


def speech_profile(effective: Effective, tracks: Sequence[Path]) -> SoundProfile:
    """Measure the speakers' tracks together: what a video is cut by."""
    return _combine(
        [sound_profile(path, effective.silence_threshold_db, effective.min_silence_seconds) for path in tracks]
    )


def _combine(profiles: Sequence[SoundProfile]) -> SoundProfile:
    """Silence is where every speaker is silent; the energy is the loudest speaker's."""
    if len(profiles) == 1:
        return profiles[0]
    first, second = profiles
    silences = [(max(a, c), min(b, d)) for a, b in first.silences for c, d in second.silences if max(a, c) < min(b, d)]
    return SoundProfile(silences=tuple(silences), energy=np.maximum(first.energy, second.energy))


def with_keys(
    chunks: Sequence[ChunkFrames], engine: Engine, video: VideoIdentity, engine_folder: Path
) -> tuple[PlannedChunk, ...]:
    """The chunks with their keys.

    Args:
        chunks: The chunks of the video.
        engine: The engine.
        video: What the keys have in common.
        engine_folder: Where the engine's ``prepare`` wrote.
    """
    planned: list[PlannedChunk] = []
    for index, chunk in enumerate(chunks):
        predecessor = planned[-1].key if chunk.overlap else None
        prepared_digest = engine.chunk_digest(video.render_input, engine_folder, chunk)
        planned.append(
            PlannedChunk(
                index=index,
                start_frame=chunk.start,
                windows=chunk.windows,
                first_window=chunk.first_window,
                overlap=chunk.overlap,
                key=chunk_key(video, chunk, prepared_digest, predecessor),
            )
        )
    return tuple(planned)
