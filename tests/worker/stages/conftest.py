"""A portrait, a voice and an order, small enough to render in a second or two."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from talkingvideo_api.order import Order
from talkingvideo_api.resource import parse
from talkingvideo_worker.local.orders import LocalPlaces, make_order

MakeOrder = Callable[..., Order]


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real face: NASA's portrait of Eileen Collins, public domain, out of scikit-image's wheel."""
    path = tmp_path_factory.mktemp("media") / "portrait.png"
    Image.fromarray(data.astronaut()).save(path)  # type: ignore[no-untyped-call]
    return path


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Syllables and pauses, 16.03 s at 22.05 kHz: long enough for two chunks."""
    return write_voice(tmp_path_factory.mktemp("media") / "voice.wav", seconds=16.03)


def write_voice(path: Path, seconds: float, rate: int = 22_050, seed: int = 7) -> Path:
    """A buzz in syllables of 0.2 s, with a pause of a second after every eight."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    syllable = np.sin(np.pi * (time % 0.2) / 0.2) ** 2 * (time % 2.6 < 1.6)
    buzz = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 20))
    sound = syllable * (buzz + 0.05 * rng.standard_normal(len(time)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((sound / np.abs(sound).max() * 20_000).astype(np.int16).tobytes())
    return path


@pytest.fixture
def make(tmp_path: Path, portrait: Path, voice: Path) -> MakeOrder:
    """Makes orders of local runs: ``make(name="a", render={…})``, in folders of this test."""

    def order(name: str = "hello", **spec: Any) -> Order:
        base: dict[str, Any] = {
            "source": {"image": {"uri": portrait.as_uri()}},
            "speech": {"speakers": [{"audio": {"uri": voice.as_uri()}}]},
            "chunking": {"targetSeconds": 10},
        }
        video = parse({"metadata": {"name": name}, "spec": base | spec})
        return make_order(video, "preview", LocalPlaces(tmp_path / "out", tmp_path / "work"))

    return order
