"""``talkingvideo run`` and ``plan`` as users run them."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from skimage import data
from tests.worker.stages.conftest import write_voice
from typer.testing import CliRunner, Result

from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_worker.cli import app

VIDEO = """
apiVersion: talkingvideo.dev/v1alpha1
kind: TalkingVideo
metadata: {{name: {name}}}
spec:
  source: {{image: {{uri: "{picture}"}}}}
  speech: {{speakers: [{{audio: {{uri: "{sound}"}}}}]}}
  video: {{maxFrames: {frames}}}
"""

USER = ERRORS[ErrorCode.INPUT_VALIDATION].exit_status


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``face.jpg`` and ``voice.wav``, in which the commands run."""
    Image.fromarray(data.astronaut()).save(tmp_path / "face.jpg")  # type: ignore[no-untyped-call]
    write_voice(tmp_path / "voice.wav", seconds=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def write(
    path: Path, name: str = "hello", picture: str = "file:face.jpg", sound: str = "file:voice.wav", frames: int = 4
) -> Path:
    path.write_text(VIDEO.format(name=name, picture=picture, sound=sound, frames=frames))
    return path


def talkingvideo(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.media
def test_a_yaml_beside_its_media_becomes_a_video_and_what_the_user_should_know_is_said(folder: Path) -> None:
    done = talkingvideo("run", write(folder / "video.yaml"), "--out", "out [final]")
    assert done.exit_code == 0, done.stderr
    assert "hello: 4 frames, 0.16 s, 640x640" in done.stderr
    assert "because of video.maxFrames" in done.stderr.partition("warning: ")[2]
    for ending in ("mp4", "jpg", "json"):
        assert f"out [final]/hello.{ending}\n" in done.stderr
        assert (folder / "out [final]" / f"hello.{ending}").stat().st_size > 500


@pytest.mark.media
def test_inputs_may_be_in_the_yaml_itself_on_a_mounted_folder_or_in_a_configmap(folder: Path) -> None:
    small = base64.b64encode((folder / "face.jpg").read_bytes()).decode()
    sound = base64.b64encode((folder / "voice.wav").read_bytes()).decode()
    configmap = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: media}}\nbinaryData: {{voice: {sound}}}\n"
    videos = [
        write(folder / "1", "inline", picture=f"data:image/jpeg;base64,{small}").read_text(),
        write(folder / "2", "mounted", picture="pvc://disk/face.jpg").read_text(),
        write(folder / "3", "mapped", sound="configmap://media/voice").read_text(),
    ]
    (folder / "all.yaml").write_text("---\n".join([*videos, configmap]))
    done = talkingvideo("run", "all.yaml", "--mount", f"disk={folder}")
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in (folder / "out").glob("*.mp4")) == ["inline.mp4", "mapped.mp4", "mounted.mp4"]


@pytest.mark.media
def test_a_plan_is_printed_as_json_and_nothing_is_rendered(folder: Path) -> None:
    done = talkingvideo("plan", "-o", "json", write(folder / "video.yaml"))
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["chunkFrames"] == [4]
    assert json.loads(done.stdout)["estimate"] == {"windows": 1}
    assert not (folder / "out").exists()


@pytest.mark.media
def test_plans_of_a_file_are_tables_unless_another_format_is_asked_for(folder: Path) -> None:
    text = write(folder / "1", "first").read_text() + "---\n" + write(folder / "2", "second", frames=5).read_text()
    (folder / "all.yaml").write_text(text)
    done = talkingvideo("plan", "all.yaml")
    assert done.exit_code == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows if len(row) == 1] == ["first", "second"]
    assert ["1", "0:00.00", "0:00.16", "4", "1", "with", "the", "video", "to", "render"] in rows
    assert "because of video.maxFrames" in done.stdout
    assert talkingvideo("plan", "all.yaml", "-o", "yaml").exit_code == 2


