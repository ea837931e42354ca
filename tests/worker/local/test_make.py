"""``talkingvideo make`` as users run it, and the document that it makes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml
from PIL import Image
from skimage import data
from tests.worker.stages.conftest import write_voice
from typer.testing import CliRunner, Result

from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_worker.cli import app

USER = ERRORS[ErrorCode.INPUT_VALIDATION].exit_status
EXISTS = ERRORS[ErrorCode.OUTPUT_EXISTS].exit_status


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``face.jpg``, ``voice.wav``, ``answer.wav`` and ``film.mp4``'s first bytes, in which commands run."""
    Image.fromarray(data.astronaut()).save(tmp_path / "face.jpg")  # type: ignore[no-untyped-call]
    write_voice(tmp_path / "voice.wav", seconds=1)
    write_voice(tmp_path / "answer.wav", seconds=1, seed=2)
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(20))
    (tmp_path / "notes.txt").write_text("These are notes.")
    (tmp_path / "noise").write_bytes(bytes(range(128, 256)))
    (tmp_path / "media").mkdir()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def make(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["make", *map(str, arguments)])


def document(*arguments: object) -> dict[str, Any]:
    done = make(*arguments, "--yaml")
    assert done.exit_code == 0, done.stderr
    made: dict[str, Any] = yaml.safe_load(done.stdout)
    return made


@pytest.mark.media
def test_a_picture_and_a_recording_become_a_video_in_the_present_folder(folder: Path) -> None:
    done = make("face.jpg", "voice.wav", "--set", "spec.video.maxFrames=4")
    assert done.exit_code == 0, done.stderr
    assert "face-talking: 4 frames, 0.16 s, 640x640" in done.stderr
    assert "video     face-talking.mp4\n" in done.stderr
    assert sorted(path.name for path in folder.glob("face*")) == [
        "face-talking.jpg",
        "face-talking.json",
        "face-talking.mp4",
        "face.jpg",
    ]


@pytest.mark.media
def test_the_file_may_have_any_name_and_lie_anywhere(folder: Path) -> None:
    done = make("face.jpg", "voice.wav", "--set=spec.video.maxFrames=2", "-o", "new/Mein Überblick (1).v2.mp4")
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in (folder / "new").iterdir()} == {
        f"Mein Überblick (1).v2.{suffix}" for suffix in ("mp4", "jpg", "json")
    }
    assert "mein-uberblick-1-v2: 2 frames" in done.stderr


@pytest.mark.media
def test_a_video_is_dubbed_with_a_text(folder: Path) -> None:
    with av.open("film.mp4", "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        picture = np.asarray(Image.open("face.jpg").resize((256, 256)))
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode())
    done = make("film.mp4", "--text", "Hello.", "--voice", "en-us", "--set", "spec.video.maxFrames=2")
    assert done.exit_code == 0, done.stderr
    assert (folder / "film-talking.mp4").exists()


@pytest.mark.media
def test_the_printed_yaml_is_what_run_needs_for_the_same_video(folder: Path) -> None:
    arguments = ("face.jpg", "voice.wav", "--set", "spec.video.maxFrames=2", "-o", "a.mp4")
    (folder / "video.yaml").write_text(make(*arguments, "--yaml").stdout)
    assert not (folder / "a.mp4").exists()
    assert make(*arguments).exit_code == 0
    ran = CliRunner().invoke(app, ["run", "video.yaml", "--out", "out"])
    assert ran.exit_code == 0, ran.stderr
    assert (folder / "a.mp4").read_bytes() == (folder / "out/a.mp4").read_bytes()


def test_a_portrait_and_a_recording_are_the_smallest_document(folder: Path) -> None:
    assert document("face.jpg", "voice.wav") == {
        "apiVersion": "talkingvideo.dev/v1alpha1",
        "kind": "TalkingVideo",
        "metadata": {"name": "face-talking"},
        "spec": {
            "source": {"image": {"uri": (folder / "face.jpg").as_uri()}},
            "speech": {"speakers": [{"audio": {"uri": (folder / "voice.wav").as_uri()}}]},
        },
    }


