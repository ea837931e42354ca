"""Loudness and arrangement of tracks against the published code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.worker.infinitetalk.parity import frozen
from tests.worker.infinitetalk.parity.conftest import read_recording
from tests.worker.infinitetalk.parity.published_sound import TARGET_LUFS, arranged, integrated_loudness, normalised
from tests.worker.infinitetalk.parity.summaries import assert_matches_summary

from talkingvideo_api.spec import Arrangement

RECORD, ARRAYS = read_recording("misc")
TOLERANCE = 1e-5
VOICES = frozen.MISC["voices"]


def voice(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(frozen.misc_voice(frozen.MISC, name, VOICES[name][0]), np.float64)


@pytest.mark.parametrize("name", VOICES)
def test_loudness(name: str) -> None:
    recorded = RECORD["loudness"][name]
    assert integrated_loudness(voice(name)) == pytest.approx(recorded["lufs"], abs=1e-5)
    assert 10 ** ((TARGET_LUFS - integrated_loudness(voice(name))) / 20) == pytest.approx(recorded["gain"], rel=1e-6)
    assert normalised(voice(name)).dtype == recorded["out_dtype"]
    assert_matches_summary(normalised(voice(name)), recorded["out"], TOLERANCE)
    np.testing.assert_allclose(normalised(voice(name))[::100], ARRAYS[f"loudness.{name}"], rtol=0, atol=TOLERANCE)


def test_silence_is_unchanged() -> None:
    assert_matches_summary(normalised(np.zeros(16_000)), RECORD["loudness"]["silence"]["out"], 0)


ARRANGEMENTS = {"add": Arrangement.SEQUENTIAL, "para": Arrangement.PARALLEL}


@pytest.mark.parametrize("name", [name for name, record in RECORD["mix"].items() if isinstance(record, list)])
def test_two_tracks(name: str) -> None:
    kind, *names = name.split(".")
    sounds = [None if one == "None" else normalised(voice(one)) for one in names]
    first, second = arranged(ARRANGEMENTS[kind], *sounds)
    results = {"p1": first, "p2": second, "sum": first + second}
    for (part, found), recorded in zip(results.items(), RECORD["mix"][name], strict=True):
        assert_matches_summary(found, recorded, TOLERANCE)
        np.testing.assert_allclose(found[::100], ARRAYS[f"mix.{name}.{part}"], rtol=0, atol=TOLERANCE)


def test_the_shorter_of_two_tracks_ends_with_silence() -> None:
    first, second = arranged(Arrangement.PARALLEL, voice("a"), voice("b"))
    assert len(first) == len(second) == len(voice("a"))
    assert (second[: len(voice("b"))] == voice("b")).all()
    assert not second[len(voice("b")) :].any()
