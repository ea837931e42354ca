"""The engine as the stages use it: ``prepare`` encodes the audio, digests identify the result, ``render`` makes windows.

Its networks come from an object that is passed in, so that the same engine runs the published weights and tiny ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor
from transformers import Wav2Vec2Model

from talkingvideo_api.values import RenderValues
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import LoraFile, Portrait, PreparedEngine, RenderInput, RenderStats, Window
from talkingvideo_worker.engines.infinitetalk.conditioning.audio import (
    CONTEXT,
    Features,
    Tracks,
    feature_spans,
    read_features,
    write_features,
)
from talkingvideo_worker.engines.infinitetalk.conditioning.image import to_tensor
from talkingvideo_worker.engines.infinitetalk.conditioning.regions import regions_of, regions_without_tokens
from talkingvideo_worker.engines.infinitetalk.memory.machine import peak_gpu_bytes, reset_peak
from talkingvideo_worker.engines.infinitetalk.memory.oom import OomFallback
from talkingvideo_worker.engines.infinitetalk.pipeline import (
    Encoders,
    Material,
    WindowSpan,
    render_windows,
    window_spans,
)
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Denoiser, WindowNoise, denoise
from talkingvideo_worker.engines.infinitetalk.settings import settings_for
from talkingvideo_worker.engines.infinitetalk.timing import Stopwatch, TimedCodec
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.pictures import portrait_frames
from talkingvideo_worker.media.wav import read_samples
from talkingvideo_worker.progress import ProgressCallback, ignore_progress
from talkingvideo_worker.units import SAMPLES_PER_FRAME, Frame

CODE_VERSION = "2"
"""Increased whenever the code makes different pixels from the same inputs."""

State = Mapping[str, NDArray[Any]]

MOTION = "motion"
"""Name of the latents that a window leaves to the next."""


@dataclass(frozen=True)
class Networks:
    """All networks of a render.

    Attributes:
        transformer: The model.
        encoders: The networks around it.
        denoiser: Computes latents with the transformer: alone, or together with other GPUs.
        warnings: For the user.
    """

    transformer: AudioWanTransformer3DModel
    encoders: Encoders
    denoiser: Denoiser = denoise
    warnings: tuple[str, ...] = ()


class Weights(Protocol):
    """Where networks come from."""

    def digest(self, values: RenderValues) -> str:
        """Identify the weights that these values choose."""
        ...

    def speech_model(self) -> Wav2Vec2Model:
        """The model that encodes audio, in evaluation mode."""
        ...

    def require(self) -> None:
        """Check that all files exist, by names and headers.

        Raises:
            StageError: E_PIPELINE_LOAD with the list of problems.
        """
        ...

    def check_loras(self, loras: Sequence[LoraFile]) -> list[str]:
        """Check by their headers that LoRAs fit the model.

        Returns:
            Warnings about the parts of them that are left out.

        Raises:
            StageError: E_PIPELINE_LOAD for one that does not fit; E_INPUT_VALIDATION for a name without a file.
        """
        ...

    def networks(self, render_input: RenderInput, frames: int, progress: ProgressCallback) -> OomFallback[Networks]:
        """The networks for a video: with the adapter for its number of speakers, and its LoRAs. Not loaded yet.

        Args:
            render_input: The video.
            frames: About how many will be rendered: setting up faster kernels pays for long chunks only.
            progress: Called for each part that is loaded.
        """
        ...


class InfiniteTalkEngine:
    """Renders with Wan 2.1 and InfiniteTalk's adapter.

    Args:
        weights: Where networks come from.
    """

    name = "infinitetalk"
    stateful = True

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._render_input: RenderInput | None = None
        self._networks: OomFallback[Networks] | None = None
        self._tracks: tuple[Features, ...] = ()
        self._seconds: dict[str, float] = {}

    def digest(self, values: RenderValues) -> str:
        """Identify this code and the weights."""
        return hashlib.sha256(f"{self.name} {CODE_VERSION} {self._weights.digest(values)}".encode()).hexdigest()

    def prepare(self, render_input: RenderInput, folder: Path) -> PreparedEngine:
        """Encode every track, and the silence after it into which the last window may reach.

        Returns:
            Details: ``features``, the number of features of each track, and ``warnings`` if there are any.
        """
        self._weights.require()
        warnings = [*self._weights.check_loras(render_input.loras), *regions_without_tokens(render_input)]
        folder.mkdir(parents=True, exist_ok=True)
        model = self._weights.speech_model()
        frames = render_input.frames + settings_for(render_input).window + CONTEXT
        for index, track in enumerate(render_input.tracks):
            sound = read_samples(track.path, 0, render_input.frames * SAMPLES_PER_FRAME)
            silence = (frames - render_input.frames) * SAMPLES_PER_FRAME
            spans = feature_spans(model, sound, frames, silence=silence)
            write_features(folder, index, spans, frames)
        details: dict[str, JsonValue] = {"features": frames}
        if warnings:
            details["warnings"] = list(warnings)
        return PreparedEngine(details, tuple(warnings))

    def chunk_digest(self, render_input: RenderInput, folder: Path, chunk: ChunkFrames) -> str:
        """Identify the features of the chunk's windows; everything else is part of every key anyway."""
        digest = hashlib.sha256()
        spans = _spans(render_input, chunk)
        first, end = spans[0].start - CONTEXT, spans[-1].start + settings_for(render_input).window + CONTEXT
        for track in read_features(render_input, folder):
            digest.update(np.ascontiguousarray(track[max(0, first) : end]).tobytes())
        return digest.hexdigest()

    def load(
        self, render_input: RenderInput, folder: Path, frames: int, progress: ProgressCallback = ignore_progress
    ) -> None:
        """Load the networks, unless those of this video are loaded; the features are read window by window."""
        reset_peak()
        if render_input != self._render_input:
            self._networks = None
            self._weights.require()
            self._networks = self._weights.networks(render_input, frames, progress)
        self._render_input, self._tracks, self._seconds = render_input, read_features(render_input, folder), {}
        self._loaded().load()

    def stats(self) -> RenderStats:
        """How it has rendered since ``load``."""
        if self._render_input is None or self._networks is None:
            return RenderStats()
        networks = self._networks.load()
        device = networks.transformer.scale_shift_table.device
        return RenderStats(
            memory_mode=str(self._networks.mode),
            peak_gpu_bytes=peak_gpu_bytes(device),
            gpus=self._render_input.gpus if device.type == "cuda" else 0,
            seconds=self._seconds,
            warnings=(*self._networks.warnings, *networks.warnings),
        )

    def _loaded(self) -> OomFallback[Networks]:
        if self._networks is None:
            raise RuntimeError("load() comes before render()")
        return self._networks

    def render(
        self,
        chunk: ChunkFrames,
        first: int = 0,
        state: Mapping[str, NDArray[Any]] | None = None,
        progress: ProgressCallback = ignore_progress,
    ) -> Iterator[Window]:
        """Render the windows from ``first`` on, with the latents that the previous window left.

        When the GPU's memory runs out, the same window is rendered again in a leaner memory mode, once.
        """

        def windows(networks: Networks, first: int, state: State | None) -> Iterator[Window]:
            return self._windows(networks, chunk, first, state, progress)

        yield from self._loaded().render(windows, lambda window: window.state, first, state)

    def _windows(
        self, networks: Networks, chunk: ChunkFrames, first: int, state: State | None, progress: ProgressCallback
    ) -> Iterator[Window]:
        render_input = self._render_input
        if render_input is None:
            raise RuntimeError("load() comes before render()")
        settings = settings_for(render_input)
        motion = None if state is None else torch.from_numpy(np.asarray(state[MOTION]))
        stopwatch = Stopwatch(networks.transformer.scale_shift_table.device)
        rendered = render_windows(
            networks.transformer,
            replace(networks.encoders, video=TimedCodec(networks.encoders.video, stopwatch)),
            settings,
            Material(
                reference_frames(render_input.portrait),
                Tracks(self._tracks),
                WindowNoise(render_input.values.seed),
                regions_of(render_input),
            ),
            _spans(render_input, chunk)[first:],
            motion,
            _step_progress(chunk, len(settings.timesteps) - 1, progress),
            stopwatch.timed("denoise", networks.denoiser),
        )
        for window in rendered:
            self._add_times(stopwatch)
            index = window.span.index - chunk.first_window
            yield Window(index, _pictures(window.frames), {MOTION: window.motion.cpu().numpy()})
            del window  # frees its memory for the next one

    def _add_times(self, stopwatch: Stopwatch) -> None:
        for part, seconds in stopwatch.seconds.items():
            self._seconds[part] = self._seconds.get(part, 0.0) + seconds
        stopwatch.seconds.clear()


