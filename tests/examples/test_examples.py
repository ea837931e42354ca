"""The examples are what they say, and run."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from examples.pack import EXAMPLES, packed
from PIL import Image
from tests.cluster.s3 import S3Server
from tests.operator.fake_cluster import body
from typer.testing import CliRunner

from talkingvideo_api.effective import resolve
from talkingvideo_api.resource import TalkingVideo, parse
from talkingvideo_api.support import unsupported, without_effect
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.planning.policy import refusals
from talkingvideo_operator.settings import load
from talkingvideo_worker.cli import app

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples"
FILES = sorted(file.name for file in FOLDER.glob("*.yaml"))


def video_of(file: str) -> TalkingVideo:
    documents = [each for each in yaml.safe_load_all((FOLDER / file).read_text()) if each["kind"] == "TalkingVideo"]
    assert len(documents) == 1
    return parse(documents[0])


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The examples' bucket, which `talkingvideo run` finds by the usual AWS variables."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.owner.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.owner.secret_key)
    return s3_server.create_bucket("talkingvideo")


def run(file: str, folder: Path, *options: str) -> Path:
    """`talkingvideo run`; returns the video."""
    arguments = ["run", str(FOLDER / file), "--out", str(folder / "out"), "--workspace", str(folder / "work"), *options]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return folder / "out" / f"{video_of(file).metadata.name}.mp4"


def streams(video: Path) -> tuple[int, float]:
    """Number of frames, and seconds of sound."""
    with av.open(str(video)) as container:
        sound = container.streams.audio[0]
        assert sound.duration is not None
        assert sound.time_base is not None
        seconds = float(sound.duration * sound.time_base)
        return sum(1 for _ in container.decode(video=0)), seconds


@pytest.mark.parametrize("file", FILES)
def test_every_example_is_taken_by_an_operator_whose_profile_lists_where_its_media_are(file: str) -> None:
    profile = load(ROOT / "manifests" / "base" / "config.yaml").profiles["default"]
    spec = video_of(file).spec
    listed = {"claims": ("media",), "input_buckets": ("talkingvideo/inputs/",)}
    allowed = profile.model_copy(update={"allow": profile.allow.model_copy(update=listed)})
    assert not list(refusals(Video.of(body(spec.to_dict())), spec, allowed))
    effective = resolve(spec, profile, profile_name="default", uid="u", revision="r")
    assert not unsupported(spec, effective, allowed)
    assert not without_effect(spec, effective)


@pytest.mark.parametrize("file", EXAMPLES)
def test_packed_examples_hold_the_files_beside_them(file: str) -> None:
    assert (FOLDER / file).read_text() == packed(EXAMPLES[file]), "python examples/pack.py"


def test_every_example_is_listed_in_its_readme() -> None:
    readme = (FOLDER / "README.md").read_text()
    assert not [file for file in FILES if f"`{file}`" not in readme]


@pytest.mark.media
@pytest.mark.parametrize("file", EXAMPLES)
def test_packed_examples_run_without_anything_else(file: str, tmp_path: Path) -> None:
    frames, seconds = streams(run(file, tmp_path))
    assert frames == pytest.approx(25 * seconds, abs=2)


def couple(media: Path) -> Path:
    """A folder with the portrait and its mirror image side by side."""
    media.mkdir()
    portrait = np.asarray(Image.open(FOLDER / "portrait.jpg"))
    Image.fromarray(np.hstack([portrait, portrait[:, ::-1]])).save(media / "couple.png")
    return media


@pytest.mark.media
def test_turns_over_one_recording_run_from_a_mounted_folder(tmp_path: Path) -> None:
    media = couple(tmp_path / "media")
    width, height = Image.open(media / "couple.png").size
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    Image.fromarray(mask).save(media / "left-mask.png")
    shutil.copy(FOLDER / "voice.ogg", media / "conversation.wav")
    frames, seconds = streams(run("turns.yaml", tmp_path, "--mount", f"media={media}"))
    assert frames == pytest.approx(25 * seconds, abs=2)


@pytest.mark.media
def test_two_speakers_run_from_a_mounted_folder(tmp_path: Path) -> None:
    media = couple(tmp_path / "media")
    for name in ("left.wav", "right.wav"):
        shutil.copy(FOLDER / "voice.ogg", media / name)
    with av.open(str(FOLDER / "voice.ogg")) as voice:
        assert voice.duration is not None
        one = voice.duration / av.time_base
    _, seconds = streams(run("two-speakers.yaml", tmp_path, "--mount", f"media={media}"))
    assert seconds == pytest.approx(2 * one, abs=0.1)


@pytest.mark.media
def test_dubbing_and_s3_run_with_media_from_a_bucket(tmp_path: Path, s3_server: S3Server, bucket: str) -> None:
    client, inputs = s3_server.client(), "inputs"
    spoken = run("text.yaml", tmp_path)
    for name, file in {
        "interview.mp4": spoken,
        "interview-german.wav": FOLDER / "voice.ogg",
        "face.png": FOLDER / "portrait.jpg",
        "announcement.wav": FOLDER / "voice.ogg",
    }.items():
        client.upload_file(str(file), bucket, f"{inputs}/{name}")
    for example in ("dubbing.yaml", "s3.yaml"):
        frames, seconds = streams(run(example, tmp_path))
        assert frames == pytest.approx(25 * seconds, abs=2)
