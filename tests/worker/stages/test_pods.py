"""Stages as pods run them: the command, a stage input file, mounts, credentials from outside, and termination messages."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.cluster.s3 import S3Server
from tests.e2e.result import assert_sound_is_the_input, assert_video_is_whole
from tests.worker.stages.conftest import StageInputFactory, write_voice
from typer.testing import CliRunner

from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_api.reports import (
    FailureReport,
    PrepareReport,
    RenderReport,
    Report,
    StitchReport,
    decode_bitmap,
    decode_report,
)
from talkingvideo_api.stage_input import Locations, S3Connection, StageInput
from talkingvideo_worker.cli import app

pytestmark = pytest.mark.media


@dataclass
class Pods:
    """Runs stages, each with its own scratch volume and termination log.

    Attributes:
        folder: Folder of the test.
        stage_input: What to make.
        credentials: Environment of the containers that have credentials.
        exit_status: Exit status of the last stage.
    """

    folder: Path
    stage_input: StageInput
    credentials: dict[str, str] = field(default_factory=dict)
    exit_status: int = 0

    def run(self, *steps: str) -> Report | None:
        """Run the containers of one pod one after another; returns the report of the last one."""
        pod = self.folder / f"pod-{uuid.uuid4().hex[:8]}"
        pod.mkdir()
        (pod / "stage-input.json").write_text(self.stage_input.to_json())
        for step in steps:
            (pod / "termination-log").write_text("")
            result = CliRunner().invoke(
                app, [*step.split(), "--stage-input", str(pod / "stage-input.json")], env=self.env(pod, step)
            )
            self.exit_status = result.exit_code
            if result.exit_code:
                break
        return decode_report((pod / "termination-log").read_text())

    def env(self, pod: Path, step: str) -> dict[str, str | None]:
        no_credentials: dict[str, str | None] = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
        return {
            "TALKINGVIDEO_SCRATCH": str(pod),
            "TALKINGVIDEO_TERMINATION_LOG": str(pod / "termination-log"),
            "TALKINGVIDEO_CLAIMS": str(self.folder / "claims"),
            "TALKINGVIDEO_CONFIGMAPS": str(self.folder / "configmaps"),
            "TALKINGVIDEO_HEADERS": str(self.folder / "headers"),
            **no_credentials,
            **({} if "process" in step else self.credentials),
        }

    def prepare(self) -> PrepareReport:
        report = self.run("prepare --step fetch", "prepare --step process", "prepare --step publish")
        assert isinstance(report, PrepareReport), report
        return report

    def make_video(self) -> Report | None:
        """Run all three stages."""
        for chunk in range(len(self.prepare().chunk_frames)):
            report = self.run(f"render --chunk {chunk}")
            assert isinstance(report, RenderReport), report
        return self.run("stitch")


def locations(root: str) -> Locations:
    return Locations(
        workspace=f"{root}/.work/media/hello-1/abc", chunks=f"{root}/.work/media/chunks", result=f"{root}/hello"
    )


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write_voice(tmp_path / "voice.wav", seconds=1)


PodsFactory = Callable[[str, str], Pods]
"""Makes pods from the URI of the inputs' folder, and the URI of the folder of workspace and result."""


@pytest.fixture
def new_pods(tmp_path: Path, new_stage_input: StageInputFactory) -> PodsFactory:
    def new_pods(inputs: str, root: str) -> Pods:
        stage_input = new_stage_input(
            source={"image": {"uri": f"{inputs}/face.png"}},
            speech={"speakers": [{"audio": {"uri": f"{inputs}/voice.wav"}}]},
        )
        effective = stage_input.effective.model_copy(update={"overwrite": False})
        return Pods(tmp_path, stage_input.model_copy(update={"locations": locations(root), "effective": effective}))

    return new_pods


