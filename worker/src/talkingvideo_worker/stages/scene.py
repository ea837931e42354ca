"""From the plan and its files to what an engine sees."""

from __future__ import annotations

from pathlib import Path

from talkingvideo_api.order import Order
from talkingvideo_api.plan import Plan, PlannedChunk, PlannedTrack
from talkingvideo_worker.delivery import cut_by_delivery
from talkingvideo_worker.engines.base import ChunkFrames, Portrait, Scene, Track
from talkingvideo_worker.stages.loras import lora_files
from talkingvideo_worker.stages.workspace import SOUND_NAME


def scene_of(plan: Plan, order: Order, folder: Path) -> Scene:
    """The scene of a plan whose files lie in a folder."""
    rendered, delivered = (plan.width, plan.height), (plan.delivered_width, plan.delivered_height)
    cut = cut_by_delivery(rendered, delivered, order.effective.fit)
    return Scene(
        portrait=Portrait(folder / plan.picture, plan.picture.endswith(".mp4"), plan.width, plan.height, cut),
        tracks=tuple(_track(track, folder) for track in plan.tracks),
        frames=plan.frames,
        seed=order.effective.seed,
        parameters=order.effective.render_parameters(),
        loras=lora_files(order, folder, plan.files),
        gpus=order.effective.gpus_per_chunk,
    )


def _track(track: PlannedTrack, folder: Path) -> Track:
    mask = None if track.mask is None else folder / track.mask
    return Track(folder / track.file, track.phonemes, track.region, mask)


def chunk_frames(chunk: PlannedChunk) -> ChunkFrames:
    """A planned chunk as engines see it."""
    return ChunkFrames(chunk.start_frame, chunk.windows, chunk.first_window, chunk.lead)


def files_to_render(plan: Plan) -> list[str]:
    """Names of the files that a render pod needs."""
    return [name for name in plan.files if name != SOUND_NAME]