@pytest.mark.media
def test_a_plan_says_which_chunks_end_in_silence(folder: Path) -> None:
    write_voice(folder / "voice.wav", seconds=20)
    path = write(folder / "video.yaml", frames=500)
    path.write_text(path.read_text() + "  chunking: {targetSeconds: 10}\n")
    done = talkingvideo("plan", path)
    assert done.exit_code == 0, done.stderr
    assert "s of silence" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.yaml"], "File none.yaml does not exist"),
        (["video.yaml", "--engine", "nonesuch"], "nonesuch"),
        (["video.yaml", "--mount", "disk"], "--mount disk: give claim=DIR"),
        (["video.yaml", "--out", "face.jpg"], "--out face.jpg: the folder is not writable"),
        (["video.yaml", "--workspace", "face.jpg/below"], "--workspace face.jpg/below: the folder is not writable"),
        (["broken.yaml"], "broken.yaml, line 1"),
        (["host.yaml"], "names another machine"),
        (["absent.yaml"], "spec.source.image.uri: /"),
        (["face.yaml", "--out", "."], "spec.source.image.uri: the result would replace this file, face.jpg"),
        (["typo.yaml"], "spec.vdeo: unknown field; did you mean video? (typo.yaml, document 1)"),
    ],
)
def test_a_mistake_is_answered_with_one_sentence_before_any_work(
    folder: Path, arguments: list[str], message: str
) -> None:
    write(folder / "video.yaml")
    write(folder / "host.yaml", picture="file://face.jpg")
    write(folder / "absent.yaml", picture="file:none.jpg")
    write(folder / "face.yaml", "face")
    (folder / "typo.yaml").write_text((folder / "video.yaml").read_text().replace("video:", "vdeo:"))
    (folder / "broken.yaml").write_text("a: [1, 2")
    done = talkingvideo("run", *arguments)
    assert done.exit_code in {kind.exit_status for kind in ERRORS.values()}
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr
    assert "Window" not in done.stderr


def test_all_videos_of_a_file_are_checked_before_the_first_is_made(folder: Path) -> None:
    text = write(folder / "1").read_text() + "---\n" + write(folder / "2", "wrong", picture="ftp://a.b/c").read_text()
    (folder / "all.yaml").write_text(text)
    done = talkingvideo("run", "all.yaml")
    assert done.exit_code == USER
    assert not (folder / "out").exists()


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_cancelled_video_is_skipped_with_a_sentence(folder: Path, command: str) -> None:
    path = write(folder / "video.yaml", picture="file:none.jpg")
    path.write_text(path.read_text() + "  cancel: true\n")
    done = talkingvideo(command, path)
    assert done.exit_code == 0, done.stderr
    assert done.stderr == "hello: skipped, because spec.cancel is true\n"
    assert done.stdout == ""
    assert not list((folder / "out").glob("*"))


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from talkingvideo_worker.cli import main; main()", *arguments]
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    env = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,
    )


def heed_ctrl_c() -> None:
    """A shell has its background jobs ignore Ctrl-C, and what the tests start would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.media
def test_ctrl_c_ends_a_run_at_once_and_leaves_nothing(folder: Path) -> None:
    write_voice(folder / "voice.wav", seconds=30)
    process = start(folder, "run", str(write(folder / "video.yaml", frames=750)))
    while process.poll() is None and not list((folder / "cache").rglob("segment-*.mp4")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in message
    assert list((folder / "tmp").iterdir()) == list((folder / "out").iterdir()) == []


@pytest.mark.media
def test_native_libraries_do_not_announce_themselves_in_the_middle_of_the_bar(folder: Path) -> None:
    process = start(folder, "plan", str(write(folder / "video.yaml")))
    _, message = process.communicate(timeout=60)
    assert process.returncode == 0, message
    assert "INFO" not in message
    assert "XNNPACK" not in message


def test_help_needs_nothing_that_is_slow_to_load(folder: Path) -> None:
    code = "import sys; from talkingvideo_worker.cli import app; print([m for m in sys.modules if '.' not in m])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"boto3", "cv2", "av", "numpy", "pydantic", "PIL", "yaml"} & set(
        loaded.strip("[]\n").replace("'", "").split(", ")
    )


def test_a_plan_of_local_files_does_not_load_what_reaches_s3() -> None:
    code = "import sys, talkingvideo_worker.local.commands; print('boto3' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded == "False\n"


@pytest.mark.media
def test_a_dry_run_is_planned_and_not_rendered(folder: Path) -> None:
    path = write(folder / "video.yaml")
    path.write_text(path.read_text() + "  dryRun: true\n")
    done = talkingvideo("run", path, "--out", "out")
    assert done.exit_code == 0, done.stderr
    assert "hello: dry run, 4 frames in 1 chunks, 640x640; nothing was rendered" in done.stderr
    assert list((folder / "out").glob("*")) == []
