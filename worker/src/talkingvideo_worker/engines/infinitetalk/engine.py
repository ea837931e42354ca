"""The engine's steps: hear (prepare), identify (digests), render.

Where networks come from is given to it, so that the same engine runs the published weights and tiny ones.
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
from torch import Tensor
from transformers import Wav2Vec2Model

from talkingvideo_worker.engines.base import (
    SAMPLES_PER_FRAME,
    ChunkFrames,
    Facts,
    Frame,
    LoraFile,
    Note,
    Portrait,
    Scene,
    Track,
    Window,
    unheard,
)
from talkingvideo_worker.engines.infinitetalk.conditioning.hearing import REACH, Features, Tracks
from talkingvideo_worker.engines.infinitetalk.conditioning.pictures import (
    Box,
    Mask,
    box_mask,
    halves,
    latent_masks,
    to_tensor,
    with_background,
)
from talkingvideo_worker.engines.infinitetalk.conditioning.speech_features import feature_spans
from talkingvideo_worker.engines.infinitetalk.loop import Denoiser, Encoders, Material, render_windows
from talkingvideo_worker.engines.infinitetalk.memory.machine import peak_gpu_bytes
from talkingvideo_worker.engines.infinitetalk.memory.retry import LeanerOnce
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import denoise
from talkingvideo_worker.engines.infinitetalk.sampling.noise import WindowNoise
from talkingvideo_worker.engines.infinitetalk.settings import settings_of
from talkingvideo_worker.engines.infinitetalk.spans import WindowSpan, window_spans
from talkingvideo_worker.engines.infinitetalk.timing import Stopwatch, TimedCodec
from talkingvideo_worker.engines.pictures import mask_of, pictures_from
from talkingvideo_worker.media.wav import count_samples, read_samples

LOOK = "1"
"""Raised whenever the code makes other pixels from the same inputs."""

State = Mapping[str, NDArray[Any]]

MOTION = "motion"
"""Name of the latents that a window leaves to the next."""


@dataclass(frozen=True)
class Networks:
    """What renders.

    Attributes:
        transformer: The model.
        encoders: The networks around it.
        denoiser: What the transformer makes latents with: alone, or with other GPUs.
        warnings: What the user should know of them.
    """

    transformer: AudioWanTransformer3DModel
    encoders: Encoders
    denoiser: Denoiser = denoise
    warnings: tuple[str, ...] = ()


class Weights(Protocol):
    """Where networks come from."""

    def digest(self, parameters: Mapping[str, Any]) -> str:
        """Identify the weights that these parameters choose."""
        ...

    def speech_model(self) -> Wav2Vec2Model:
        """The model that hears, in evaluation mode."""
        ...

    def require(self) -> None:
        """Look whether everything is there, by names and headers.

        Raises:
            StageError: E_PIPELINE_LOAD with the list of what is not.
        """
        ...

    def check_loras(self, loras: Sequence[LoraFile]) -> list[str]:
        """Look whether LoRAs fit the model, by headers.

        Returns:
            Sentences about what of them is left out.

        Raises:
            StageError: E_PIPELINE_LOAD for one that does not fit; E_INPUT_VALIDATION for a name that leads to none.
        """
        ...

    def networks(self, scene: Scene, frames: int, note: Note) -> LeanerOnce[Networks]:
        """The networks that render a scene: the adapter for its number of speakers, LoRAs. Not loaded yet.

        Args:
            scene: The scene.
            frames: About how many will be rendered: setting up faster kernels pays for long chunks only.
            note: Told of each part that is loaded.
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
        self._scene: Scene | None = None
        self._networks: LeanerOnce[Networks] | None = None
        self._tracks: tuple[Features, ...] = ()
        self._seconds: dict[str, float] = {}

    def digest(self, parameters: Mapping[str, Any]) -> str:
        """Identify this code and the weights."""
        return hashlib.sha256(f"{self.name} {LOOK} {self._weights.digest(parameters)}".encode()).hexdigest()

    def prepare(self, scene: Scene, folder: Path) -> dict[str, Any]:
        """Hear every track, and the silence behind it into which the last window may reach.

        Returns:
            ``features``: how many each track has.
        """
        self._weights.require()
        left_out = self._weights.check_loras(scene.loras)
        folder.mkdir(parents=True, exist_ok=True)
        model = self._weights.speech_model()
        frames = scene.frames + scene.parameters["windowFrames"] + REACH
        for index, track in enumerate(scene.tracks):
            samples = read_samples(track.path, 0, count_samples(track.path))
            heard = np.zeros(frames * SAMPLES_PER_FRAME, np.int16)
            heard[: len(samples)] = samples[: len(heard)]
            _write_features(folder / _features_file(index), feature_spans(model, heard, frames), frames)
        return {"features": frames} | ({"warnings": left_out} if left_out else {})

    def chunk_digest(self, scene: Scene, folder: Path, chunk: ChunkFrames) -> str:
        """Identify the features that the chunk's windows hear; the rest is in every key anyway."""
        digest = hashlib.sha256()
        spans = _spans(scene, chunk)
        first, end = spans[0].start - REACH, spans[-1].start + scene.parameters["windowFrames"] + REACH
        for track in _read_features(scene, folder):
            digest.update(np.ascontiguousarray(track[max(0, first) : end]).tobytes())
        return digest.hexdigest()

    def load(self, scene: Scene, folder: Path, frames: int, note: Note = unheard) -> None:
        """Load the networks, unless they are for this scene; what ``prepare`` wrote is read window by window."""
        if scene != self._scene:
            self._networks = None
            self._weights.require()
            self._networks = self._weights.networks(scene, frames, note)
        self._scene, self._tracks, self._seconds = scene, _read_features(scene, folder), {}
        self._loaded().load()

    def facts(self) -> Facts:
        """How it has rendered since it was loaded."""
        if self._scene is None or self._networks is None:
            return Facts()
        networks = self._networks.load()
        device = networks.transformer.scale_shift_table.device
        return Facts(
            memory_mode=str(self._networks.mode),
            peak_gpu_bytes=peak_gpu_bytes(device),
            gpus=self._scene.gpus if device.type == "cuda" else 0,
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
        note: Note = unheard,
    ) -> Iterator[Window]:
        """Render the windows from ``first`` on, with the latents that the one before it left.

        Where the GPU's memory runs out, the same window is rendered again by leaner networks, once.
        """

        def windows(networks: Networks, first: int, state: State | None) -> Iterator[Window]:
            return self._windows(networks, chunk, first, state, note)

        yield from self._loaded().render(windows, lambda window: window.state, first, state)

    def _windows(
        self, networks: Networks, chunk: ChunkFrames, first: int, state: State | None, note: Note
    ) -> Iterator[Window]:
        scene = self._scene
        if scene is None:
            raise RuntimeError("load() comes before render()")
        settings = settings_of(scene.parameters, scene.portrait.width * scene.portrait.height)
        motion = None if state is None else torch.from_numpy(np.asarray(state[MOTION]))
        stopwatch = Stopwatch(networks.transformer.scale_shift_table.device)
        rendered = render_windows(
            networks.transformer,
            replace(networks.encoders, video=TimedCodec(networks.encoders.video, stopwatch)),
            settings,
            Material(_reference(scene.portrait), Tracks(self._tracks), WindowNoise(scene.seed), _regions(scene)),
            _spans(scene, chunk)[first:],
            motion,
            _steps_of(chunk, len(settings.timesteps) - 1, note),
            stopwatch.timed("denoise", networks.denoiser),
        )
        for index, window in enumerate(rendered, first):
            self._take_times(stopwatch)
            yield Window(index, _pictures(window.frames), {MOTION: window.motion.cpu().numpy()})

    def _take_times(self, stopwatch: Stopwatch) -> None:
        for part, seconds in stopwatch.seconds.items():
            self._seconds[part] = self._seconds.get(part, 0.0) + seconds
        stopwatch.seconds.clear()


