"""Which mouth a sound makes."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.worker.preview.conftest import WriteSound, babble

from talkingvideo_api.errors import StageError
from talkingvideo_worker.engines.preview import audio
from talkingvideo_worker.engines.preview.lip_sync import shapes_from_audio, shapes_from_phonemes
from talkingvideo_worker.engines.preview.visemes import JAW, PRESS, ROUNDING, SPREAD, MouthShapes, viseme_timeline
from talkingvideo_worker.units import SAMPLE_RATE

TIMES = np.arange(int(0.4 * SAMPLE_RATE)) / SAMPLE_RATE


def vowel(first: float, second: float) -> NDArray[np.float64]:
    """0.4 s of a voice with two formants, in hertz."""
    harmonics = np.arange(1, 40) * 120.0
    formants = ((first, 1.0), (second, 0.4))
    gains = [sum(gain / (1 + ((hertz - formant) / 90) ** 2) for formant, gain in formants) for hertz in harmonics]
    sound = sum(gain * np.sin(2 * np.pi * hertz * TIMES) for gain, hertz in zip(gains, harmonics, strict=True))
    sound = np.asarray(sound) * np.hanning(len(TIMES)) ** 0.3
    return np.asarray(sound / np.abs(sound).max() * 0.5)


def hiss() -> NDArray[np.float64]:
    noise = np.diff(np.random.default_rng(0).standard_normal(len(TIMES) + 2), n=2)
    return np.asarray(noise / np.abs(noise).max() * 0.2)


SILENCE = np.zeros(len(TIMES))
AH, EE, OO, UH = vowel(750, 1200), vowel(300, 2400), vowel(320, 800), vowel(500, 1500)
PLACES = {"ah": 1, "ee": 3, "oo": 5, "hiss": 7, "silence": 8}


@pytest.fixture
def mouths(write_sound: WriteSound) -> dict[str, NDArray[np.floating]]:
    """The mouth in the middle of each sound."""
    neutral = [SILENCE, UH, UH, UH]
    parts = [SILENCE, AH, SILENCE, EE, SILENCE, OO, SILENCE, hiss(), SILENCE, *neutral]
    levels = audio.band_levels(write_sound("vowels", np.concatenate(parts)), 10 * len(parts))
    rows = shapes_from_audio(levels, audio.loudness(levels))
    return {name: rows[10 * place + 5] for name, place in PLACES.items()}


def test_an_open_vowel_opens_the_jaw_most(mouths: dict[str, NDArray[np.floating]]) -> None:
    assert mouths["ah"][JAW] > 1.3 * mouths["ee"][JAW]
    assert mouths["ah"][JAW] > 1.3 * mouths["oo"][JAW]


def test_front_vowels_spread_and_back_vowels_round_the_lips(mouths: dict[str, NDArray[np.floating]]) -> None:
    assert mouths["ee"][SPREAD] > 0.3
    assert mouths["oo"][SPREAD] < -0.3
    assert mouths["oo"][ROUNDING] > 0.4 > mouths["ee"][ROUNDING]


def test_a_fricative_parts_the_lips_but_keeps_the_teeth_together(mouths: dict[str, NDArray[np.floating]]) -> None:
    assert 0.03 < mouths["hiss"][JAW] < 0.1
    assert mouths["hiss"][SPREAD] > 0.2


def test_silence_rests(mouths: dict[str, NDArray[np.floating]]) -> None:
    assert np.abs(mouths["silence"]).max() < 0.02


def test_a_silent_track_never_moves_the_lips(write_sound: WriteSound) -> None:
    noise = np.random.default_rng(0).standard_normal(32_000) * 1e-4
    levels = audio.band_levels(write_sound("silent", noise), 50)
    assert np.abs(shapes_from_audio(levels, audio.loudness(levels))).max() == 0


def test_lips_meet_in_a_short_gap_between_syllables(write_sound: WriteSound) -> None:
    gap = np.zeros(int(0.08 * SAMPLE_RATE))
    levels = audio.band_levels(write_sound("aba", np.concatenate([SILENCE, AH, gap, AH, SILENCE])), 42)
    rows = shapes_from_audio(levels, audio.loudness(levels))
    middle = rows[19:23]
    assert middle[:, PRESS].max() > 0.4
    assert middle[:, JAW].min() < 0.3 * rows[:, JAW].max()


def test_quiet_speech_opens_the_mouth_like_loud_speech(write_sound: WriteSound) -> None:
    def jaw(gain: float) -> NDArray[np.floating]:
        levels = audio.band_levels(write_sound(f"gain-{gain}", babble(4) * gain), 100)
        opened: NDArray[np.floating] = shapes_from_audio(levels, audio.loudness(levels))[:, JAW]
        return opened

    assert jaw(0.1).max() == pytest.approx(jaw(1.0).max(), rel=0.15)


@pytest.mark.parametrize("block", [1, 7, 64])
def test_reading_by_blocks_changes_nothing(
    write_sound: WriteSound, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    path = write_sound("babble", babble(3))
    whole = audio.band_levels(path, 75)
    monkeypatch.setattr(audio, "BLOCK", block)
    assert np.allclose(audio.band_levels(path, 75), whole, atol=1e-3)


def test_a_frame_hears_its_own_moment(write_sound: WriteSound) -> None:
    click = np.zeros(SAMPLE_RATE)
    click[12 * 640 + 320] = 0.9
    levels = audio.band_levels(write_sound("click", click), 25)
    assert int(levels.max(axis=1).argmax()) == 12


def test_missing_sound_at_the_end_is_silence(write_sound: WriteSound) -> None:
    levels = audio.band_levels(write_sound("short", babble(1)), 40)
    assert levels.shape == (40, 5)
    assert levels[27:].max() < -85


def test_other_layouts_of_sound_are_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "stereo.wav"), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(44_100)
        sound.writeframes(bytes(400))
    with pytest.raises(StageError, match="16 kHz mono"):
        audio.band_levels(tmp_path / "stereo.wav", 1)


def test_shapes_have_a_row_for_every_frame(write_sound: WriteSound) -> None:
    for frames in (1, 2, 5, 33):
        levels = audio.band_levels(write_sound(f"babble-{frames}", babble(frames / 25)), frames)
        rows: MouthShapes = shapes_from_audio(levels, audio.loudness(levels))
        assert rows.shape == (frames, 6)
        assert np.isfinite(rows).all()


@pytest.mark.parametrize("frames", [1, 2, 3, 25])
def test_a_text_may_be_cut_to_any_number_of_frames(frames: int) -> None:
    timeline = viseme_timeline([(0.0, "h"), (0.02, "a"), (0.5, "l")], frames / 25)
    assert shapes_from_phonemes(timeline, np.ones(frames, np.float32), 25).shape[0] == frames
