"""What is finished of a video that this machine is making: the files of its chunks, as the run writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from talkingvideo_api.plan import PLAN_NAME, SOUND_NAME, Plan, segment_name
from talkingvideo_gateway.local.media import file_of
from talkingvideo_gateway.videos.backend import FinishedPart, FinishedParts
from talkingvideo_gateway.videos.object import VideoObject


@dataclass(frozen=True)
class LocalParts:
    """Implements `PartsOf`.

    Attributes:
        plans: Folder with a folder for each run, by uid of the video.
        workspace: Folder of finished chunks.
    """

    plans: Path
    workspace: Path

    async def __call__(self, video: VideoObject) -> FinishedParts | None:
        """See `PartsOf`."""
        return await asyncio.to_thread(self._read, video)

    def _read(self, video: VideoObject) -> FinishedParts | None:
        folder = self.plans / video.uid
        try:
            plan = Plan.model_validate_json((folder / PLAN_NAME).read_bytes())
            sound = file_of(folder / plan.stored_name(SOUND_NAME))
        except (OSError, ValidationError):
            return None
        return FinishedParts(plan.frames, sound, tuple(self._parts(plan, video.namespace)))

    def _parts(self, plan: Plan, namespace: str) -> Iterator[FinishedPart]:
        chunks = self.workspace / namespace / "chunks"
        for chunk in plan.chunks:
            start = chunk.start_frame
            for window, frames in enumerate(chunk.windows):
                path = chunks / segment_name(chunk.key, window)
                if path.is_file():
                    yield FinishedPart(start, frames, file_of(path))
                start += frames