def _spans(scene: Scene, chunk: ChunkFrames) -> tuple[WindowSpan, ...]:
    motion = scene.parameters["motionFrames"]
    return window_spans(chunk.start, chunk.windows, chunk.first_window, motion, chunk.lead)


def _steps_of(chunk: ChunkFrames, steps: int, note: Note) -> Callable[[int, int], None]:
    """From a window's number in the video and a step's to the part of the chunk that is done, and words for it."""

    def stepped(window: int, step: int) -> None:
        index = window - chunk.first_window
        done = sum(chunk.windows[:index]) + chunk.windows[index] * step / (steps + 1)
        note(done / chunk.frames, f"Window {index + 1} of {len(chunk.windows)}, step {step} of {steps}")

    return stepped


def _reference(portrait: Portrait) -> Callable[[int], Tensor]:
    """The picture under a frame; one that stays is always the same tensor."""

    @cache
    def still() -> Tensor:
        return to_tensor(next(pictures_from(portrait, 0)))

    def moving(frame: int) -> Tensor:
        return to_tensor(next(pictures_from(portrait, frame)))

    return moving if portrait.is_video else lambda _frame: still()


def _regions(scene: Scene) -> Tensor | None:
    """Masks of two speakers, at the latents' size."""
    if len(scene.tracks) == 1:
        return None
    height, width = scene.portrait.height, scene.portrait.width
    first, second = (
        _place(track, usual, height, width) for track, usual in zip(scene.tracks, halves(height, width), strict=True)
    )
    return latent_masks(with_background(first, second))


def _place(track: Track, usual: Box, height: int, width: int) -> Mask:
    """Where a speaker is: (height, width)."""
    if track.mask is not None:
        return mask_of(track.mask)
    if track.region is None:
        return box_mask(usual, height, width)
    x, y, columns, rows = track.region
    box = round(y * height), round(x * width), round((y + rows) * height), round((x + columns) * width)
    return box_mask(box, height, width)


def _pictures(frames: Tensor) -> Iterator[Frame]:
    """(3, n, height, width) in -1..1 to pictures, one at a time."""
    for frame in frames.unbind(1):
        levels = ((frame + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        yield levels.permute(1, 2, 0).contiguous().cpu().numpy()


def _features_file(track: int) -> str:
    return f"features-{track}.npy"


def _write_features(path: Path, spans: Iterator[Tensor], frames: int) -> None:
    """Write features as they come, in half precision, which is finer than what the model calculates in."""
    first = next(spans)
    out = np.lib.format.open_memmap(path, "w+", np.float16, (frames, *first.shape[1:]))
    out[: len(first)], written = first.numpy(), len(first)
    for span in spans:
        out[written : written + len(span)] = span.numpy()
        written += len(span)
    out.flush()


def _read_features(scene: Scene, folder: Path) -> tuple[Features, ...]:
    return tuple(np.load(folder / _features_file(index), mmap_mode="r") for index in range(len(scene.tracks)))
