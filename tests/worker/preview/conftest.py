from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from tests.worker.render_values import render_values

from talkingvideo_worker.engines.base import Portrait, RenderInput, Track
from talkingvideo_worker.faces import Picture
from talkingvideo_worker.units import SAMPLE_RATE, SAMPLES_PER_FRAME

WriteSound = Callable[[str, NDArray[np.floating]], Path]
MakeRenderInput = Callable[..., RenderInput]


@pytest.fixture
def write_sound(tmp_path: Path) -> WriteSound:
    """Write samples (-1..1) as a track, by a name."""

    def write(name: str, samples: NDArray[np.floating]) -> Path:
        path = tmp_path / f"{name}.wav"
        with wave.open(str(path), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(SAMPLE_RATE)
            sound.writeframes(np.clip(samples * 32767, -32768, 32767).astype("<i2").tobytes())
        return path

    return write


def babble(seconds: float, seed: int = 0) -> NDArray[np.float64]:
    """Sound with syllables, vowels and pauses as in speech: pulses through two resonances, at four syllables a second."""
    random = np.random.default_rng(seed)
    count = int(seconds * SAMPLE_RATE)
    times = np.arange(count) / SAMPLE_RATE
    pulses = (np.diff(np.floor(times * 120), prepend=0) > 0).astype(float)
    sound = np.zeros(count)
    for start in np.arange(0, seconds, 0.25):
        if random.uniform() < 0.15:
            continue
        first, second = random.uniform(300, 800), random.uniform(900, 2500)
        decay = np.arange(400) / SAMPLE_RATE
        ring = np.exp(-decay * 250) * (np.sin(2 * np.pi * first * decay) + 0.5 * np.sin(2 * np.pi * second * decay))
        part = slice(int(start * SAMPLE_RATE), min(count, int((start + 0.25) * SAMPLE_RATE)))
        voiced = np.convolve(pulses[part], ring)[: part.stop - part.start]
        sound[part] = voiced * np.hanning(part.stop - part.start)
    return np.asarray(sound / max(np.abs(sound).max(), 1e-9) * 0.6 + random.standard_normal(count) * 1e-4)


@pytest.fixture
def make_render_input(tmp_path: Path, write_sound: WriteSound) -> MakeRenderInput:
    """Make the render input of a picture and one sound per speaker."""

    def make(picture: Picture, *sounds: NDArray[np.floating], seed: int = 7) -> RenderInput:
        path = tmp_path / f"picture-{len(list(tmp_path.glob('picture-*')))}.png"
        cv2.imwrite(str(path), picture[..., ::-1])
        tracks = tuple(Track(write_sound(f"{path.stem}-{number}", sound)) for number, sound in enumerate(sounds))
        frames = max(1, int(len(sounds[0]) / SAMPLES_PER_FRAME + 0.5))
        return RenderInput(
            Portrait(path, False, picture.shape[1], picture.shape[0]), tracks, frames, render_values(seed=seed)
        )

    return make


@pytest.fixture(scope="session")
def portrait() -> Picture:
    """A face that fills a third of the picture."""
    head = np.asarray(skimage.data.astronaut(), np.uint8)[20:260, 105:345]  # type: ignore[no-untyped-call]
    return np.asarray(cv2.resize(head, (320, 320), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture(scope="session")
def landscape() -> Picture:
    """No face."""
    return np.asarray(cv2.resize(skimage.data.coffee(), (320, 240), interpolation=cv2.INTER_AREA), np.uint8)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def couple(portrait: Picture) -> Picture:
    """Two faces, side by side."""
    return np.hstack([portrait, portrait[:, ::-1]])
