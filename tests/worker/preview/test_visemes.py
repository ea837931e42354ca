"""Which mouth a phoneme makes."""

from __future__ import annotations

import numpy as np
import pytest

from talkingvideo_worker.engines.preview import lips, shapes, visemes
from talkingvideo_worker.engines.preview.shapes import JAW, PRESS, SPREAD

LOUD = np.full(50, 0.8, np.float32)


@pytest.mark.parametrize(
    ("mnemonic", "shape"),
    [
        ("m", shapes.CLOSED),
        ("b", shapes.CLOSED),
        ("f", shapes.LIP_TEETH),
        ("s", shapes.SIBILANT),
        ("tS", shapes.HUSH),
        ("t", shapes.TIP),
        ("t2", shapes.TIP),
        ("'i:", shapes.EE),
        (",u:", shapes.OO),
        ("'A:", shapes.AH),
        ("@", shapes.UH),
        ("'oU", shapes.OH),
        ("w", shapes.ROUND_GLIDE),
        ("_:", shapes.REST),
        ("_", shapes.REST),
        ("", shapes.REST),
        ("§", shapes.REST),
    ],
)
def test_a_mnemonic_has_its_shape(mnemonic: str, shape: shapes.Shape) -> None:
    assert visemes.shape_of(mnemonic) == shape


def test_a_diphthong_moves_from_one_shape_to_another() -> None:
    parts = visemes.timeline([(0.0, "'aI"), (1.0, "_")], 2.0)
    assert [shape for _, shape, _ in parts] == [shapes.AH, shapes.EE, shapes.REST]
    assert 0.4 < parts[1][0] < 0.7


def test_lips_meet_for_m_between_open_vowels() -> None:
    rows = lips.from_phonemes(visemes.timeline([(0.0, "A:"), (0.96, "m"), (1.08, "A:")], 2.0), LOUD, 25)
    assert rows[25, PRESS] > 0.7
    assert rows[25, JAW] < 0.3 * rows[12, JAW]


def test_lips_follow_the_words() -> None:
    rows = lips.from_phonemes(visemes.timeline([(0.0, "i:"), (1.0, "u:")], 2.0), LOUD, 25)
    assert rows[12, SPREAD] > 0.5
    assert rows[40, SPREAD] < -0.5


def test_before_the_first_phoneme_and_in_silence_the_mouth_rests() -> None:
    phonemes = visemes.timeline([(0.5, "A:")], 2.0)
    assert np.abs(lips.from_phonemes(phonemes, LOUD, 25)[:8]).max() == 0
    assert np.abs(lips.from_phonemes(phonemes, np.zeros(50, np.float32), 25)).max() == 0
