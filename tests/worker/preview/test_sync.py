"""The lips of an encoded video follow its sound: measured as a viewer would see it."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.worker.preview.conftest import MakeRenderInput
from tests.worker.preview.sync_score import sync_score

from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import RenderInput
from talkingvideo_worker.engines.preview import PreviewEngine
from talkingvideo_worker.faces import Picture
from talkingvideo_worker.speech import SynthesizedSpeech, synthesize
from talkingvideo_worker.units import SAMPLE_RATE

TEXT = (
    "Hello, and welcome. Give me one picture of a face and one voice, and I will make them speak. People move their lips, "
    "blink, and sway a little, while the moon is blue and five big fish jump over the brown boat. That is all, my friends."
)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[SynthesizedSpeech, NDArray[np.float64]]:
    path = tmp_path_factory.mktemp("speech") / "voice.wav"
    speech = synthesize(TEXT, "en-us", path)
    with wave.open(str(path)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 32768
    times = np.arange(int(speech.duration * SAMPLE_RATE)) / SAMPLE_RATE
    return speech, np.interp(times, np.arange(len(samples)) / speech.sample_rate, samples)


def noisy(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """With 12 dB less of low noise, and half of it three times quieter."""
    noise = np.cumsum(np.random.default_rng(1).standard_normal(len(samples)))
    noise -= np.convolve(noise, np.ones(400) / 400, "same")
    quieter = np.where(np.arange(len(samples)) < len(samples) // 2, 1.0, 0.3)
    return np.asarray((samples + noise * samples.std() / noise.std() * 10 ** (-12 / 20)) * quieter * 0.8)


def filmed(render_input: RenderInput, folder: Path) -> Path:
    engine = PreviewEngine()
    engine.prepare(render_input, folder)
    engine.load(render_input, folder, render_input.frames)
    path = folder / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = (
            render_input.portrait.width,
            render_input.portrait.height,
            "yuv420p",
        )
        for window in engine.render(ChunkFrames(0, (render_input.frames,))):
            for frame in window.frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def check(film: Path, sound: Path) -> None:
    score = sync_score(film, sound)
    assert score.frames > 300
    assert score.missing == 0
    assert score.r >= 0.6
    assert abs(score.best_lag) <= 1
    assert score.null < 0.2


@pytest.mark.media
@pytest.mark.parametrize("by", ["sound", "phonemes", "noisy sound"])
def test_lips_follow_the_voice(
    by: str,
    spoken: tuple[SynthesizedSpeech, NDArray[np.float64]],
    portrait: Picture,
    make_render_input: MakeRenderInput,
    tmp_path: Path,
) -> None:
    speech, samples = spoken
    render_input = make_render_input(portrait, noisy(samples) if by == "noisy sound" else samples)
    if by == "phonemes":
        render_input = replace(render_input, tracks=(replace(render_input.tracks[0], phonemes=speech.phonemes),))
    check(filmed(render_input, tmp_path / "engine"), render_input.tracks[0].path)


@pytest.mark.media
def test_the_score_notices_a_late_sound(
    spoken: tuple[SynthesizedSpeech, NDArray[np.float64]],
    portrait: Picture,
    make_render_input: MakeRenderInput,
    tmp_path: Path,
) -> None:
    """The measure itself: sound that is six frames late is found to be so."""
    small = np.asarray(cv2.resize(portrait, (240, 240), interpolation=cv2.INTER_AREA), np.uint8)
    render_input = make_render_input(small, spoken[1])
    film = filmed(render_input, tmp_path / "engine")
    late = make_render_input(small, np.concatenate([np.zeros(6 * 640), spoken[1]])).tracks[0].path
    assert sync_score(film, late).best_lag == pytest.approx(-6, abs=1)
