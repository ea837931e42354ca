"""The preview engine's implementation of the protocol: prepare, digests, and render."""

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
from talkingvideo_worker.engines.base import PreparedEngine, RenderInput, RenderStats, Window
from talkingvideo_worker.engines.pictures import load_picture, portrait_frames
from talkingvideo_worker.engines.preview.motion import SpeakerMotion, load_motion
from talkingvideo_worker.engines.preview.prepare import prepare
from talkingvideo_worker.engines.preview.renderer import StillRenderer, VideoRenderer
from talkingvideo_worker.faces import models_digest
from talkingvideo_worker.progress import ProgressCallback, ignore_progress
from talkingvideo_worker.units import Frame

CODE_VERSION = "2"
"""Raised whenever the code draws different pixels from the same inputs."""


class PreviewEngine:
    """Moves lips, lids and head of a portrait with the sound, on a CPU and without a model of speech.

    A frame is a function of the picture, the seed, its global number and what ``prepare`` made of the whole tracks, so it
    does not matter how the video is divided into chunks.
    """

    name = "preview"
    stateful = False

    def __init__(self) -> None:
        self._render_input: RenderInput | None = None
        self._speakers: list[SpeakerMotion] = []

    def digest(self, values: RenderValues) -> str:  # noqa: ARG002 - no value changes a pixel
        """Identify the version of this code and the face models."""
        return hashlib.sha256(f"preview {CODE_VERSION} {models_digest()}".encode()).hexdigest()

    def prepare(self, render_input: RenderInput, folder: Path) -> PreparedEngine:
        """Find the faces and decide how they move over the whole tracks; see ``prepare.prepare`` for the details."""
        cv2.setNumThreads(1)
        return prepare(render_input, folder)

    def chunk_digest(self, render_input: RenderInput, folder: Path, chunk: ChunkFrames) -> str:
        """Identify the few numbers per frame that this chunk is drawn from; the portrait is in every key already."""
        digest = hashlib.sha256()
        if render_input.portrait.is_video:
            digest.update(str(chunk.start).encode())
        for motion in load_motion(folder):
            digest.update(motion.digest(chunk.start, chunk.start + chunk.frames))
        return digest.hexdigest()

    def load(
        self,
        render_input: RenderInput,
        folder: Path,
        frames: int,  # noqa: ARG002
        progress: ProgressCallback = ignore_progress,  # noqa: ARG002
    ) -> None:
        """Read what ``prepare`` wrote."""
        cv2.setNumThreads(1)
        self._render_input, self._speakers = render_input, load_motion(folder)

    def render(
        self,
        chunk: ChunkFrames,
        first: int = 0,
        state: Mapping[str, NDArray[Any]] | None = None,  # noqa: ARG002
        progress: ProgressCallback = ignore_progress,  # noqa: ARG002
    ) -> Iterator[Window]:
        """Draw the windows of a chunk, from window ``first`` on.

        Windows leave no state: no frame depends on another.
        """
        frames = self._frames(chunk.start + sum(chunk.windows[:first]))
        for index in range(first, len(chunk.windows)):
            yield Window(index, islice(frames, chunk.windows[index]))

    def stats(self) -> RenderStats:
        """Empty: the engine has no model and uses no GPU."""
        return RenderStats()

    def _frames(self, start: int) -> Iterator[Frame]:
        """The video's frames, from global number ``start`` on."""
        if self._render_input is None:
            raise RuntimeError("load() comes before render()")
        portrait = self._render_input.portrait
        if portrait.is_video:
            video = VideoRenderer(portrait, self._speakers)
            for number, picture in zip(count(start), portrait_frames(portrait, start), strict=False):
                yield video.frame(number, picture)
            return
        still = StillRenderer(portrait, load_picture(portrait.path), self._speakers)
        for number in count(start):
            yield still.frame(number)
