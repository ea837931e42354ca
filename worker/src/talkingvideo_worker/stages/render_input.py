"""What an engine renders from, made of the plan and its files."""

from __future__ import annotations

from pathlib import Path

from talkingvideo_api.plan import Plan, PlannedChunk, PlannedTrack
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import Portrait, RenderInput, Track
from talkingvideo_worker.media.scaling import cropped_margins
from talkingvideo_worker.stages.loras import lora_files


def make_render_input(plan: Plan, stage_input: StageInput, folder: Path) -> RenderInput:
    """The render input of a plan whose files are in a folder."""
    rendered, delivered = (plan.width, plan.height), (plan.delivered_width, plan.delivered_height)
    cut = cropped_margins(rendered, delivered, stage_input.effective.fit)
    return RenderInput(
        portrait=Portrait(folder / plan.picture, plan.picture.endswith(".mp4"), plan.width, plan.height, cut),
        tracks=tuple(_track(track, folder) for track in plan.tracks),
        frames=plan.frames,
        values=stage_input.values,
        loras=lora_files(stage_input, folder, {name: file.sha256 for name, file in plan.files.items()}),
        gpus=stage_input.effective.gpus_per_chunk,
    )


def _track(track: PlannedTrack, folder: Path) -> Track:
    mask = None if track.mask is None else folder / track.mask
    return Track(folder / track.file, track.phonemes, track.region, mask)


def chunk_frames(chunk: PlannedChunk) -> ChunkFrames:
    """A planned chunk as engines read it."""
    return ChunkFrames(chunk.start_frame, chunk.windows, chunk.first_window, chunk.overlap)