def test_options_are_fields_of_their_types(folder: Path) -> None:
    options = ["--engine=preview", "--preset=turbo", "--resolution=720p", "--aspect-ratio=16:9", "--prompt=smile"]
    settings = [
        "--set=spec.render.steps=6",
        "--set=spec.render.teaCache.threshold=0.5",
        "--set=spec.dryRun=true",
        "--set=spec.render.loras[0].name=7",
    ]
    spec = document("film.mp4", "voice.wav", "--seed=-1", *options, *settings)["spec"]
    assert spec == {
        "source": {"video": {"uri": (folder / "film.mp4").as_uri()}},
        "speech": spec["speech"],
        "engine": "preview",
        "prompt": "smile",
        "video": {"resolution": "720p", "aspectRatio": "16:9"},
        "render": {
            "preset": "turbo",
            "seed": -1,
            "steps": 6,
            "teaCache": {"threshold": 0.5},
            "loras": [{"name": "7"}],
        },
        "dryRun": True,
    }


@pytest.mark.parametrize(
    ("arguments", "speakers"),
    [
        (["--text=A"], [{"text": "A"}]),
        (["--text=A", "--voice=de"], [{"text": "A", "voice": "de"}]),
        (["--text=A", "--text=B", "--voice=de"], [{"text": "A", "voice": "de"}, {"text": "B", "voice": "de"}]),
        (
            ["--text=A", "--text=B", "--voice=de", "--voice=fr"],
            [{"text": "A", "voice": "de"}, {"text": "B", "voice": "fr"}],
        ),
    ],
)
def test_each_text_has_a_speaker(folder: Path, arguments: list[str], speakers: list[Any]) -> None:
    assert document("face.jpg", *arguments)["spec"]["speech"]["speakers"] == speakers


def test_each_recording_has_a_speaker(folder: Path) -> None:
    speech = document("face.jpg", "voice.wav", "answer.wav", "--set=spec.speech.arrangement=Sequential")["spec"][
        "speech"
    ]
    assert [Path(each["audio"]["uri"]).name for each in speech["speakers"]] == ["voice.wav", "answer.wav"]
    assert speech["arrangement"] == "Sequential"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jpg", "voice.wav"], "PICTURE: none.jpg does not exist."),
        (["-", "voice.wav"], "PICTURE: - does not exist."),
        (["media", "voice.wav"], "PICTURE: media is a folder; give a file."),
        (["pipe", "voice.wav"], "PICTURE: pipe is a device or a pipe; give a file."),
        (["https://example.com/a.png?c4n4ry", "voice.wav"], "PICTURE: it is an address, not a file; write it in YAML"),
        (["voice.wav", "face.jpg"], "PICTURE: voice.wav is a WAV file; give a PNG, JPEG or WebP picture, or a video."),
        (["notes.txt", "voice.wav"], "PICTURE: notes.txt is a text; give a PNG"),
        (["noise", "voice.wav"], "PICTURE: noise is a file of an unknown kind; give a PNG"),
        (["face.jpg", "none.wav"], "SOUND: none.wav does not exist."),
        (["face.jpg", "media"], "SOUND: media is a folder; give a file."),
        (["face.jpg", "face.jpg"], "SOUND: face.jpg is a JPEG picture; give a recording."),
        (["face.jpg", "voice.wav", "notes.txt"], "SOUND 2: notes.txt is a text; give a recording."),
        (["face.jpg", "voice.wav", "voice.wav", "voice.wav"], "SOUND 1, SOUND 2, SOUND 3: List should have at most 2"),
        (["face.jpg"], "SOUND: what is said is missing: give a sound file, or --text."),
        (["face.jpg", "voice.wav", "--text=A"], "--text: a text and a sound file are too much for one speaker"),
        (["face.jpg", "voice.wav", "--voice=de"], "--voice: a recording has its own voice"),
        (
            ["face.jpg", "--text=A", "--voice=de", "--voice=fr"],
            "--voice: give one voice for all texts, or one for each text.",
        ),
        (["face.jpg", "--text="], "--text: String should have at least 1 character"),
        (["face.jpg", "voice.wav", "--preset=fsat"], "--preset: Input should be 'quality', 'fast' or 'turbo'; did you"),
        (["face.jpg", "voice.wav", "--seed=-2"], "--seed: Input should be greater than or equal to -1"),
        (["face.jpg", "voice.wav", "--engine=prview"], "--engine: Engine 'prview' is not installed"),
        (["face.jpg", "voice.wav", "--set=spec.rnder.steps=3"], "--set spec.rnder.steps: unknown field; did you mean"),
        (
            ["face.jpg", "voice.wav", "--set=spec.render.steps=x"],
            "--set spec.render.steps: Input should be a valid int",
        ),
        (["face.jpg", "voice.wav", "--set=spec.render.steps"], "--set spec.render.steps: give spec.FIELD=VALUE"),
        (
            ["face.jpg", "voice.wav", "--preset=fast", "--set=spec.render.preset=turbo"],
            "--set spec.render.preset: another option sets this field, too",
        ),
        (
            ["face.jpg", "voice.wav", "--aspect-ratio=1:1", "--set=spec.video.width=64", "--set=spec.video.height=64"],
            "--aspect-ratio, --set spec.video.width, --set spec.video.height: width and height determine",
        ),
        (["face.jpg", "voice.wav", "-o", "media"], "-o: media is a folder"),
        (["face.jpg", "voice.wav", "-o", "video.mov"], "-o: the name video.mov must end in .mp4."),
        (["face.jpg", "voice.wav", "-o", "-"], "-o: the name - must end in .mp4."),
        (["face.jpg", "voice.wav", "-o", "face.jpg/a.mp4"], "-o face.jpg: the folder is not writable"),
        (
            ["face.jpg", "voice.wav", "-o", "face.mp4", "--overwrite"],
            "PICTURE: the result would replace this file, face.jpg: choose",
        ),
        (
            ["film.mp4", "voice.wav", "-o", "film.mp4", "--overwrite"],
            "PICTURE: the result would replace this file, film.mp4: choose",
        ),
        (
            [
                "face.jpg",
                "voice.wav",
                "-o",
                "mask.mp4",
                "--set=spec.speech.speakers[0].mask.uri=file:{folder}/mask.jpg",
            ],
            "--set spec.speech.speakers[0].mask.uri: the result would replace this file, mask.jpg",
        ),
        (["face.jpg", "voice.wav", "--mount=disk"], "--mount disk: give claim=DIR"),
    ],
)
def test_a_mistake_is_answered_with_its_argument_before_any_work(
    folder: Path, arguments: list[str], message: str
) -> None:
    before = sorted(folder.rglob("*"))
    done = make(*(argument.replace("{folder}", f"//{folder}") for argument in arguments))
    assert done.exit_code in {kind.exit_status for kind in ERRORS.values()}
    assert f"error: {message}" in done.stderr
    assert "prepare" not in done.stderr
    assert "c4n4ry" not in done.stderr
    assert [path for path in sorted(folder.rglob("*")) if path not in before and "cache" not in str(path)] == []


