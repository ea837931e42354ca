"""``talkingvideo run`` with the real engine and a folder of tiny weights: published files in, a video out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from PIL import Image
from skimage import data
from tests.worker.infinitetalk.small_values import SMALLEST_RENDER
from tests.worker.stages.conftest import write_voice
from typer.testing import CliRunner, Result

from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_worker.cli import app
from talkingvideo_worker.engines.infinitetalk.weights.files import adapter_of

pytestmark = pytest.mark.media


@pytest.fixture
def folder(tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Media and ``video.yaml`` for seven frames in two windows, in the folder where commands run."""
    monkeypatch.setenv("TALKINGVIDEO_WEIGHTS", str(tiny_weights))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(data.astronaut()).save("face.jpg")  # type: ignore[no-untyped-call]
    write_voice(Path("voice.wav"), seconds=7 / 25)
    write_video()
    return tmp_path


def write_video(**spec: object) -> None:
    document = {
        "apiVersion": "talkingvideo.dev/v1alpha1",
        "kind": "TalkingVideo",
        "metadata": {"name": "tiny"},
        "spec": {
            "engine": "infinitetalk",
            "source": {"image": {"uri": "file:face.jpg"}},
            "speech": {"speakers": [{"audio": {"uri": "file:voice.wav"}}]},
            "render": SMALLEST_RENDER,
            **spec,
        },
    }
    Path("video.yaml").write_text(yaml.safe_dump(document))


def talkingvideo(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_portrait_and_a_voice_become_a_video(folder: Path) -> None:
    done = talkingvideo("run", "video.yaml")
    assert done.exit_code == 0, done.stderr
    with av.open("out/tiny.mp4") as video:
        assert sum(1 for _ in video.decode(video=0)) == 7
        assert (video.streams.video[0].width, video.streams.video[0].height) == (640, 640)
    report = json.loads(Path("out/tiny.json").read_text())
    assert report["effective"]["sampling"]["steps"] == 1
    (chunk,) = report["chunks"]
    assert chunk["rendering"]["memoryMode"]
    first = Path("out/tiny.mp4").read_bytes()
    again = talkingvideo("run", "video.yaml", "--workspace", "elsewhere")
    assert again.exit_code == 0, again.stderr
    assert Path("out/tiny.mp4").read_bytes() == first


def test_a_video_is_dubbed_by_two_speakers(folder: Path) -> None:
    write_moving_faces(Path("faces.mp4"))
    write_voice(Path("answer.wav"), seconds=5 / 25, seed=8)
    write_video(
        source={"video": {"uri": "file:faces.mp4"}},
        speech={
            "speakers": [
                {"audio": {"uri": "file:voice.wav"}, "region": {"left": 0, "top": 0, "width": 0.4, "height": 1}},
                {"audio": {"uri": "file:answer.wav"}, "region": {"left": 0.6, "top": 0, "width": 0.4, "height": 1}},
            ]
        },
        video={"maxFrames": 5},
    )
    done = talkingvideo("run", "video.yaml")
    assert done.exit_code == 0, done.stderr
    with av.open("out/tiny.mp4") as video:
        assert sum(1 for _ in video.decode(video=0)) == 5


def write_moving_faces(path: Path) -> None:
    """Two faces side by side that drift, ten frames of them."""
    face = np.asarray(Image.fromarray(data.astronaut()).crop((100, 0, 350, 250)).resize((240, 240)))  # type: ignore[no-untyped-call]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 480, 240, "yuv420p"
        for number in range(10):
            picture = np.ascontiguousarray(np.roll(np.hstack([face, face]), number, axis=0))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())


def test_missing_weights_are_listed_before_anything_is_rendered(
    folder: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_weights, "lacking")
    (Path("lacking") / adapter_of(1)).unlink()
    monkeypatch.setenv("TALKINGVIDEO_WEIGHTS", "lacking")
    done = talkingvideo("run", "video.yaml")
    assert done.exit_code == ERRORS[ErrorCode.PIPELINE_LOAD].exit_status
    assert "InfiniteTalk/single/infinitetalk.safetensors is missing" in done.stderr
    assert "talkingvideo weights fetch" in done.stderr


def test_other_weights_make_another_chunk(folder: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key() -> str:
        done = talkingvideo("plan", "-o", "json", "video.yaml")
        assert done.exit_code == 0, done.stderr
        return str(json.loads(done.stdout)["planDigest"])

    before = key()
    assert key() == before
    shutil.copytree(tiny_weights, "others")
    adapter = Path("others") / adapter_of(1)
    content = bytearray(adapter.read_bytes())
    content[-1] ^= 1
    adapter.write_bytes(content)
    monkeypatch.setenv("TALKINGVIDEO_WEIGHTS", "others")
    assert key() != before
