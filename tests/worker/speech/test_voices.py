"""Who speaks: Kokoro where it can, espeak-ng elsewhere, and a warning that says so."""

from __future__ import annotations

import pytest

from talkingvideo_worker.speech.voices import PUBLISHED_VOICES, VoiceChoice, choose_voice

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
    assert choose_voice(voice, THERE) == VoiceChoice(kokoro, language)


@pytest.mark.parametrize(
    ("voice", "there", "espeak", "reason"),
    [
        (None, (), "en-us", "weights are missing"),
        ("de", (), "de", "weights are missing"),
        ("bm_george", (), "en-gb", "bm_george is a voice of Kokoro, whose weights are missing"),
        ("bf_lily", THERE, "en-gb", "the file of Kokoro's voice bf_lily is missing"),
        ("de", THERE, "de", "no voice for de"),
        ("it", THERE, "it", "no voice for it"),
        ("ja", THERE, "ja", "no voice for ja"),
        ("jf_alpha", THERE, "ja", "jf_alpha needs a transcription"),
        ("English (America)", THERE, "English (America)", "no voice for English"),
    ],
)
def test_espeak_speaks_the_right_language_elsewhere_and_the_warning_says_why(
    voice: str | None, there: tuple[str, ...], espeak: str, reason: str
) -> None:
    choice = choose_voice(voice, there)
    assert (choice.kokoro, choice.espeak) == (None, espeak)
    assert choice.warning is not None
    assert reason in choice.warning


def test_a_voice_of_the_administrators_own_is_taken_by_its_file() -> None:
    assert choose_voice("af_ours", {"af_ours"}) == VoiceChoice("af_ours", "en-us")
    assert choose_voice("en-us", {"af_ours"}) == VoiceChoice("af_ours", "en-us")


def test_every_published_voice_has_a_language() -> None:
    assert len(PUBLISHED_VOICES) == 54
    assert all(
        choose_voice(voice, ()).espeak in ("en-us", "en-gb", "es", "fr-fr", "hi", "it", "ja", "pt-br", "cmn")
        for voice in PUBLISHED_VOICES
    )
