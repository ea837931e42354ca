"""Who speaks: Kokoro where it can, espeak-ng elsewhere, and a note that says so."""

from __future__ import annotations

import pytest

from talkingvideo_worker.speech.voices import PUBLISHED, Choice, choose

THERE = {"af_sky", "af_heart", "bm_george", "ff_siwis", "jf_alpha"}


@pytest.mark.parametrize(
    ("voice", "kokoro", "language"),
    [
        (None, "af_heart", "en-us"),
        ("af_sky", "af_sky", "en-us"),
        ("bm_george", "bm_george", "en-gb"),
        ("en", "af_heart", "en-us"),
        ("EN-US", "af_heart", "en-us"),
        ("en-gb", "bm_george", "en-gb"),
        ("fr", "ff_siwis", "fr-fr"),
    ],
)
def test_kokoro_speaks_where_it_has_the_voice_or_one_of_the_language(
    voice: str | None, kokoro: str, language: str
) -> None:
    assert choose(voice, THERE) == Choice(kokoro, language)


@pytest.mark.parametrize(
    ("voice", "there", "espeak", "reason"),
    [
        (None, (), "en-us", "weights are not there"),
        ("de", (), "de", "weights are not there"),
        ("bm_george", (), "en-gb", "bm_george is a voice of Kokoro, whose weights are not there"),
        ("bf_lily", THERE, "en-gb", "not the file of its voice bf_lily"),
        ("de", THERE, "de", "no voice for de"),
        ("it", THERE, "it", "no voice for it"),
        ("ja", THERE, "ja", "no voice for ja"),
        ("jf_alpha", THERE, "ja", "jf_alpha needs a transcription"),
        ("English (America)", THERE, "English (America)", "no voice for English"),
    ],
)
def test_espeak_speaks_the_right_language_elsewhere_and_the_note_says_why(
    voice: str | None, there: tuple[str, ...], espeak: str, reason: str
) -> None:
    choice = choose(voice, there)
    assert (choice.kokoro, choice.espeak) == (None, espeak)
    assert choice.note is not None
    assert reason in choice.note


def test_a_voice_of_the_administrators_own_is_taken_by_its_file() -> None:
    assert choose("af_ours", {"af_ours"}) == Choice("af_ours", "en-us")
    assert choose("en-us", {"af_ours"}) == Choice("af_ours", "en-us")


def test_every_published_voice_has_a_language() -> None:
    assert len(PUBLISHED) == 54
    assert all(
        choose(voice, ()).espeak in ("en-us", "en-gb", "es", "fr-fr", "hi", "it", "ja", "pt-br", "cmn")
        for voice in PUBLISHED
    )