def test_a_video_is_made_from_s3_and_stored_in_s3(
    s3_server: S3Server, new_pods: PodsFactory, tmp_path: Path, portrait: Path, sound: Path
) -> None:
    client, bucket = s3_server.client(), s3_server.create_bucket(f"b-{uuid.uuid4()}")
    client.upload_file(str(portrait), bucket, "in/face.png")
    client.upload_file(str(sound), bucket, "in/voice.wav")
    pods = new_pods(f"s3://{bucket}/in", f"s3://{bucket}/some/prefix")
    connection = S3Connection(endpoint=s3_server.endpoint, region=s3_server.region, addressing_style="path")
    pods.stage_input = pods.stage_input.model_copy(update={"s3": connection, "input_buckets": (bucket,)})
    owner = s3_server.owner
    pods.credentials = {"AWS_ACCESS_KEY_ID": owner.access_key, "AWS_SECRET_ACCESS_KEY": owner.secret_key}
    report = pods.make_video()
    assert isinstance(report, StitchReport)
    assert report.uri == f"s3://{bucket}/some/prefix/hello.mp4"
    client.download_file(bucket, "some/prefix/hello.mp4", str(tmp_path / "hello.mp4"))
    assert_video_is_whole(tmp_path / "hello.mp4", 25, 640, 640)
    assert_sound_is_the_input(tmp_path / "hello.mp4", sound)
    assert pods.run("stitch") == report
    prepared = pods.prepare()
    assert decode_bitmap(prepared.missing, len(prepared.chunk_frames)) == []


def test_inputs_come_from_the_allowed_buckets_only(new_pods: PodsFactory) -> None:
    pods = new_pods("s3://elsewhere", "pvc://store")
    pods.stage_input = pods.stage_input.model_copy(update={"input_buckets": ("mine",)})
    report = pods.run("prepare --step fetch")
    assert isinstance(report, FailureReport)
    assert (report.code, report.field) == (ErrorCode.INPUT_VALIDATION, "spec.source.image.uri")


def test_a_video_is_made_from_a_volume_and_stored_on_another(
    new_pods: PodsFactory, tmp_path: Path, portrait: Path, sound: Path
) -> None:
    for claim in ("media", "store"):
        (tmp_path / "claims" / claim).mkdir(parents=True)
    (tmp_path / "claims" / "media" / "face.png").write_bytes(portrait.read_bytes())
    (tmp_path / "claims" / "media" / "voice.wav").write_bytes(sound.read_bytes())
    report = new_pods("pvc://media", "pvc://store/videos").make_video()
    assert isinstance(report, StitchReport)
    assert report.uri == "pvc://store/videos/hello.mp4"
    assert_video_is_whole(tmp_path / "claims" / "store" / "videos" / "hello.mp4", 25, 640, 640)
    hidden = [path.name for path in (tmp_path / "claims").rglob("*") if path.name.startswith(".")]
    assert hidden == [".work"], "no unfinished file is left"


def test_a_configmap_is_read_as_kubelet_mounts_it(
    new_pods: PodsFactory, tmp_path: Path, portrait: Path, sound: Path
) -> None:
    """Every key is a link to a link."""
    mounted = tmp_path / "configmaps" / "media"
    (mounted / "..2026").mkdir(parents=True)
    (mounted / "..data").symlink_to("..2026")
    for name, source in (("face.png", portrait), ("voice.wav", sound)):
        (mounted / "..2026" / name).write_bytes(source.read_bytes())
        (mounted / name).symlink_to(f"..data/{name}")
    (tmp_path / "claims" / "store").mkdir(parents=True)
    assert sum(new_pods("configmap://media", "pvc://store").prepare().chunk_frames) == 25


def test_a_failure_ends_with_its_status_and_names_the_field_to_the_operator(
    new_pods: PodsFactory, tmp_path: Path
) -> None:
    (tmp_path / "claims" / "media").mkdir(parents=True)
    (tmp_path / "claims" / "media" / "face.png").write_text("this is no picture")
    (tmp_path / "claims" / "media" / "voice.wav").write_text("this is no sound")
    pods = new_pods("pvc://media", "pvc://store")
    report = pods.run("prepare --step fetch", "prepare --step process")
    assert isinstance(report, FailureReport)
    assert (report.code, report.field) == (ErrorCode.INPUT_VALIDATION, "spec.source.image.uri")
    assert not report.retryable
    assert pods.exit_status == ERRORS[ErrorCode.INPUT_VALIDATION].exit_status


def test_a_location_outside_its_claim_is_refused(new_pods: PodsFactory) -> None:
    pods = new_pods("pvc://media", "pvc://store/../other")
    report = pods.run("stitch")
    assert isinstance(report, FailureReport)
    assert report.code is ErrorCode.INPUT_VALIDATION
