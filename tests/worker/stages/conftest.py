"""A portrait, a voice and stage inputs, small enough to render in a second or two."""

from __future__ import annotations

import shutil
import tempfile
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.resource import parse
from talkingvideo_api.stage_input import Locations, StageInput
from talkingvideo_clients.stores.base import Store
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.local.locations import LocalLocations
from talkingvideo_worker.local.stage_inputs import make_stage_input
from talkingvideo_worker.progress import LogReporter
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.fetch import fetch
from talkingvideo_worker.stages.prepare.process import process
from talkingvideo_worker.stages.prepare.publish import publish
from talkingvideo_worker.stages.render import render

StageInputFactory = Callable[..., StageInput]
"""Makes stage inputs: ``new_stage_input(name="a", render={…})``."""


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real face: NASA's portrait of Eileen Collins, public domain, from scikit-image's wheel."""
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


def stage_input_factory(folder: Path, portrait: Path, voice: Path) -> StageInputFactory:
    """Makes stage inputs of local runs in a folder."""

    def new_stage_input(name: str = "hello", **spec: Any) -> StageInput:
        base: dict[str, Any] = {
            "source": {"image": {"uri": portrait.as_uri()}},
            "speech": {"speakers": [{"audio": {"uri": voice.as_uri()}}]},
            "chunking": {"targetSeconds": 10},
        }
        video = parse({"metadata": {"name": name}, "spec": base | spec})
        return make_stage_input(video, "preview", LocalLocations(folder / "out", folder / "work"))

    return new_stage_input


@pytest.fixture
def new_stage_input(tmp_path: Path, portrait: Path, voice: Path) -> StageInputFactory:
    """Makes stage inputs in the test's own folder."""
    return stage_input_factory(tmp_path, portrait, voice)


@dataclass(frozen=True)
class RenderedVideo:
    """A video of six frames whose chunks are rendered; every test that stitches it gets a copy.

    Attributes:
        folder: Folder of the workspace and the chunks.
        spec: Spec of the video.
    """

    folder: Path
    spec: dict[str, Any]

    def context(self, folder: Path, name: str = "hello", **changes: Any) -> StageContext:
        """A context in a folder, into which the video is copied unless it was before.

        Args:
            folder: Folder of the test.
            name: Name of the object; each object has its own workspace.
            changes: Effective values to change.
        """
        for part in ("work", "chunks"):
            if not (folder / part).exists():
                shutil.copytree(self.folder / part, folder / part)
        return _context(folder, self.spec, name, changes)


class StoreWithoutDelete:
    """A store whose credentials do not permit deletion."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def delete(self, name: str) -> None:
        raise StageError(ErrorCode.STORE_ACCESS, f"may not delete {name}")


def _context(folder: Path, spec: dict[str, Any], name: str, changes: dict[str, Any]) -> StageContext:
    video = parse({"metadata": {"name": name}, "spec": spec})
    stage_input = make_stage_input(video, "preview", LocalLocations(folder / "out", folder))
    locations = Locations(
        workspace=(folder / "work" / name).as_uri(),
        chunks=(folder / "chunks").as_uri(),
        result=(folder / "out" / "film").as_uri(),
    )
    effective = stage_input.effective.model_copy(update={"overwrite": False, **changes})
    return StageContext(
        stage_input=stage_input.model_copy(update={"locations": locations, "effective": effective}),
        mounts=Mounts(folder / "claims", folder / "configmaps", folder / "headers"),
        scratch=Path(tempfile.mkdtemp(dir=folder)),
        reporter=LogReporter(),
    )


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory, portrait: Path, voice: Path) -> RenderedVideo:
    """A video that is rendered once for all tests."""
    spec = {
        "source": {"image": {"uri": portrait.as_uri()}},
        "speech": {"speakers": [{"audio": {"uri": voice.as_uri()}}]},
        "video": {"maxFrames": 6},
    }
    folder = tmp_path_factory.mktemp("rendered")
    context = _context(folder, spec, "hello", {})
    fetch(context)
    process(context)
    publish(context)
    render(context, 0)
    return RenderedVideo(folder, spec)
