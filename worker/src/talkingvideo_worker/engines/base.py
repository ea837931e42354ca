"""What the render stage asks of an engine.

An engine makes the frames of one chunk, window by window. The stage encodes each window into a closed-GOP segment and
keeps the state that the next one needs, so that a killed pod goes on at the window where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from talkingvideo_api.values import RenderValues
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.progress import ProgressCallback, ignore_progress
from talkingvideo_worker.units import Frame


@dataclass(frozen=True)
class Portrait:
    """What prepare made of ``source``: a picture of the rendered size, or a constant 25 fps video of it.

    Attributes:
        path: ``picture.png`` or ``picture.mp4``.
        is_video: Whether ``path`` is a video. Frame f of the result is drawn over its frame f; the last one holds.
        width: Pixels.
        height: Pixels.
        cut: Pixels (left and right, above and below) that the delivered video will not show.
    """

    path: Path
    is_video: bool
    width: int
    height: int
    cut: tuple[int, int] = (0, 0)

    @property
    def shown(self) -> tuple[slice, slice]:
        """Rows and columns of a frame that viewers will see: where marks belong."""
        across, down = self.cut
        return slice(down, self.height - down), slice(across, self.width - across)


@dataclass(frozen=True)
class Track:
    """The sound of one speaker, over the whole video.

    Attributes:
        path: 16 kHz mono 16-bit WAV of the whole video; read the part you need, never all of it.
        phonemes: Spoken sounds with their start in seconds, where the text is known (espeak-ng mnemonics).
        region: The speaker's place as fractions of the picture (x, y, width, height), or None for all of it.
        mask: Instead of a region: a grey PNG of the rendered size, white where the speaker is.
    """

    path: Path
    phonemes: tuple[tuple[float, str], ...] = ()
    region: tuple[float, float, float, float] | None = None
    mask: Path | None = None


@dataclass(frozen=True)
class LoraFile:
    """A low-rank change of the model's weights.

    Attributes:
        label: Its name beside the engine's weights, or where it was fetched from, as messages show it.
        scale: How much of it is applied.
        fetched: Its safetensors file; None for one beside the engine's weights.
        digest: sha256 of a fetched file.
        field: Path of the spec's field that named it; None for a preset's.
    """

    label: str
    scale: float
    fetched: Path | None = None
    digest: str | None = None
    field: str | None = None


@dataclass(frozen=True)
class RenderInput:
    """All that is common to the chunks of one video.

    Attributes:
        portrait: The picture or video.
        tracks: One or two speakers.
        frames: Frames of the whole video.
        values: What to render by; its seed is never -1.
        loras: In the order in which they are applied.
        gpus: That render a chunk together; the pixels depend on it no more than on the kind of GPU.
    """

    portrait: Portrait
    tracks: tuple[Track, ...]
    frames: int
    values: RenderValues
    loras: tuple[LoraFile, ...] = ()
    gpus: int = 1


@dataclass(frozen=True)
class Window:
    """One window's result.

    Attributes:
        index: Its place in the chunk, from 0.
        frames: Its new frames in order, RGB of the rendered size; made as they are asked for.
        state: What the next window needs, by name; asked for after the last frame was taken. None if nothing.
    """

    index: int
    frames: Iterator[Frame]
    state: Mapping[str, NDArray[Any]] | None = None


@dataclass(frozen=True)
class RenderStats:
    """How an engine rendered.

    Attributes:
        memory_mode: How the model was laid out in the GPU's memory; None for engines without one.
        peak_gpu_bytes: The most that it took of one GPU; None without a GPU.
        gpus: GPUs that rendered together; 0 without one.
        seconds: Wall time by part, such as ``transformer`` or ``decode``.
        warnings: What the user should know.
    """

    memory_mode: str | None = None
    peak_gpu_bytes: int | None = None
    gpus: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Engine(Protocol):
    """The interface of an engine.

    Life of one: ``prepare`` once per video on a CPU without the model; ``load`` once per render process; ``render`` for
    its chunk. Errors are ``talkingvideo_api.errors.StageError``.
    """

    name: str

    stateful: bool
    """Whether a window needs the state that the one before it left."""

    def digest(self, values: RenderValues) -> str:
        """Identify code and weights: two engines with one digest make the same pixels."""
        ...

    def prepare(self, render_input: RenderInput, folder: Path) -> dict[str, Any]:
        """Do what belongs to the whole track: write what ``render`` will need into ``folder``.

        Returns:
            What was found, for the report: JSON values, and ``warnings`` (a list of sentences) where there are any.
        """
        ...

    def chunk_digest(self, render_input: RenderInput, folder: Path, chunk: ChunkFrames) -> str:
        """Identify what ``prepare`` wrote as far as it determines the pixels of this chunk."""
        ...

    def load(
        self, render_input: RenderInput, folder: Path, frames: int, note: ProgressCallback = ignore_progress
    ) -> None:
        """Get ready to render; a second time for the same scene costs nothing.

        Args:
            render_input: The scene.
            folder: What ``prepare`` wrote.
            frames: About how many will be rendered: some preparations pay for long chunks only.
            note: Told of each part of the model.
        """
        ...

    def render(
        self,
        chunk: ChunkFrames,
        first: int = 0,
        state: Mapping[str, NDArray[Any]] | None = None,
        note: ProgressCallback = ignore_progress,
    ) -> Iterator[Window]:
        """Make the windows of a chunk, from window ``first`` on, with the state that window ``first - 1`` left.

        ``note`` is told of each step, with the part of the chunk that is done.
        """
        ...

    def stats(self) -> RenderStats:
        """How it has rendered since ``load``."""
        ...