def reference_frames(portrait: Portrait) -> Callable[[int], Tensor]:
    """From a frame's number to the picture it is rendered from, (3, height, width) in -1..1; a still is always one tensor."""

    @cache
    def still() -> Tensor:
        return to_tensor(next(portrait_frames(portrait, 0)))

    def moving(frame: int) -> Tensor:
        return to_tensor(next(portrait_frames(portrait, frame)))

    return moving if portrait.is_video else lambda _frame: still()


def _spans(render_input: RenderInput, chunk: ChunkFrames) -> tuple[WindowSpan, ...]:
    motion = settings_for(render_input).motion
    return window_spans(chunk.start, chunk.windows, chunk.first_window, motion, chunk.overlap)


def _step_progress(chunk: ChunkFrames, steps: int, progress: ProgressCallback) -> Callable[[int, int], None]:
    """Reports progress of a chunk, given a window's number in the video and a step's number."""

    def report(window: int, step: int) -> None:
        index = window - chunk.first_window
        done = sum(chunk.windows[:index]) + chunk.windows[index] * step / (steps + 1)
        progress(done / chunk.frames, f"Window {index + 1} of {len(chunk.windows)}, step {step} of {steps}")

    return report


def _pictures(frames: Tensor) -> Iterator[Frame]:
    """Frames (3, n, height, width) in -1..1 as pictures, one at a time."""
    for frame in frames.unbind(1):
        levels = ((frame + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        yield levels.permute(1, 2, 0).contiguous().cpu().numpy()
