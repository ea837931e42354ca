"""The engine as the stages use it, with tiny networks."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.worker.infinitetalk.conftest import TinyStage
from tests.worker.render_values import render_values, sampling_values
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2Model

from talkingvideo_api.spec import Preset
from talkingvideo_api.values import RenderValues, Sampling
from talkingvideo_worker.chunking.plan import PlanSettings, chained_chunks
from talkingvideo_worker.chunking.windows import ChunkFrames, window_lengths
from talkingvideo_worker.engines.base import Engine, LoraFile, Portrait, PreparedEngine, RenderInput, Track
from talkingvideo_worker.engines.infinitetalk.engine import InfiniteTalkEngine, Networks
from talkingvideo_worker.engines.infinitetalk.memory.modes import MemoryMode
from talkingvideo_worker.engines.infinitetalk.memory.oom import OomFallback
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Denoiser, denoise
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Projection
from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import PROJECTION_480, PROJECTION_720, StepCache
from talkingvideo_worker.engines.infinitetalk.settings import NEGATIVE_PROMPT, settings_of
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.media.wav import WavWriter
from talkingvideo_worker.progress import ProgressCallback
from talkingvideo_worker.units import SAMPLES_PER_FRAME, Frame

VALUES = render_values(window_frames=9, motion_frames=5, sampling=sampling_values())


class TinyWeights:
    def __init__(self, transformer: AudioWanTransformer3DModel) -> None:
        self._transformer = transformer

    def digest(self, values: RenderValues) -> str:
        return "tiny"

    def speech_model(self) -> Wav2Vec2Model:
        torch.manual_seed(2)
        config = Wav2Vec2Config(
            hidden_size=4,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=4,
            conv_dim=[4] * 7,
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=1,
        )
        return Wav2Vec2Model(config).eval()

    def require(self) -> None:
        pass

    def check_loras(self, loras: Sequence[LoraFile]) -> list[str]:
        return [lora.label for lora in loras]

    def networks(self, render_input: RenderInput, frames: int, progress: ProgressCallback) -> OomFallback[Networks]:
        return OomFallback(lambda _mode: self._networks(render_input), MemoryMode(), lambda _mode: None, lambda: None)

    def _networks(self, render_input: RenderInput) -> Networks:
        return Networks(self._transformer, TinyStage(render_input.frames).encoders)


MakeInput = Callable[..., RenderInput]
RICH, LEAN = MemoryMode(), MemoryMode(resident=0)


@pytest.fixture
def make_input(tmp_path: Path) -> MakeInput:
    def make(frames: int = 25, speakers: int = 1, seed: int = 1) -> RenderInput:
        rng = np.random.default_rng(seed)
        picture = tmp_path / f"picture-{seed}.png"
        Image.fromarray(rng.integers(0, 256, (32, 48, 3), np.uint8)).save(picture)
        tracks = []
        for speaker in range(speakers):
            path = tmp_path / f"sound-{seed}-{speaker}.wav"
            with WavWriter(path, 16_000) as wav:
                wav.write(rng.integers(-9000, 9000, frames * SAMPLES_PER_FRAME).astype(np.int16))
            tracks.append(Track(path))
        return RenderInput(Portrait(picture, False, 48, 32), tuple(tracks), frames, VALUES)

    return make


@pytest.fixture
def engine(tiny_transformer: AudioWanTransformer3DModel) -> InfiniteTalkEngine:
    return InfiniteTalkEngine(TinyWeights(tiny_transformer))


def whole(frames: int) -> ChunkFrames:
    return ChunkFrames(0, window_lengths(frames, 9, 5))


def drawn(engine: InfiniteTalkEngine, chunk: ChunkFrames, first: int = 0, state: Any = None) -> list[list[Frame]]:
    return [list(window.frames) for window in engine.render(chunk, first, state)]


def same(some: list[list[Frame]], others: list[list[Frame]]) -> bool:
    flat, others_flat = ([frame for window in windows for frame in window] for windows in (some, others))
    return len(flat) == len(others_flat) and all((a == b).all() for a, b in zip(flat, others_flat, strict=True))


@pytest.mark.parametrize("speakers", [1, 2])
@pytest.mark.parametrize("frames", [1, 5, 9, 10, 25])
def test_a_video_is_rendered_with_exactly_its_frames(
    engine: Engine, make_input: MakeInput, tmp_path: Path, frames: int, speakers: int
) -> None:
    render_input = make_input(frames, speakers)
    engine.prepare(render_input, tmp_path / "engine")
    engine.load(render_input, tmp_path / "engine", render_input.frames)
    chunk = whole(frames)
    windows = [(window.index, list(window.frames)) for window in engine.render(chunk)]
    assert [index for index, _ in windows] == list(range(len(chunk.windows)))
    assert [len(pictures) for _, pictures in windows] == list(chunk.windows)
    assert {(picture.shape, picture.dtype.name) for _, pictures in windows for picture in pictures} == {
        ((32, 48, 3), "uint8")
    }


def test_a_killed_chunk_resumes_at_any_window(
    engine: InfiniteTalkEngine, make_input: MakeInput, tmp_path: Path
) -> None:
    render_input, chunk = make_input(25), whole(25)
    engine.prepare(render_input, tmp_path / "engine")
    engine.load(render_input, tmp_path / "engine", render_input.frames)
    windows = [(list(window.frames), window.state) for window in engine.render(chunk)]
    uninterrupted = [frames for frames, _ in windows]
    for first in range(1, len(windows)):
        assert same(drawn(engine, chunk, first, windows[first - 1][1]), uninterrupted[first:])


@pytest.mark.parametrize("seconds", [0.2, 0.4, 0.6])
def test_chained_chunks_equal_one_run(
    engine: InfiniteTalkEngine, make_input: MakeInput, tmp_path: Path, seconds: float
) -> None:
    render_input = make_input(30)
    engine.prepare(render_input, tmp_path / "engine")
    engine.load(render_input, tmp_path / "engine", render_input.frames)
    chunks = chained_chunks(30, PlanSettings(seconds, 9, 5))
    assert len(chunks) == round(30 / 25 / seconds)
    state, frames = None, []
    for chunk in chunks:
        for window in engine.render(chunk, 0, state):
            frames.append(list(window.frames))
            state = window.state
    assert same(frames, drawn(engine, whole(30)))


def test_a_chained_chunks_audio_starts_with_its_first_window(
    engine: InfiniteTalkEngine, make_input: MakeInput, tmp_path: Path
) -> None:
    render_input, folder = make_input(25), tmp_path / "engine"
    engine.prepare(render_input, folder)
    chained, alone = ChunkFrames(13, (4,), 2, overlap=5), ChunkFrames(13, (4,), 2)
    before, without = (
        engine.chunk_digest(render_input, folder, chained),
        engine.chunk_digest(render_input, folder, alone),
    )
    features = np.load(folder / "features-0.npy")
    features[13 - 5 - 2] += 1
    np.save(folder / "features-0.npy", features)
    assert engine.chunk_digest(render_input, folder, chained) != before
    assert engine.chunk_digest(render_input, folder, alone) == without


def test_a_chunk_is_identified_by_its_features(
    engine: InfiniteTalkEngine, make_input: MakeInput, tmp_path: Path
) -> None:
    render_input, chunk = make_input(25), ChunkFrames(0, (9,))
    folder = tmp_path / "engine"
    engine.prepare(render_input, folder)
    digest = engine.chunk_digest(render_input, folder, chunk)
    assert engine.chunk_digest(render_input, folder, chunk) == digest
    assert engine.chunk_digest(render_input, folder, ChunkFrames(9, (9,))) != digest
    engine.prepare(make_input(25, seed=2), folder)
    assert engine.chunk_digest(render_input, folder, chunk) != digest


def test_there_are_features_for_the_whole_last_window(
    engine: InfiniteTalkEngine, make_input: MakeInput, tmp_path: Path
) -> None:
    assert engine.prepare(make_input(25), tmp_path / "engine") == PreparedEngine({"features": 25 + 9 + 2})
    assert np.load(tmp_path / "engine" / "features-0.npy").shape == (36, 1, 4)


class FullOnce(TinyWeights):
    """Weights on a GPU whose memory runs out in the second window of the first mode."""

    def __init__(self, transformer: AudioWanTransformer3DModel) -> None:
        super().__init__(transformer)
        self.modes: list[MemoryMode] = []

    def networks(self, render_input: RenderInput, frames: int, progress: ProgressCallback) -> OomFallback[Networks]:
        return OomFallback(lambda mode: self._in(mode, render_input), RICH, lambda mode: LEAN, lambda: None)

    def _in(self, mode: MemoryMode, render_input: RenderInput) -> Networks:
        self.modes.append(mode)
        networks = self._networks(render_input)
        return replace(networks, denoiser=_full_at_the_second(denoise)) if mode == RICH else networks


def _full_at_the_second(denoiser: Denoiser) -> Denoiser:
    calls = iter(range(9))

    def denoise_once(*arguments: Any) -> Tensor:
        if next(calls):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return denoiser(*arguments)

    return denoise_once


def test_a_window_that_does_not_fit_is_rendered_in_a_leaner_mode_with_a_warning(
    tiny_transformer: AudioWanTransformer3DModel, make_input: MakeInput, tmp_path: Path
) -> None:
    render_input, chunk = make_input(25), whole(25)
    weights = FullOnce(tiny_transformer)
    engine, plenty = InfiniteTalkEngine(weights), InfiniteTalkEngine(TinyWeights(tiny_transformer))
    for one in (engine, plenty):
        one.prepare(render_input, tmp_path / "engine")
        one.load(render_input, tmp_path / "engine", render_input.frames)
    assert same(drawn(engine, chunk), drawn(plenty, chunk))
    assert weights.modes == [RICH, LEAN]
    stats = engine.stats()
    assert stats.memory_mode == str(LEAN)
    assert "memory did not suffice" in stats.warnings[0]
    assert set(stats.seconds) == {"encode", "denoise", "decode"}


def test_a_second_chunk_of_a_video_is_rendered_without_loading_again(
    tiny_transformer: AudioWanTransformer3DModel, make_input: MakeInput, tmp_path: Path
) -> None:
    render_input, weights = make_input(25), FullOnce(tiny_transformer)
    engine = InfiniteTalkEngine(weights)
    engine.prepare(render_input, tmp_path / "engine")
    for _ in range(2):
        engine.load(render_input, tmp_path / "engine", render_input.frames)
    assert weights.modes == [RICH]


def test_a_region_without_tokens_is_reported(engine: InfiniteTalkEngine, make_input: MakeInput, tmp_path: Path) -> None:
    render_input = make_input(9, speakers=2)
    tiny = replace(render_input.tracks[1], region=(0.9, 0.4, 0.02, 0.02))
    prepared = engine.prepare(replace(render_input, tracks=(render_input.tracks[0], tiny)), tmp_path / "engine")
    (warning,) = prepared.warnings
    assert prepared.details["warnings"] == [warning]
    assert "speakers[1]" in warning
    prepared = engine.prepare(render_input, tmp_path / "engine")
    assert prepared.warnings == ()
    assert "warnings" not in prepared.details


def test_rendering_needs_loading(engine: InfiniteTalkEngine) -> None:
    with pytest.raises(RuntimeError, match="load"):
        next(engine.render(whole(9)))


def test_settings_are_the_effective_values() -> None:
    chosen = Sampling(
        preset=Preset.TURBO,
        steps=4,
        text_guidance=5.0,
        audio_guidance=4.0,
        shift=5.0,
        color_correction=0.5,
        tea_cache_threshold=0.3,
        apg_momentum=-0.5,
        apg_norm_threshold=40.0,
    )
    values = VALUES.model_copy(update={"sampling": chosen})
    settings = settings_of(values, 640 * 640)
    assert settings.timesteps == pytest.approx((1000, 937.5, 833.333, 625, 0), abs=1e-3)
    assert (settings.guidance.text, settings.guidance.audio) == (5, 4)
    assert settings.guidance.projection == Projection(-0.5, 40)
    assert settings.step_cache == StepCache(0.3, PROJECTION_480)
    assert settings_of(values, 960 * 960).step_cache == StepCache(0.3, PROJECTION_720)
    assert (settings.window, settings.motion, settings.colour_correction) == (9, 5, 0.5)


def test_absent_values_are_the_published_ones() -> None:
    settings = settings_of(VALUES, 640 * 640)
    usual = (Path(__file__).parent / "parity" / "default_negative_prompt.txt").read_text().strip()
    assert settings.negative_prompt == NEGATIVE_PROMPT == usual
    assert settings.step_cache is None
    assert settings.guidance.projection is None


def test_an_empty_negative_prompt_is_not_the_usual_one() -> None:
    assert settings_of(VALUES.model_copy(update={"negative_prompt": ""}), 640 * 640).negative_prompt == ""


def test_a_masks_speaker_is_where_the_mask_is_white(
    engine: InfiniteTalkEngine, make_input: MakeInput, tmp_path: Path
) -> None:
    """A mask over the left half is the region of the left half; another mask is another video."""
    render_input, left = make_input(9, 2), np.zeros((32, 48), np.uint8)
    left[:, :24] = 255
    Image.fromarray(left).save(tmp_path / "left.png")
    Image.fromarray(left[:, ::-1]).save(tmp_path / "right.png")
    second = replace(render_input.tracks[1], region=(0.5, 0.0, 0.5, 1.0))
    places = ({"region": (0.0, 0.0, 0.5, 1.0)}, {"mask": tmp_path / "left.png"}, {"mask": tmp_path / "right.png"})
    videos = []
    for place in places:
        placed = replace(render_input, tracks=(replace(render_input.tracks[0], **place), second))
        engine.prepare(placed, tmp_path)
        engine.load(placed, tmp_path, placed.frames)
        videos.append(drawn(engine, whole(9)))
    assert same(videos[0], videos[1])
    assert not same(videos[1], videos[2])


def test_no_frames_are_on_the_gpu_while_the_next_window_is_rendered(
    engine: InfiniteTalkEngine, make_input: MakeInput, tmp_path: Path
) -> None:
    render_input, chunk, alive = make_input(25), whole(25), []
    engine.prepare(render_input, tmp_path / "engine")
    engine.load(render_input, tmp_path / "engine", render_input.frames)
    before = _videos(render_input)

    def count(_fraction: float, _message: str) -> None:
        alive.append(_videos(render_input))

    for window in engine.render(chunk, progress=count):
        assert len(list(window.frames)) == chunk.windows[window.index]
    assert alive == [before] * 2 * len(chunk.windows)


def _videos(render_input: RenderInput) -> int:
    """Existing tensors that hold frames of a video."""
    size = render_input.portrait.height, render_input.portrait.width
    tensors = [one for one in gc.get_objects() if type(one) is Tensor]
    return sum(one.ndim == 4 and one.shape[0] == 3 and one.shape[2:] == size for one in tensors)
