"""espeak-ng's transcription becomes what Kokoro learnt to read."""

from __future__ import annotations

import pytest
from tests.worker.speech.kokoro_vocabulary import VOCABULARY

from talkingvideo_api.errors import ErrorCode
from talkingvideo_worker.engines.preview import visemes
from talkingvideo_worker.engines.preview.visemes import shape_of
from talkingvideo_worker.speech.pronunciation import (
    MNEMONICS,
    PARAGRAPH_PAUSE,
    SENTENCE_PAUSE,
    Utterance,
    kokoro_symbols,
    utterances,
)
from talkingvideo_worker.speech.sentences import split_sentences
from talkingvideo_worker.speech.subprocesses import run_subprocess

SAID = {
    "en-us": "The merchant's water bottle, near a fair boy: I go out, eat a bird and judge nature's measure; button, rhythm.",
    "en-gb": "The merchant's water bottle, near a fair boy: I go out, eat a bird and judge nature's measure; button, rhythm.",
    "es": "¿Qué tal, señor Pérez? El perro corre por la calle, muy bien. Hoy llueve en Xochimilco.",
    "fr-fr": "Bonjour, un bon vin blanc, une grenouille et le weekend. Il y a huit yeux bleus, peut-être.",
    "hi": "नमस्ते दुनिया, आप कैसे हैं? यह बहुत अच्छा है।",
    "it": "Buongiorno, la pizza e gli gnocchi sono buoni. Che cosa c'è, zio? Azzurro.",
    "pt-br": "Bom dia, não tchau, a mãe e o coração brasileiro. Onde está o meu cachorro?",
}


def transcribed(language: str, text: str) -> str:
    response = run_subprocess("espeak", {"transcribe": [text], "voice": language}, 30, ErrorCode.INTERNAL)
    return kokoro_symbols(response["ipa"][0], language)


@pytest.mark.parametrize("language", SAID)
def test_every_sound_of_a_language_is_one_that_kokoro_knows(language: str) -> None:
    symbols = transcribed(language, SAID[language])
    assert len(symbols) > 40
    assert {symbol for symbol in symbols if symbol not in VOCABULARY} == set()


@pytest.mark.parametrize(
    ("language", "text", "symbols"),
    [
        ("en-us", "merchantship", "mˈɜɹʧəntʃˌɪp"),
        ("en-us", "my boat goes out", "mI bˈOt ɡOz ˈWt"),
        ("en-us", "they joy", "ðA ʤˈY"),
        ("en-us", "bottle", "bˈɑTᵊl"),
        ("en-gb", "my boat", "mI bˈQt"),
        ("en-gb", "bird", "bˈɜːd"),
    ],
)
def test_english_is_written_as_misaki_writes_it(language: str, text: str, symbols: str) -> None:
    """The words are those of misaki's documentation (EN_PHONES.md), or of its diphthongs."""
    assert transcribed(language, text) == symbols


def test_a_foreign_word_leaves_no_name_of_its_language() -> None:
    assert "(" not in transcribed("fr-fr", "le weekend, le meeting, le download")


def test_every_symbol_of_a_voice_moves_the_mouth_as_its_letter_would() -> None:
    silent = set(' "()“”\u0303ᵝꭧˈˌːʰʲ↓→↗↘')
    assert set(VOCABULARY) - set(MNEMONICS) == silent
    assert {symbol for symbol in MNEMONICS if shape_of(MNEMONICS[symbol]) is visemes.REST} == set(".,;:!?—…")
    assert shape_of(MNEMONICS["m"]) is visemes.BILABIAL
    assert shape_of(MNEMONICS["ʧ"]) is visemes.POSTALVEOLAR


def test_a_sentence_is_a_piece_with_a_pause_behind_it() -> None:
    said = list(split_sentences("One, two. Three!\n\nFour?"))
    made = list(utterances(said, ["wˈʌn", "tˈu", "θɹˈi", "fˈɔɹ"]))
    assert made == [
        Utterance("wˈʌn, tˈu.", SENTENCE_PAUSE),
        Utterance("θɹˈi!", PARAGRAPH_PAUSE),
        Utterance("fˈɔɹ?", PARAGRAPH_PAUSE),
    ]


def test_a_long_sentence_is_broken_at_clauses_then_words_and_pauses_once() -> None:
    said = list(split_sentences("A, b, c."))
    made = list(utterances(said, ["x" * 6, "y" * 6, "zz " * 4 + "w" * 25], limit=14))
    assert [utterance.symbols for utterance in made] == ["xxxxxx,", "yyyyyy, zz zz", "zz zz", "w" * 14, "w" * 11 + "."]
    assert [utterance.pause for utterance in made] == [0, 0, 0, 0, PARAGRAPH_PAUSE]


def test_a_clause_that_sounds_like_nothing_is_left_out() -> None:
    said = list(split_sentences("One, 2. Three."))
    assert [utterance.symbols for utterance in utterances(said, ["a", "", "b"])] == ["a,", "b."]