def test_all_wrong_options_are_named_together(folder: Path) -> None:
    done = make("face.jpg", "voice.wav", "--preset=fsat", "--set=spec.render.sed=1")
    assert done.exit_code == USER
    assert done.stderr.splitlines() == [
        "error: 2 fields are wrong:",
        "  --preset: Input should be 'quality', 'fast' or 'turbo'; did you mean fast?",
        "  --set spec.render.sed: unknown field; did you mean seed? (E_INPUT_VALIDATION)",
    ]


@pytest.mark.media
def test_what_only_decoding_shows_names_the_argument_too(folder: Path) -> None:
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    done = make("damaged.png", "voice.wav")
    assert done.exit_code == USER
    assert "error: PICTURE: The file looks like a PNG picture, but cannot be read" in done.stderr


@pytest.mark.parametrize("existing", ["a.mp4", "a.jpg", "a.json"])
def test_no_file_is_replaced_without_the_option(folder: Path, existing: str) -> None:
    (folder / existing).write_text("precious")
    done = make("face.jpg", "voice.wav", "-o", "a.mp4")
    assert done.exit_code == EXISTS
    assert f"-o: {existing} already exists: choose another name, or give --overwrite." in done.stderr
    assert (folder / existing).read_text() == "precious"


@pytest.mark.media
def test_files_are_replaced_with_the_option(folder: Path) -> None:
    for suffix in ("mp4", "jpg", "json"):
        (folder / f"a.{suffix}").write_text("old")
    done = make("face.jpg", "voice.wav", "-o", "a.mp4", "--overwrite", "--set=spec.video.maxFrames=2")
    assert done.exit_code == 0, done.stderr
    assert (folder / "a.mp4").stat().st_size > 500


@pytest.mark.media
def test_a_dry_run_makes_nothing(folder: Path) -> None:
    done = make("face.jpg", "voice.wav", "--set=spec.dryRun=true")
    assert done.exit_code == 0, done.stderr
    assert "face-talking: dry run, 25 frames in 1 chunks" in done.stderr
    assert not list(folder.glob("face-talking*"))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Hello World.mp4", "hello-world"),
        ("Größe.mp4", "groe"),
        ("名.mp4", "video"),
        ("-a-.mp4", "a"),
        (f"{'x' * 100}.mp4", "x" * 63),
    ],
)
def test_the_object_is_named_after_the_file(folder: Path, file: str, name: str) -> None:
    assert document("face.jpg", "voice.wav", "-o", f"./{file}")["metadata"]["name"] == name
