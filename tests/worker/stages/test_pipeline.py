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
from tests.worker.stages.conftest import MakeOrder, make_in, write_voice

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import StitchReport, decode_bitmap
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.local.documents import Documents
from talkingvideo_worker.local.run import LocalMounts, prepare_locally, run_locally

pytestmark = pytest.mark.media

MOUNTS = LocalMounts({}, Documents((), {}))


@dataclass
class Notes:
    """Remembers what was reported."""

    stages: list[tuple[Stage, float, int | None]] = field(default_factory=list)

    def report(self, stage: Stage, fraction: float, message: str, chunk: int | None = None) -> None:
        self.stages.append((stage, fraction, chunk))

    @property
    def rendered(self) -> set[int | None]:
        return {chunk for stage, _, chunk in self.stages if stage is Stage.RENDER}


@dataclass(frozen=True)
class Made:
    """A video of two chunks that was made in a folder, for tests that look at it or make it again."""

    folder: Path
    stage_input: StageInput
    report: StitchReport
    notes: Notes


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, portrait: Path, voice: Path) -> Made:
    folder, notes = tmp_path_factory.mktemp("made"), Notes()
    stage_input = make_in(folder, portrait, voice)()
    return Made(folder, stage_input, run(stage_input, notes), notes)


@pytest.fixture
def again(made: Made, tmp_path: Path) -> None:
    """The test's folder holds what was made."""
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)


def run(stage_input: StageInput, notes: Notes | None = None) -> StitchReport:
    return run_locally(stage_input, MOUNTS, notes or Notes())


def video_of(stage_input: StageInput) -> Path:
    return Path(stage_input.locations.result.removeprefix("file://") + ".mp4")


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="gray") for frame in file.decode(video=0)]


def test_a_picture_and_a_voice_become_a_video_with_every_frame_and_the_users_own_sound(made: Made, voice: Path) -> None:
    assert made.report.frame_count == 401
    assert_video_is_whole(video_of(made.stage_input), 401, made.report.width, made.report.height)
    assert_sound_is_the_input(video_of(made.stage_input), voice)
    assert made.notes.rendered == {0, 1}
    description = json.loads(video_of(made.stage_input).with_suffix(".json").read_text())
    assert description["aiGenerated"] is True
    assert video_of(made.stage_input).with_suffix(".jpg").stat().st_size > 1_000


def test_the_file_says_that_it_is_ai_generated_and_what_made_it(make: MakeOrder) -> None:
    stage_input = make(video={"maxFrames": 10}, consentReference="contract 17")
    run(stage_input)
    with av.open(str(video_of(stage_input))) as file:
        comment = file.metadata["comment"]
    assert "AI-generated" in comment
    assert "engine preview" in comment
    assert "contract 17" in comment


@pytest.mark.usefixtures("again")
def test_finished_chunks_are_found_again_and_the_result_is_the_same_file(
    make: MakeOrder, made: Made, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "out")
    stage_input, notes = make(), Notes()
    assert run(stage_input, notes).sha256 == made.report.sha256
    assert not notes.rendered


@pytest.mark.usefixtures("again")
def test_another_object_of_the_same_content_renders_nothing(make: MakeOrder) -> None:
    notes = Notes()
    run(make("second"), notes)
    assert not notes.rendered


def test_another_seed_renders_anew(make: MakeOrder) -> None:
    run(make(video={"maxFrames": 5}))
    notes = Notes()
    run(make(video={"maxFrames": 5}, render={"seed": 7}), notes)
    assert notes.rendered


def test_a_video_is_the_same_before_encoding_whether_it_was_one_chunk_or_two(make: MakeOrder, made: Made) -> None:
    one = make("one", chunking={"targetSeconds": 60})
    run(one)
    difference = [
        np.abs(a.astype(int) - b.astype(int)).mean()
        for a, b in zip(frames(video_of(one)), frames(video_of(made.stage_input)), strict=True)
    ]
    assert max(difference) < 2.0


def test_a_video_cut_on_purpose_says_so_and_its_sound_ends_with_it(make: MakeOrder) -> None:
    stage_input, warnings = make(video={"maxFrames": 30}), list[str]()
    report = run_locally(stage_input, MOUNTS, Notes(), lambda plan: warnings.extend(plan.warnings))
    assert report.frame_count == 30
    assert len(decoded_sound(video_of(stage_input))) == pytest.approx(30 / 25 * 48_000, abs=1_100)
    assert any("maxFrames" in warning for warning in warnings)


def test_two_speakers_in_sequence_last_as_long_as_both(make: MakeOrder, tmp_path: Path) -> None:
    voices = [write_voice(tmp_path / f"{n}.wav", seconds=n / 2, seed=n) for n in (1, 2)]
    speakers = [{"audio": {"uri": path.as_uri()}} for path in voices]
    stage_input = make(speech={"speakers": speakers, "arrangement": "Sequential"})
    assert run(stage_input).frame_count == 38


def test_text_is_spoken(make: MakeOrder) -> None:
    stage_input = make(speech={"speakers": [{"text": "The moon is blue.", "voice": "en-us"}]})
    assert 15 < run(stage_input).frame_count < 60


def test_the_same_words_in_two_chunks_of_one_video_are_two_chunks(made: Made) -> None:
    """Old systems called both ``chunk_000.wav`` and mixed up people's speech."""
    keys = {chunk["key"] for chunk in json.loads(video_of(made.stage_input).with_suffix(".json").read_text())["chunks"]}
    assert len(keys) == 2


def test_a_dry_run_plans_and_renders_nothing(make: MakeOrder) -> None:
    stage_input, notes = make(), Notes()
    report = prepare_locally(stage_input, MOUNTS, notes)
    assert sum(report.chunk_frames) == 401
    assert decode_bitmap(report.missing, 2) == [0, 1]
    assert not [stage for stage, _, _ in notes.stages if stage is not Stage.PREPARE]


def test_a_picture_that_is_none_is_refused_by_its_field(make: MakeOrder, tmp_path: Path) -> None:
    (tmp_path / "face.png").write_text("#!/bin/sh\necho this is not a picture\n")
    stage_input = make(source={"image": {"uri": (tmp_path / "face.png").as_uri()}})
    with pytest.raises(StageError) as refusal:
        run(stage_input)
    assert refusal.value.code is ErrorCode.INPUT_VALIDATION
    assert refusal.value.field == "spec.source.image.uri"
    assert not video_of(stage_input).exists()


def test_a_file_behind_an_unchanged_spec_may_change(make: MakeOrder, tmp_path: Path) -> None:
    sound = write_voice(tmp_path / "mine.wav", seconds=0.4)
    stage_input = make(speech={"speakers": [{"audio": {"uri": sound.as_uri()}}]})
    assert run(stage_input).frame_count == 10
    write_voice(sound, seconds=0.8)
    assert run(stage_input).frame_count == 20


def test_exact_sizes_are_delivered(make: MakeOrder) -> None:
    stage_input = make(video={"width": 426, "height": 240, "maxFrames": 5})
    report = run(stage_input)
    assert (report.width, report.height) == (426, 240)
    assert_video_is_whole(video_of(stage_input), 5, 426, 240)


def test_a_voice_that_there_is_not_is_refused_by_its_field(make: MakeOrder) -> None:
    stage_input = make(speech={"speakers": [{"text": "Hello.", "voice": "xx-none"}]})
    with pytest.raises(StageError, match="no voice 'xx-none'") as refusal:
        prepare_locally(stage_input, MOUNTS, Notes())
    assert refusal.value.field == "spec.speech.speakers[0].voice"
