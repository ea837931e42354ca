"""Who speaks when and where: turns in one recording, texts one after another, masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.worker.stages.conftest import StageInputFactory, write_voice
from tests.worker.stages.test_sources import chart, prepared, region

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import SOUND_NAME, Plan
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.media.wav import count_samples, read_samples
from talkingvideo_worker.speech.weights import KOKORO
from talkingvideo_worker.stages.prepare.turns import PAUSE, phonemes_within
from talkingvideo_worker.stages.render_input import make_render_input

pytestmark = pytest.mark.media

RATE = 16_000


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder: the tests use no weights of this machine, only those that they write."""
    monkeypatch.setenv("TALKINGVIDEO_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def turn(speaker: int, start: float, end: float) -> dict[str, float]:
    return {"speaker": speaker, "start": start, "end": end}


def level(track: NDArray[np.int16], start: float, end: float) -> float:
    """Root mean square of a part in seconds."""
    return float(np.sqrt(np.square(track[round(start * RATE) : round(end * RATE)].astype(float)).mean()))


def tracks_of(plan: Plan, folder: Path) -> list[NDArray[np.int16]]:
    paths = [folder / track.file for track in plan.tracks]
    return [read_samples(path, 0, count_samples(path)) for path in paths]


def conversation(
    new_stage_input: StageInputFactory, folder: Path, turns: list[dict[str, float]], **second: Any
) -> StageInput:
    """A recording of 2.6 s whose first 1.6 s are voiced without a pause."""
    sound = write_voice(folder / "both.wav", seconds=2.6)
    return new_stage_input(speech={"speakers": [{"audio": {"uri": sound.as_uri()}}, second], "turns": turns})


def test_each_speaker_is_heard_in_its_turns_alone(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    turns = [turn(0, 0, 0.5), turn(1, 0.4, 1.0), turn(0, 1.2, 1.5)]
    plan, folder = prepared(conversation(new_stage_input, tmp_path, turns), tmp_path / "scratch")
    first, second = tracks_of(plan, folder)
    assert len(first) == len(second) == round(2.6 * RATE)
    assert min(level(first, 0.02, 0.48), level(first, 1.22, 1.48), level(second, 0.42, 0.98)) > 100
    assert not first[round(0.5 * RATE) : round(1.2 * RATE)].any()
    assert not second[: round(0.4 * RATE)].any()
    assert not second[round(1.0 * RATE) :].any()
    both = slice(round(0.42 * RATE), round(0.48 * RATE))
    assert np.array_equal(first[both], second[both])
    assert [track.region for track in plan.tracks] == [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)]


def test_the_delivered_sound_is_the_whole_recording(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    with_turns, folder = prepared(conversation(new_stage_input, tmp_path, [turn(1, 0.2, 0.4)]), tmp_path / "turns")
    alone = new_stage_input(speech={"speakers": [{"audio": {"uri": (tmp_path / "both.wav").as_uri()}}]})
    without, _ = prepared(alone, tmp_path / "alone")
    assert with_turns.files[SOUND_NAME] == without.files[SOUND_NAME]
    assert (with_turns.sound_seconds, with_turns.frames) == (2.6, 65)
    with av.open(str(folder / "sound.m4a")) as sound:
        assert sound.duration == pytest.approx(2_600_000, abs=25_000)


def test_a_turn_past_the_end_is_refused_by_its_number(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    stage_input = conversation(new_stage_input, tmp_path, [turn(0, 0, 1), turn(1, 1, 2.7)])
    with pytest.raises(StageError, match=r"ends at 2\.7 s, but the recording lasts 2\.60 s") as refused:
        prepared(stage_input, tmp_path / "scratch")
    assert refused.value.code is ErrorCode.INPUT_VALIDATION
    assert refused.value.field == "spec.speech.turns[1].end"


def test_a_turn_may_end_where_a_rounded_length_says(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    plan, _ = prepared(conversation(new_stage_input, tmp_path, [turn(0, 0, 2.63)]), tmp_path / "scratch")
    assert plan.frames == 65


def test_one_speaker_may_have_turns_beside_a_voice_that_is_nobodys(
    new_stage_input: StageInputFactory, tmp_path: Path
) -> None:
    sound = write_voice(tmp_path / "narrator.wav", seconds=2.6)
    stage_input = new_stage_input(speech={"speakers": [{"audio": {"uri": sound.as_uri()}}], "turns": [turn(0, 0.5, 1)]})
    plan, folder = prepared(stage_input, tmp_path / "scratch")
    (track,) = tracks_of(plan, folder)
    assert not track[: RATE // 2].any()
    assert level(track, 0.52, 0.98) > 100
    assert plan.tracks[0].region is None


def test_other_turns_are_another_chunk(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    keys = set()
    for number, end in enumerate((0.5, 0.5, 0.6)):
        stage_input = conversation(new_stage_input, tmp_path, [turn(0, 0, end), turn(1, 1, 1.4)])
        plan, _ = prepared(stage_input, tmp_path / f"scratch-{number}")
        keys.add(plan.chunks[0].key)
    assert len(keys) == 2


def test_the_sounds_of_a_text_belong_to_who_has_the_turn() -> None:
    sounds = ((0.0, "m"), (0.5, "a"), (1.0, "b"), (1.5, "e"), (2.0, "_:"))
    assert phonemes_within(sounds, ((0.4, 1.0), (1.5, 1.7))) == ((0.5, "a"), (1.0, PAUSE), (1.5, "e"), (1.7, PAUSE))
    assert phonemes_within(sounds, ((2.5, 3.0),)) == ()


def test_two_texts_are_spoken_in_turn(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    speech = {"speakers": [{"text": "One two three.", "voice": "en-us"}, {"text": "Four five.", "voice": "en-gb"}]}
    plan, folder = prepared(new_stage_input(speech=speech), tmp_path / "scratch")
    first, second = tracks_of(plan, folder)
    begin = plan.tracks[1].phonemes[0][0]
    assert 0.5 < begin < plan.sound_seconds
    assert max(start for start, _ in plan.tracks[0].phonemes) <= begin
    assert not second[: round(0.9 * begin * RATE)].any()
    assert level(first, 0, 0.5) > 100


def test_two_texts_are_spoken_at_once_when_asked(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    speakers = [{"text": "One two three."}, {"text": "Four five."}]
    plan, folder = prepared(
        new_stage_input(speech={"speakers": speakers, "arrangement": "Parallel"}), tmp_path / "scratch"
    )
    assert min(level(track, 0, 0.5) for track in tracks_of(plan, folder)) > 100


def test_a_text_spoken_by_espeak_says_so(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    plan, _ = prepared(
        new_stage_input(speech={"speakers": [{"text": "Guten Tag.", "voice": "de"}]}), tmp_path / "scratch"
    )
    assert "espeak-ng (de) spoke the text: Kokoro's weights are missing." in plan.warnings


@pytest.mark.model
def test_a_text_is_spoken_by_kokoro_where_its_weights_are(
    new_stage_input: StageInputFactory, tmp_path: Path, weights: Path
) -> None:
    from tests.worker.speech.tiny_kokoro import write_tiny_kokoro

    write_tiny_kokoro(weights / KOKORO, "af_heart")
    stage_input = new_stage_input(speech={"speakers": [{"text": "Mama."}, {}], "turns": [turn(1, 0.0, 0.6)]})
    plan, folder = prepared(stage_input, tmp_path / "scratch")
    assert not [warning for warning in plan.warnings if "espeak" in warning]
    assert plan.tracks[0].phonemes == ()
    assert [sound for _, sound in plan.tracks[1].phonemes] == ["m", "A", "m", "@", "_:", "_:"]
    first, second = tracks_of(plan, folder)
    assert not first.any()
    assert second.any()


def painted(path: Path, shape: tuple[int, int], **white: tuple[int, int]) -> dict[str, str]:
    """A mask with a white rectangle, as a reference to it."""
    mask = np.zeros(shape, np.uint8)
    mask[slice(*white["rows"]), slice(*white["columns"])] = 255
    Image.fromarray(mask).save(path)
    return {"uri": path.as_uri()}


def masked(new_stage_input: StageInputFactory, folder: Path, mask: dict[str, str], **second: Any) -> StageInput:
    """A square chart shown at 16:9, so that rows are cut off."""
    sound = {"uri": write_voice(folder / "voice.wav", seconds=0.4).as_uri()}
    return new_stage_input(
        source={"image": {"uri": chart(folder / "chart.png").as_uri()}},
        speech={"speakers": [{"audio": sound, "mask": mask}, {"audio": sound, **second}]},
        video={"aspectRatio": "16:9"},
    )


def test_a_speakers_mask_follows_the_crop(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    """The mask is smaller than the source: only shapes must agree."""
    mask = painted(tmp_path / "mask.png", (256, 256), rows=(102, 154), columns=(26, 102))
    stage_input = masked(new_stage_input, tmp_path, mask, region=region(0.6, 0.25, 0.25, 0.3))
    plan, folder = prepared(stage_input, tmp_path / "scratch")
    assert [(track.mask, track.region is None) for track in plan.tracks] == [("mask-0.png", True), (None, False)]
    picture, shown = np.asarray(Image.open(folder / plan.picture)), np.asarray(Image.open(folder / "mask-0.png"))
    assert shown.shape == (plan.height, plan.width)
    assert set(np.unique(shown)) == {0, 255}
    rows, columns = np.nonzero(shown)
    seen = [picture[0, columns.min(), 0], picture[0, columns.max(), 0], picture[rows.min(), 0, 2]]
    assert [each / 255 for each in seen] == pytest.approx([26 / 256, 102 / 256, 102 / 256], abs=0.02)


def test_engines_are_given_the_mask(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    mask = painted(tmp_path / "mask.png", (256, 256), rows=(102, 154), columns=(26, 102))
    stage_input = masked(new_stage_input, tmp_path, mask)
    plan, folder = prepared(stage_input, tmp_path / "scratch")
    assert "mask-0.png" in plan.files_of(Stage.RENDER)
    assert [track.mask for track in make_render_input(plan, stage_input, folder).tracks] == [
        folder / "mask-0.png",
        None,
    ]


def test_another_mask_is_another_chunk(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    keys = set()
    for number, right in enumerate((102, 102, 110)):
        mask = painted(tmp_path / "mask.png", (256, 256), rows=(102, 154), columns=(26, right))
        plan, _ = prepared(masked(new_stage_input, tmp_path, mask), tmp_path / f"scratch-{number}")
        keys.add(plan.chunks[0].key)
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("shape", "rows", "message"),
    [
        ((256, 256), (0, 0), "no white"),
        ((256, 256), (0, 10), "no white inside the part of the picture that the video shows"),
        ((256, 200), (100, 150), "200 x 256, the source 512 x 512"),
    ],
    ids=["black", "cut away", "another shape"],
)
def test_a_mask_that_shows_nobody_is_refused(
    new_stage_input: StageInputFactory, tmp_path: Path, shape: tuple[int, int], rows: tuple[int, int], message: str
) -> None:
    mask = painted(tmp_path / "mask.png", shape, rows=rows, columns=(26, 102))
    with pytest.raises(StageError, match=message) as refused:
        prepared(masked(new_stage_input, tmp_path, mask), tmp_path / "scratch")
    assert refused.value.code is ErrorCode.INPUT_VALIDATION
    assert refused.value.field == "spec.speech.speakers[0].mask.uri"


def test_the_preview_takes_the_face_that_is_painted(
    new_stage_input: StageInputFactory, tmp_path: Path, portrait: Path
) -> None:
    """Two faces side by side: the speaker of the first track is painted on the right."""
    face = Image.open(portrait).convert("RGB")
    both = Image.new("RGB", (1024, 512))
    both.paste(face, (0, 0))
    both.paste(face, (512, 0))
    both.save(tmp_path / "both.png")
    voice = {"uri": write_voice(tmp_path / "voice.wav", seconds=0.4).as_uri()}
    mask = painted(tmp_path / "mask.png", (512, 1024), rows=(60, 180), columns=(680, 790))
    stage_input = new_stage_input(
        source={"image": {"uri": (tmp_path / "both.png").as_uri()}},
        speech={"speakers": [{"audio": voice, "mask": mask}]},
    )
    plan, folder = prepared(stage_input, tmp_path / "scratch")
    points = np.fromfile(folder / "engine" / "points-0.f32", np.float32).reshape(-1, 2)
    assert points[:, 0].min() > plan.width / 2
