"""The interface between the stages and an engine.

An engine renders the frames of one chunk, window by window. The render stage encodes each window as a closed-GOP segment
and stores the state that the next window needs, so that a killed pod resumes at the window where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray
from pydantic import JsonValue

from talkingvideo_api.values import RenderValues
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.progress import ProgressCallback, ignore_progress
from talkingvideo_worker.units import Frame


@dataclass(frozen=True)
class Portrait:
    """The prepared ``spec.source``: a picture, or a video with constant 25 fps, in the rendered size.

    Attributes:
        path: ``picture.png`` or ``picture.mp4``.
        is_video: Whether ``path`` is a video. Frame f of the result is drawn over frame f of the video; after its end,
            over its last frame.
        width: Width in pixels.
        height: Height in pixels.
        cut: Pixels on each side (left and right, top and bottom) that the delivered video does not show.
    """

    path: Path
    is_video: bool
    width: int
    height: int
    cut: tuple[int, int] = (0, 0)

    @property
    def shown(self) -> tuple[slice, slice]:
        """Rows and columns of a frame that the delivered video shows: where overlays belong."""
        across, down = self.cut
        return slice(down, self.height - down), slice(across, self.width - across)


@dataclass(frozen=True)
class Track:
    """The speech of one speaker over the whole video.

    Attributes:
        path: 16 kHz mono 16-bit WAV of the whole video; engines read the part that they need, never the whole file.
        phonemes: Start in seconds and espeak-ng mnemonic of each phoneme, if the text is known.
        region: Rectangle of the speaker in fractions of the picture (x, y, width, height); None for the whole picture.
        mask: Replaces the region: a greyscale PNG of the rendered size, white where the speaker is.
    """

    path: Path
    phonemes: tuple[tuple[float, str], ...] = ()
    region: tuple[float, float, float, float] | None = None
    mask: Path | None = None


@dataclass(frozen=True)
class LoraFile:
    """A LoRA: a low-rank change of the model's weights.

    Attributes:
        label: Name on the weights volume, or the URI from which it was fetched, for messages.
        scale: Factor of the change.
        fetched: The fetched safetensors file; None for one on the weights volume.
        digest: sha256 of the fetched file.
        field: Path of the field of the spec that names it; None if a preset does.
    """

    label: str
    scale: float
    fetched: Path | None = None
    digest: str | None = None
    field: str | None = None


@dataclass(frozen=True)
class RenderInput:
    """What an engine renders from; the chunks of a video have it in common.

    Attributes:
        portrait: The picture or video.
        tracks: The speech of one or two speakers.
        frames: Frames of the whole video.
        values: Values of the spec, the preset and the profile; the seed is never -1.
        loras: LoRAs in the order in which they are applied.
        gpus: GPUs that render a chunk together; affects the pixels no more than the type of GPU does.
    """

    portrait: Portrait
    tracks: tuple[Track, ...]
    frames: int
    values: RenderValues
    loras: tuple[LoraFile, ...] = ()
    gpus: int = 1


@dataclass(frozen=True)
class Window:
    """A rendered window.

    Attributes:
        index: Index of the window in the chunk, from 0.
        frames: The window's new frames in order, RGB of the rendered size, computed lazily.
        state: Arrays that the next window needs, by name; valid once the last frame has been read. None if it needs none.
    """

    index: int
    frames: Iterator[Frame]
    state: Mapping[str, NDArray[Any]] | None = None


@dataclass(frozen=True)
class RenderStats:
    """How an engine rendered.

    Attributes:
        memory_mode: How the model was placed in GPU memory; None for engines without memory modes.
        peak_gpu_bytes: Peak memory of one GPU; None without a GPU.
        gpus: GPUs that rendered together; 0 without a GPU.
        seconds: Wall time by part, such as ``transformer`` or ``decode``.
        warnings: What the user should know, as sentences.
    """

    memory_mode: str | None = None
    peak_gpu_bytes: int | None = None
    gpus: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PreparedEngine:
    """The result of ``Engine.prepare``.

    Attributes:
        details: Written to the report under ``found.engine``, for the inspection of a result. May repeat the warnings.
        warnings: What the user should know, as sentences. They are part of the status of the video.
    """

    details: Mapping[str, JsonValue] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Engine(Protocol):
    """The interface of an engine.

    ``prepare`` is called once per video, on a CPU without the model; ``load`` once per render process; then ``render`` for
    its chunk. Errors are ``talkingvideo_api.errors.StageError``.
    """

    name: str

    stateful: bool
    """Whether a window needs the state that the previous window returned."""

    def digest(self, values: RenderValues) -> str:
        """Identify code and weights: engines with the same digest render the same pixels."""
        ...

    def prepare(self, render_input: RenderInput, folder: Path) -> PreparedEngine:
        """Analyse the tracks and the portrait, and write what ``render`` needs into ``folder``."""
        ...

    def chunk_digest(self, render_input: RenderInput, folder: Path, chunk: ChunkFrames) -> str:
        """Identify the part of what ``prepare`` wrote that determines the pixels of this chunk."""
        ...

    def load(
        self, render_input: RenderInput, folder: Path, frames: int, progress: ProgressCallback = ignore_progress
    ) -> None:
        """Load the model. A second call with the same input costs nothing.

        Args:
            render_input: The video.
            folder: Folder of the files that ``prepare`` wrote.
            frames: Approximate number of frames to render: some preparations pay off for long chunks only.
            progress: Called for each part of the model.
        """
        ...

    def render(
        self,
        chunk: ChunkFrames,
        first: int = 0,
        state: Mapping[str, NDArray[Any]] | None = None,
        progress: ProgressCallback = ignore_progress,
    ) -> Iterator[Window]:
        """Render the windows of a chunk, lazily.

        Args:
            chunk: The chunk's frames and windows.
            first: Index of the first window to render.
            state: State that window ``first - 1`` returned; for the first window of a chained chunk, the final state of the
                previous chunk.
            progress: Called at each step with the finished fraction of the chunk.
        """
        ...

    def stats(self) -> RenderStats:
        """How the engine has rendered since ``load``."""
        ...
