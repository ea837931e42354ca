"""A whole local run writes no query of an input's address anywhere."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from skimage import data
from tests.worker.stages.conftest import write_voice
from typer.testing import CliRunner

from talkingvideo_worker.cli import app

pytestmark = pytest.mark.media

CANARY = "c4n4ryS1gn4ture"


def test_neither_the_results_nor_the_workspace_nor_the_output_have_a_canary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    picture = io.BytesIO()
    Image.fromarray(data.astronaut()).resize((256, 256)).save(picture, "JPEG")  # type: ignore[no-untyped-call]
    encoded = base64.b64encode(picture.getvalue()).decode()
    voice = write_voice(tmp_path / f"voice.wav?X-Amz-Signature={CANARY}", seconds=0.3)
    (tmp_path / "video.yaml").write_text(
        f"""
apiVersion: talkingvideo.dev/v1alpha1
kind: TalkingVideo
metadata: {{name: hello}}
spec:
  source: {{image: {{uri: "data:image/jpeg;token={CANARY};base64,{encoded}"}}}}
  speech: {{speakers: [{{audio: {{uri: "file://{voice}"}}}}]}}
"""
    )
    arguments = ["--out", str(tmp_path / "out"), "--workspace", str(tmp_path / "work"), "--engine", "preview"]
    done = CliRunner().invoke(app, ["run", str(tmp_path / "video.yaml"), *arguments])
    assert done.exit_code == 0, done.stderr
    assert CANARY not in done.stdout + done.stderr
    files = [path for folder in ("out", "work") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".mp4", ".json", ".jpg"}
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "a local run needs the option --secrets DIR"),
        (["--secrets", "nowhere"], "--secrets nowhere: the folder does not exist"),
    ],
)
def test_headers_of_a_secret_need_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("auth").mkdir()
    Path("auth/Authorization").write_text(CANARY)
    Path("video.yaml").write_text(
        """
apiVersion: talkingvideo.dev/v1alpha1
kind: TalkingVideo
metadata: {name: hello}
spec:
  source: {image: {uri: "https://192.0.2.1/face.png", headersSecretName: auth}}
  speech: {speakers: [{text: Hello.}]}
"""
    )
    done = CliRunner().invoke(app, ["run", "video.yaml", "--engine", "preview", "--workspace", "work", *options])
    assert done.exit_code == 10
    assert said in done.stderr.replace("\n", " ")
    assert CANARY not in done.stderr
