"""Which mouth a phoneme makes."""

from __future__ import annotations

import numpy as np
import pytest

from talkingvideo_worker.engines.preview import visemes
from talkingvideo_worker.engines.preview.lip_sync import shapes_from_phonemes
from talkingvideo_worker.engines.preview.visemes import JAW, PRESS, SPREAD, viseme_timeline

LOUD = np.full(50, 0.8, np.float32)


@pytest.mark.parametrize(
    ("mnemonic", "shape"),
    [
        ("m", visemes.BILABIAL),
        ("b", visemes.BILABIAL),
        ("f", visemes.LABIODENTAL),
        ("s", visemes.SIBILANT),
        ("tS", visemes.POSTALVEOLAR),
        ("t", visemes.ALVEOLAR),
        ("t2", visemes.ALVEOLAR),
        ("'i:", visemes.EE),
        (",u:", visemes.OO),
        ("'A:", visemes.AH),
        ("@", visemes.UH),
        ("'oU", visemes.OH),
        ("w", visemes.ROUNDED_GLIDE),
        ("_:", visemes.REST),
        ("_", visemes.REST),
        ("", visemes.REST),
        ("§", visemes.REST),
    ],
)
def test_a_mnemonic_has_its_shape(mnemonic: str, shape: visemes.MouthShape) -> None:
    assert visemes.shape_of(mnemonic) == shape


def test_a_diphthong_moves_from_one_shape_to_another() -> None:
    parts = viseme_timeline([(0.0, "'aI"), (1.0, "_")], 2.0)
    assert [shape for _, shape, _ in parts] == [visemes.AH, visemes.EE, visemes.REST]
    assert 0.4 < parts[1][0] < 0.7


def test_lips_meet_for_m_between_open_vowels() -> None:
    rows = shapes_from_phonemes(viseme_timeline([(0.0, "A:"), (0.96, "m"), (1.08, "A:")], 2.0), LOUD, 25)
    assert rows[25, PRESS] > 0.7
    assert rows[25, JAW] < 0.3 * rows[12, JAW]


def test_lips_follow_the_words() -> None:
    rows = shapes_from_phonemes(viseme_timeline([(0.0, "i:"), (1.0, "u:")], 2.0), LOUD, 25)
    assert rows[12, SPREAD] > 0.5
    assert rows[40, SPREAD] < -0.5


def test_before_the_first_phoneme_and_in_silence_the_mouth_rests() -> None:
    phonemes = viseme_timeline([(0.5, "A:")], 2.0)
    assert np.abs(shapes_from_phonemes(phonemes, LOUD, 25)[:8]).max() == 0
    assert np.abs(shapes_from_phonemes(phonemes, np.zeros(50, np.float32), 25)).max() == 0
