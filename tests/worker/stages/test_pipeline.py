"""The three stages, run as a local run runs them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pytest
from tests.e2e.result import assert_sound_is_the_input, assert_video_is_whole, decoded_sound
from tests.worker.stages.conftest import StageInputFactory, stage_input_factory, write_voice

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import StitchReport, decode_bitmap
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.local.documents import Documents
from talkingvideo_worker.local.run import LocalMounts, prepare_locally, run_locally

pytestmark = pytest.mark.media

MOUNTS = LocalMounts({}, Documents((), {}))


@dataclass
class RecordingReporter:
    """Records what is reported."""

    stages: list[tuple[Stage, float, int | None]] = field(default_factory=list)

    def report(self, stage: Stage, fraction: float, message: str, chunk: int | None = None) -> None:
        self.stages.append((stage, fraction, chunk))

    @property
    def rendered(self) -> set[int | None]:
        return {chunk for stage, _, chunk in self.stages if stage is Stage.RENDER}


@dataclass(frozen=True)
class FinishedVideo:
    """A finished video of two chunks, for tests that check it or make it again."""

    folder: Path
    stage_input: StageInput
    report: StitchReport
    reporter: RecordingReporter


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, portrait: Path, voice: Path) -> FinishedVideo:
    folder, reporter = tmp_path_factory.mktemp("finished"), RecordingReporter()
    stage_input = stage_input_factory(folder, portrait, voice)()
    return FinishedVideo(folder, stage_input, run(stage_input, reporter), reporter)


@pytest.fixture
def copy_of_finished(finished: FinishedVideo, tmp_path: Path) -> None:
    """The test's folder holds what was finished."""
    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True)


def run(stage_input: StageInput, reporter: RecordingReporter | None = None) -> StitchReport:
    return run_locally(stage_input, MOUNTS, reporter or RecordingReporter())


def video_of(stage_input: StageInput) -> Path:
    return Path(stage_input.locations.result.removeprefix("file://") + ".mp4")


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="gray") for frame in file.decode(video=0)]


def test_a_picture_and_a_voice_become_a_video_with_every_frame_and_the_users_own_sound(
    finished: FinishedVideo, voice: Path
) -> None:
    assert finished.report.frame_count == 401
    assert_video_is_whole(video_of(finished.stage_input), 401, finished.report.width, finished.report.height)
    assert_sound_is_the_input(video_of(finished.stage_input), voice)
    assert finished.reporter.rendered == {0, 1}
    description = json.loads(video_of(finished.stage_input).with_suffix(".json").read_text())
    assert description["aiGenerated"] is True
    assert video_of(finished.stage_input).with_suffix(".jpg").stat().st_size > 1_000


def test_the_file_says_that_it_is_ai_generated_and_what_made_it(new_stage_input: StageInputFactory) -> None:
    stage_input = new_stage_input(video={"maxFrames": 10}, consentReference="contract 17")
    run(stage_input)
    with av.open(str(video_of(stage_input))) as file:
        comment = file.metadata["comment"]
    assert "AI-generated" in comment
    assert "engine preview" in comment
    assert "contract 17" in comment


@pytest.mark.usefixtures("copy_of_finished")
def test_finished_chunks_are_found_again_and_the_result_is_the_same_file(
    new_stage_input: StageInputFactory, finished: FinishedVideo, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "out")
    stage_input, reporter = new_stage_input(), RecordingReporter()
    assert run(stage_input, reporter).sha256 == finished.report.sha256
    assert not reporter.rendered


@pytest.mark.usefixtures("copy_of_finished")
def test_another_object_of_the_same_content_renders_nothing(new_stage_input: StageInputFactory) -> None:
    reporter = RecordingReporter()
    run(new_stage_input("second"), reporter)
    assert not reporter.rendered


def test_another_seed_renders_again(new_stage_input: StageInputFactory) -> None:
    run(new_stage_input(video={"maxFrames": 5}))
    reporter = RecordingReporter()
    run(new_stage_input(video={"maxFrames": 5}, render={"seed": 7}), reporter)
    assert reporter.rendered


