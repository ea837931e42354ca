"""Sources of a video: a picture that is cropped, a video that is dubbed, speakers with a region each."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.e2e.result import assert_sound_is_the_input, assert_video_is_whole
from tests.worker.stages.conftest import StageInputFactory, write_voice

from talkingvideo_api.plan import Plan
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.local.documents import Documents
from talkingvideo_worker.local.run import LocalMounts, run_locally
from talkingvideo_worker.progress import LogReporter
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.fetch import fetch
from talkingvideo_worker.stages.prepare.folders import prepared_folder
from talkingvideo_worker.stages.prepare.process import process

pytestmark = pytest.mark.media


def prepared(stage_input: StageInput, scratch: Path) -> tuple[Plan, Path]:
    """What prepare would publish: the plan, and its folder."""
    context = StageContext(stage_input, Mounts(scratch, scratch, scratch), scratch, LogReporter())
    fetch(context)
    process(context)
    folder = prepared_folder(scratch)
    return Plan.model_validate_json((folder / "plan.json").read_text()), folder


def chart(path: Path, side: int = 512) -> Path:
    """A picture whose red says how far right a pixel is, and whose blue how far down: 0..255."""
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    picture = np.zeros((side, side, 3), np.uint8)
    picture[..., 0], picture[..., 2] = ramp, ramp[:, None]
    Image.fromarray(picture).save(path)
    return path


def region(left: float, top: float, width: float, height: float) -> dict[str, float]:
    return {"left": left, "top": top, "width": width, "height": height}


def two_speakers(new_stage_input: StageInputFactory, folder: Path, *regions: dict[str, float] | None) -> StageInput:
    sound = write_voice(folder / "voice.wav", seconds=0.4)
    speakers: list[dict[str, Any]] = [{"audio": {"uri": sound.as_uri()}} for _ in regions]
    for speaker, area in zip(speakers, regions, strict=True):
        if area is not None:
            speaker["region"] = area
    return new_stage_input(
        source={"image": {"uri": chart(folder / "chart.png").as_uri()}},
        speech={"speakers": speakers},
        video={"aspectRatio": "16:9"},
    )


def seen(picture: NDArray[np.uint8], area: tuple[float, float, float, float]) -> list[float]:
    """The chart's position at an area's left, top, right and bottom edge, 0..1."""
    height, width = picture.shape[:2]
    x = [round(edge * (width - 1)) for edge in (area[0], area[0] + area[2])]
    y = [round(edge * (height - 1)) for edge in (area[1], area[1] + area[3])]
    return [picture[0, x[0], 0] / 255, picture[y[0], 0, 2] / 255, picture[0, x[1], 0] / 255, picture[y[1], 0, 2] / 255]


def test_a_speakers_region_follows_the_crop(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    stage_input = two_speakers(new_stage_input, tmp_path, region(0.1, 0.4, 0.3, 0.2), region(0.6, 0.25, 0.25, 0.3))
    plan, folder = prepared(stage_input, tmp_path / "scratch")
    picture = np.asarray(Image.open(folder / plan.picture))
    assert plan.width == 2 * plan.height
    for track, wanted in zip(plan.tracks, ([0.1, 0.4, 0.4, 0.6], [0.6, 0.25, 0.85, 0.55]), strict=True):
        assert track.region is not None
        assert seen(picture, track.region) == pytest.approx(wanted, abs=0.02)


def test_speakers_without_a_region_have_half_the_picture_each(
    new_stage_input: StageInputFactory, tmp_path: Path
) -> None:
    plan, _ = prepared(two_speakers(new_stage_input, tmp_path, None, None), tmp_path / "scratch")
    assert [track.region for track in plan.tracks] == [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)]


def test_a_speaker_whose_region_is_cut_away_gets_a_warning_and_the_video_is_made(
    new_stage_input: StageInputFactory, tmp_path: Path
) -> None:
    stage_input, warnings = (
        two_speakers(new_stage_input, tmp_path, region(0, 0, 0.1, 0.1), region(0.5, 0.4, 0.5, 0.2)),
        list[str](),
    )
    mounts = LocalMounts({}, Documents((), {}))
    report = run_locally(stage_input, mounts, LogReporter(), lambda plan: warnings.extend(plan.warnings))
    assert report.frame_count == 10
    assert any("speaker 1" in warning for warning in warnings)


LIGHT = np.linspace(0.4, 1.0, 25)
"""Brightness of the film's frames."""


def film(path: Path, portrait: Path) -> Path:
    """A second in which a portrait is lit more and more, with a tone of its own."""
    picture = np.asarray(Image.open(portrait).resize((320, 320)), np.float32)
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("libx264", rate=25, options={"crf": "10"})
        pictures.width, pictures.height, pictures.pix_fmt = 320, 320, "yuv420p"
        sound = file.add_stream("aac", rate=48_000, layout="mono")
        for light in LIGHT:
            lit = (picture * light).astype(np.uint8)
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(lit, format="rgb24")))
        tone = (0.5 * np.sin(2 * np.pi * 3_000 * np.arange(48_000) / 48_000)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(tone[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        file.mux(sound.encode(frame))
        for stream in (pictures, sound):
            file.mux(stream.encode(None))
    return path


def test_a_film_is_dubbed_frame_by_frame_and_its_own_sound_is_dropped(
    new_stage_input: StageInputFactory, portrait: Path, tmp_path: Path
) -> None:
    sound = write_voice(tmp_path / "voice.wav", seconds=1.4)
    stage_input = new_stage_input(
        source={"video": {"uri": film(tmp_path / "film.mp4", portrait).as_uri()}},
        speech={"speakers": [{"audio": {"uri": sound.as_uri()}}]},
    )
    run_locally(stage_input, LocalMounts({}, Documents((), {})), LogReporter())
    result = Path(stage_input.locations.result.removeprefix("file://") + ".mp4")
    assert_video_is_whole(result, 35, 640, 640)
    assert_sound_is_the_input(result, sound)
    with av.open(str(result)) as file:
        levels = np.array([frame.to_ndarray(format="rgb24").mean() for frame in file.decode(video=0)])
    expected = np.array([*LIGHT, *[LIGHT[-1]] * 10])
    assert levels / levels[-1] == pytest.approx(expected, abs=0.02)  # frames differ by 0.025
