"""The engine's steps: hear (prepare), identify (digests), render.

Where networks come from is given to it, so that the same engine runs the published weights and tiny ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor

from talkingvideo_api.values import RenderValues
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import PreparedEngine, RenderInput, RenderStats, Window
from talkingvideo_worker.engines.infinitetalk.conditioning.hearing import REACH, Features, Tracks
from talkingvideo_worker.engines.infinitetalk.conditioning.speech_features import feature_spans
from talkingvideo_worker.engines.infinitetalk.loop import Material, render_windows
from talkingvideo_worker.engines.infinitetalk.material import (
    read_features,
    reference_of,
    regions_of,
    speakers_without_place,
    write_features,
)
from talkingvideo_worker.engines.infinitetalk.memory.machine import peak_gpu_bytes, restart_peak
from talkingvideo_worker.engines.infinitetalk.memory.retry import LeanerOnce
from talkingvideo_worker.engines.infinitetalk.networks import Networks, Weights
from talkingvideo_worker.engines.infinitetalk.sampling.noise import WindowNoise
from talkingvideo_worker.engines.infinitetalk.settings import settings_of
from talkingvideo_worker.engines.infinitetalk.spans import WindowSpan, window_spans
from talkingvideo_worker.engines.infinitetalk.timing import Stopwatch, TimedCodec
from talkingvideo_worker.media.wav import count_samples, read_samples
from talkingvideo_worker.progress import ProgressCallback, ignore_progress
from talkingvideo_worker.units import SAMPLES_PER_FRAME, Frame

CODE_VERSION = "2"
"""Raised whenever the code makes other pixels from the same inputs."""

State = Mapping[str, NDArray[Any]]

MOTION = "motion"
"""Name of the latents that a window leaves to the next."""


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
        self._networks: LeanerOnce[Networks] | None = None
        self._tracks: tuple[Features, ...] = ()
        self._seconds: dict[str, float] = {}

    def digest(self, values: RenderValues) -> str:
        """Identify this code and the weights."""
        return hashlib.sha256(f"{self.name} {CODE_VERSION} {self._weights.digest(values)}".encode()).hexdigest()

    def prepare(self, render_input: RenderInput, folder: Path) -> PreparedEngine:
        """Hear every track, and the silence behind it into which the last window may reach.

        Returns:
            Details: ``features``, how many each track has, and ``warnings`` if there are any.
        """
        self._weights.require()
        warnings = [*self._weights.check_loras(render_input.loras), *speakers_without_place(render_input)]
        folder.mkdir(parents=True, exist_ok=True)
        model = self._weights.speech_model()
        frames = render_input.frames + render_input.values.window_frames + REACH
        for index, track in enumerate(render_input.tracks):
            samples = read_samples(track.path, 0, count_samples(track.path))
            heard = np.zeros(render_input.frames * SAMPLES_PER_FRAME, np.int16)
            heard[: len(samples)] = samples[: len(heard)]
            silence = (frames - render_input.frames) * SAMPLES_PER_FRAME
            spans = feature_spans(model, heard, frames, silence=silence)
            write_features(folder, index, spans, frames)
        details: dict[str, JsonValue] = {"features": frames}
        if warnings:
            details["warnings"] = list(warnings)
        return PreparedEngine(details, tuple(warnings))

    def chunk_digest(self, render_input: RenderInput, folder: Path, chunk: ChunkFrames) -> str:
        """Identify the features that the chunk's windows hear; the rest is in every key anyway."""
        digest = hashlib.sha256()
        spans = _spans(render_input, chunk)
        first, end = spans[0].start - REACH, spans[-1].start + render_input.values.window_frames + REACH
        for track in read_features(render_input, folder):
            digest.update(np.ascontiguousarray(track[max(0, first) : end]).tobytes())
        return digest.hexdigest()

    def load(
        self, render_input: RenderInput, folder: Path, frames: int, progress: ProgressCallback = ignore_progress
    ) -> None:
        """Load the networks, unless they are for this scene; what ``prepare`` wrote is read window by window."""
        restart_peak()
        if render_input != self._render_input:
            self._networks = None
            self._weights.require()
            self._networks = self._weights.networks(render_input, frames, progress)
        self._render_input, self._tracks, self._seconds = render_input, read_features(render_input, folder), {}
        self._loaded().load()

    def stats(self) -> RenderStats:
        """How it has rendered since it was loaded."""
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

    def _loaded(self) -> LeanerOnce[Networks]:
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
        """Render the windows from ``first`` on, with the latents that the one before it left.

        Where the GPU's memory runs out, the same window is rendered again by leaner networks, once.
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
        settings = settings_of(render_input.values, render_input.portrait.width * render_input.portrait.height)
        motion = None if state is None else torch.from_numpy(np.asarray(state[MOTION]))
        stopwatch = Stopwatch(networks.transformer.scale_shift_table.device)
        rendered = render_windows(
            networks.transformer,
            replace(networks.encoders, video=TimedCodec(networks.encoders.video, stopwatch)),
            settings,
            Material(
                reference_of(render_input.portrait),
                Tracks(self._tracks),
                WindowNoise(render_input.values.seed),
                regions_of(render_input),
            ),
            _spans(render_input, chunk)[first:],
            motion,
            _steps_of(chunk, len(settings.timesteps) - 1, progress),
            stopwatch.timed("denoise", networks.denoiser),
        )
        for window in rendered:
            self._take_times(stopwatch)
            index = window.span.index - chunk.first_window
            yield Window(index, _pictures(window.frames), {MOTION: window.motion.cpu().numpy()})
            del window  # its memory is the next one's

    def _take_times(self, stopwatch: Stopwatch) -> None:
        for part, seconds in stopwatch.seconds.items():
            self._seconds[part] = self._seconds.get(part, 0.0) + seconds
        stopwatch.seconds.clear()


def _spans(render_input: RenderInput, chunk: ChunkFrames) -> tuple[WindowSpan, ...]:
    motion = render_input.values.motion_frames
    return window_spans(chunk.start, chunk.windows, chunk.first_window, motion, chunk.overlap)


def _steps_of(chunk: ChunkFrames, steps: int, progress: ProgressCallback) -> Callable[[int, int], None]:
    """From a window's number in the video and a step's to the part of the chunk that is done, and words for it."""

    def stepped(window: int, step: int) -> None:
        index = window - chunk.first_window
        done = sum(chunk.windows[:index]) + chunk.windows[index] * step / (steps + 1)
        progress(done / chunk.frames, f"Window {index + 1} of {len(chunk.windows)}, step {step} of {steps}")

    return stepped


def _pictures(frames: Tensor) -> Iterator[Frame]:
    """(3, n, height, width) in -1..1 to pictures, one at a time."""
    for frame in frames.unbind(1):
        levels = ((frame + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        yield levels.permute(1, 2, 0).contiguous().cpu().numpy()
