"""The simulated GPU instead of a real one, and videos to render on it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from PIL import Image
from tests.worker.infinitetalk.devices.refusals import attention_without_a_matrix, without_kernel
from tests.worker.infinitetalk.devices.simulated import SimulatedGpu
from tests.worker.render_values import render_values, sampling_values

from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import LoraFile, Portrait, RenderInput, Track
from talkingvideo_worker.engines.infinitetalk.conditioning.audio import write_features
from talkingvideo_worker.engines.infinitetalk.engine import InfiniteTalkEngine, State
from talkingvideo_worker.engines.infinitetalk.loader import WeightsFolder
from talkingvideo_worker.engines.infinitetalk.weights import transformer
from talkingvideo_worker.media.wav import WavWriter
from talkingvideo_worker.units import SAMPLES_PER_FRAME, Frame

WINDOW, MOTION = 5, 1
FRAMES = 9
WHOLE = ChunkFrames(0, (5, 4))


@pytest.fixture(scope="package", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Collections, of which loading networks makes some, need not look at all that was there before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextmanager
def simulated_gpu() -> Iterator[SimulatedGpu]:
    """Torch has a GPU, in the threads that read weights too. Afterwards, all that has run on it had a kernel."""
    simulated = SimulatedGpu()
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in simulated.stand_ins().items():
            patch.setattr(torch.cuda, name, stand_in)
        patch.setattr(F, "scaled_dot_product_attention", attention_without_a_matrix)
        patch.setattr(transformer, "ThreadPoolExecutor", partial(ThreadPoolExecutor, initializer=simulated.__enter__))
        patch.setattr(torch.backends.cudnn, "enabled", False)  # whose operations no CPU has
        # A parameter of another device is another object, for it is of another class here.
        patch.setattr(torch.__future__, "_overwrite_module_params_on_conversion", True)
        with simulated:
            yield simulated
    assert not without_kernel(simulated.operations)


@contextmanager
def one_thread_only() -> Iterator[None]:
    """As every test of the engine calculates; for what several of them share."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def gpu() -> Iterator[SimulatedGpu]:
    with simulated_gpu() as simulated:
        yield simulated


@dataclass(frozen=True)
class Stage:
    """The engine with tiny weights, and a folder for what it is given.

    Attributes:
        weights: The folder of weights.
        folder: For everything else.
    """

    weights: Path
    folder: Path

    def render_input(
        self,
        *tracks: Track,
        portrait: Portrait | None = None,
        loras: tuple[LoraFile, ...] = (),
        **sampling: Any,
    ) -> RenderInput:
        """The input for a video of ``FRAMES`` frames: one speaker and a still unless others are given."""
        values = render_values(
            window_frames=WINDOW, motion_frames=MOTION, sampling=sampling_values(**{"steps": 1} | sampling)
        )
        speakers = tracks or (self.track(0),)
        return RenderInput(portrait or self.picture(32, 32), speakers, FRAMES, values, loras)

    def picture(self, height: int, width: int) -> Portrait:
        """A portrait that stays."""
        path = self.folder / f"picture-{height}x{width}.png"
        Image.fromarray(self._pixels(height, width)).save(path)
        return Portrait(path, False, width, height)

    def film(self, height: int, width: int) -> Portrait:
        """A portrait that moves."""
        path = self.folder / "picture.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for number in range(FRAMES):
                moved = np.ascontiguousarray(np.roll(self._pixels(height, width), number, 1))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
            container.mux(stream.encode())
        return Portrait(path, True, width, height)

    def track(self, number: int, **place: Any) -> Track:
        """A speaker's sound."""
        path = self.folder / f"sound-{number}.wav"
        with WavWriter(path, 16_000) as wav:
            noise = np.random.default_rng(number).integers(-9000, 9000, FRAMES * SAMPLES_PER_FRAME)
            wav.write(noise.astype(np.int16))
        return Track(path, **place)

    def prepared(self, render_input: RenderInput) -> Path:
        """A folder with features, as ``prepare`` writes them."""
        folder = self.folder / "engine"
        folder.mkdir(exist_ok=True)
        for number in range(len(render_input.tracks)):
            features = torch.randn(FRAMES + WINDOW + 2, 12, 768, generator=torch.Generator().manual_seed(number))
            write_features(folder, number, iter([features]), len(features))
        return folder

    def loaded(self, render_input: RenderInput) -> InfiniteTalkEngine:
        """The engine, ready to render."""
        engine = InfiniteTalkEngine(WeightsFolder(self.weights))
        engine.load(render_input, self.prepared(render_input), render_input.frames)
        return engine

    @staticmethod
    def _pixels(height: int, width: int) -> Frame:
        return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


Drawn = list[tuple[list[Frame], State | None]]


def drawn(engine: InfiniteTalkEngine, chunk: ChunkFrames = WHOLE, first: int = 0, state: State | None = None) -> Drawn:
    """Each window's pictures and what it leaves to the next."""
    return [(list(window.frames), window.state) for window in engine.render(chunk, first, state)]


def pictures(windows: Drawn) -> Any:
    """Of all windows: (frames, height, width, 3)."""
    return np.stack([frame for frames, _ in windows for frame in frames])


@pytest.fixture
def stage(tiny_weights: Path, tmp_path: Path) -> Stage:
    return Stage(tiny_weights, tmp_path)