def test_a_video_is_the_same_before_encoding_whether_it_was_one_chunk_or_two(
    new_stage_input: StageInputFactory, finished: FinishedVideo
) -> None:
    one = new_stage_input("one", chunking={"targetSeconds": 60})
    run(one)
    difference = [
        np.abs(a.astype(int) - b.astype(int)).mean()
        for a, b in zip(frames(video_of(one)), frames(video_of(finished.stage_input)), strict=True)
    ]
    assert max(difference) < 2.0


def test_a_video_cut_on_purpose_says_so_and_its_sound_ends_with_it(new_stage_input: StageInputFactory) -> None:
    stage_input, warnings = new_stage_input(video={"maxFrames": 30}), list[str]()
    report = run_locally(stage_input, MOUNTS, RecordingReporter(), lambda plan: warnings.extend(plan.warnings))
    assert report.frame_count == 30
    assert len(decoded_sound(video_of(stage_input))) == pytest.approx(30 / 25 * 48_000, abs=1_100)
    assert any("maxFrames" in warning for warning in warnings)


def test_two_speakers_in_sequence_last_as_long_as_both(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    voices = [write_voice(tmp_path / f"{n}.wav", seconds=n / 2, seed=n) for n in (1, 2)]
    speakers = [{"audio": {"uri": path.as_uri()}} for path in voices]
    stage_input = new_stage_input(speech={"speakers": speakers, "arrangement": "Sequential"})
    assert run(stage_input).frame_count == 38


def test_text_is_spoken(new_stage_input: StageInputFactory) -> None:
    stage_input = new_stage_input(speech={"speakers": [{"text": "The moon is blue.", "voice": "en-us"}]})
    assert 15 < run(stage_input).frame_count < 60


def test_the_same_words_in_two_chunks_of_one_video_are_two_chunks(finished: FinishedVideo) -> None:
    """Older systems named both ``chunk_000.wav`` and confused the speakers."""
    keys = {
        chunk["key"] for chunk in json.loads(video_of(finished.stage_input).with_suffix(".json").read_text())["chunks"]
    }
    assert len(keys) == 2


def test_a_dry_run_plans_and_renders_nothing(new_stage_input: StageInputFactory) -> None:
    stage_input, reporter = new_stage_input(), RecordingReporter()
    report = prepare_locally(stage_input, MOUNTS, reporter)
    assert sum(report.chunk_frames) == 401
    assert decode_bitmap(report.missing, 2) == [0, 1]
    assert not [stage for stage, _, _ in reporter.stages if stage is not Stage.PREPARE]


def test_a_file_that_is_no_picture_is_refused_by_its_field(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    (tmp_path / "face.png").write_text("#!/bin/sh\necho this is not a picture\n")
    stage_input = new_stage_input(source={"image": {"uri": (tmp_path / "face.png").as_uri()}})
    with pytest.raises(StageError) as refusal:
        run(stage_input)
    assert refusal.value.code is ErrorCode.INPUT_VALIDATION
    assert refusal.value.field == "spec.source.image.uri"
    assert not video_of(stage_input).exists()


def test_a_file_behind_an_unchanged_spec_may_change(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    sound = write_voice(tmp_path / "mine.wav", seconds=0.4)
    stage_input = new_stage_input(speech={"speakers": [{"audio": {"uri": sound.as_uri()}}]})
    assert run(stage_input).frame_count == 10
    write_voice(sound, seconds=0.8)
    assert run(stage_input).frame_count == 20


def test_exact_sizes_are_delivered(new_stage_input: StageInputFactory) -> None:
    stage_input = new_stage_input(video={"width": 426, "height": 240, "maxFrames": 5})
    report = run(stage_input)
    assert (report.width, report.height) == (426, 240)
    assert_video_is_whole(video_of(stage_input), 5, 426, 240)


def test_an_unknown_voice_is_refused_by_its_field(new_stage_input: StageInputFactory) -> None:
    stage_input = new_stage_input(speech={"speakers": [{"text": "Hello.", "voice": "xx-none"}]})
    with pytest.raises(StageError, match="no voice 'xx-none'") as refusal:
        prepare_locally(stage_input, MOUNTS, RecordingReporter())
    assert refusal.value.field == "spec.speech.speakers[0].voice"
