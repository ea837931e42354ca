"""The engine's three steps: hear and look (prepare), identify (digests), draw (render)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray

from talkingvideo_api.values import RenderValues
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import RenderInput, RenderStats, Window
from talkingvideo_worker.engines.pictures import pictures_from, still
from talkingvideo_worker.engines.preview import performance
from talkingvideo_worker.engines.preview.canvas import MovingCanvas, StillCanvas
from talkingvideo_worker.engines.preview.performance import Part
from talkingvideo_worker.engines.preview.rehearsal import rehearse
from talkingvideo_worker.faces import models_digest
from talkingvideo_worker.progress import ProgressCallback, ignore_progress
from talkingvideo_worker.units import Frame

LOOK = "2"
"""Raised whenever the code draws other pixels from the same inputs."""


class PreviewEngine:
    """Moves lips, lids and head of a portrait with the sound, on a CPU and without a model of speech.

    A frame is a function of the picture, the seed, its global number and what ``prepare`` made of the whole tracks;
    so it doesn't matter how the video is cut into chunks.
    """

    name = "preview"
    stateful = False

    def __init__(self) -> None:
        self._render_input: RenderInput | None = None
        self._parts: list[Part] = []

    def digest(self, values: RenderValues) -> str:  # noqa: ARG002 - no value changes the look
        """Identify the look of this code and the face models."""
        return hashlib.sha256(f"preview {LOOK} {models_digest()}".encode()).hexdigest()

    def prepare(self, render_input: RenderInput, folder: Path) -> dict[str, Any]:
        """Find the faces and settle how they move over the whole tracks; see ``rehearse`` for the report."""
        cv2.setNumThreads(1)
        return rehearse(render_input, folder)

    def chunk_digest(self, render_input: RenderInput, folder: Path, chunk: ChunkFrames) -> str:
        """Identify the few numbers per frame that this chunk is drawn from; the portrait is in every key anyway."""
        digest = hashlib.sha256()
        if render_input.portrait.is_video:
            digest.update(str(chunk.start).encode())
        for part in performance.load(folder):
            digest.update(part.digest(chunk.start, chunk.start + chunk.frames))
        return digest.hexdigest()

    def load(
        self,
        render_input: RenderInput,
        folder: Path,
        frames: int,  # noqa: ARG002
        note: ProgressCallback = ignore_progress,  # noqa: ARG002
    ) -> None:
        """Read what ``prepare`` wrote."""
        cv2.setNumThreads(1)
        self._render_input, self._parts = render_input, performance.load(folder)

    def render(
        self,
        chunk: ChunkFrames,
        first: int = 0,
        state: Mapping[str, NDArray[Any]] | None = None,  # noqa: ARG002
        note: ProgressCallback = ignore_progress,  # noqa: ARG002
    ) -> Iterator[Window]:
        """Draw the windows of a chunk from window ``first`` on. Windows leave no state: frames don't depend on others."""
        frames = self._frames(chunk.start + sum(chunk.windows[:first]))
        for index in range(first, len(chunk.windows)):
            yield Window(index, islice(frames, chunk.windows[index]))

    def stats(self) -> RenderStats:
        """Nothing: it has no model and no GPU."""
        return RenderStats()

    def _frames(self, start: int) -> Iterator[Frame]:
        """The video's frames from a global number on."""
        if self._render_input is None:
            raise RuntimeError("load() comes before render()")
        portrait = self._render_input.portrait
        if portrait.is_video:
            moving = MovingCanvas(portrait, self._parts)
            for number, picture in zip(count(start), pictures_from(portrait, start), strict=False):
                yield moving.frame(number, picture)
            return
        standing = StillCanvas(portrait, still(portrait.path), self._parts)
        for number in count(start):
            yield standing.frame(number)
