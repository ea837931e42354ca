"""Synthesizes a text into a sound file, with the time of every phoneme.

Kokoro speaks where its weights are available and it has a voice for the language; otherwise espeak-ng speaks. Both run in
processes of their own: espeak-ng because it is licensed under GPL-3, so that nothing here may load it; Kokoro because it
imports torch. Kokoro takes the pronunciation of words from espeak-ng's transcription.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.files import atomic_write
from talkingvideo_worker.speech.kokoro import CONFIG, MODEL, VOICES
from talkingvideo_worker.speech.pronunciation import MNEMONICS, kokoro_symbols, utterances
from talkingvideo_worker.speech.sentences import split_sentences
from talkingvideo_worker.speech.subprocesses import run_subprocess
from talkingvideo_worker.speech.voices import VoiceChoice, choose_voice

LIBRARY = "espeakng_loader"
KOKORO_LIBRARIES = ("kokoro", "torch", "transformers")

MINIMUM_TIMEOUT = 30.0
TIMEOUT_PER_CHARACTER = 0.02
"""Seconds that espeak-ng may take; it needs about a thousandth of them."""

KOKORO_MINIMUM_TIMEOUT = 300.0
KOKORO_TIMEOUT_PER_CHARACTER = 0.5
"""Seconds that Kokoro may take; on two cores it needs about a tenth of them."""

LISTED_VOICES = 12
"""Voices that the message about an unknown voice lists."""


@dataclass(frozen=True)
class SynthesizedSpeech:
    """What ``synthesize`` wrote.

    Attributes:
        duration: Seconds.
        sample_rate: Samples per second of the file.
        phonemes: Start in seconds and espeak-ng mnemonic of every phoneme and pause, in order.
        warnings: What the user should know about the voice, as sentences.
    """

    duration: float
    sample_rate: int
    phonemes: tuple[tuple[float, str], ...]
    warnings: tuple[str, ...] = ()


class UnknownVoiceError(StageError):
    """The voice does not exist; the message lists some that do."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INPUT_VALIDATION, message)


def synthesize(text: str, voice: str | None, out_wav: Path, kokoro: Path | None = None) -> SynthesizedSpeech:
    """Synthesize a text.

    Args:
        text: Plain text; markup is read out, not interpreted.
        voice: A voice of Kokoro (``af_heart``), or espeak-ng's name of a voice or language (``en-us``, ``de``). American
            English when None.
        out_wav: Mono 16-bit file to write; it appears only when complete.
        kokoro: Folder of Kokoro's weights in their published layout, if there may be one.

    Raises:
        StageError: The voice does not exist, the text has no word, the optional extra is missing, or the process failed.
    """
    if find_spec(LIBRARY) is None:
        raise StageError(
            ErrorCode.NOT_SUPPORTED,
            "Speaking text needs the optional extra: install `talkingvideo-worker[speech]`, or give audio instead of text.",
        )
    if not any(character.isalnum() for character in text):
        raise StageError.invalid("The text holds nothing to speak: give at least one word.")
    available = kokoro_voices(kokoro)
    choice = choose_voice(voice, available)
    with atomic_write(out_wav) as unfinished:
        if choice.kokoro is None or kokoro is None:
            return _with_espeak(text, choice, unfinished, available)
        return _with_kokoro(text, choice.kokoro, choice.espeak, unfinished, kokoro)


def kokoro_voices(weights: Path | None) -> frozenset[str]:
    """Voices of Kokoro that are available: none unless libraries and weights are."""
    if weights is None or not all((weights / name).is_file() for name in (CONFIG, MODEL)):
        return frozenset()
    if any(find_spec(library) is None for library in KOKORO_LIBRARIES):
        return frozenset()
    return frozenset(path.stem for path in (weights / VOICES).glob("*.pt"))


def _with_espeak(text: str, choice: VoiceChoice, out: Path, kokoro: frozenset[str]) -> SynthesizedSpeech:
    response = _run_espeak({"text": text, "voice": choice.espeak, "out": str(out)}, len(text))
    if "voices" in response:
        raise _unknown_voice(choice.espeak, sorted(kokoro), response["voices"])
    rate = int(response["sampleRate"])
    phonemes = tuple((sample / rate, mnemonic) for sample, mnemonic in response["phonemes"])
    return SynthesizedSpeech(
        response["samples"] / rate, rate, phonemes, (choice.warning,) if choice.warning is not None else ()
    )


def _with_kokoro(text: str, voice: str, language: str, out: Path, weights: Path) -> SynthesizedSpeech:
    sentences = list(split_sentences(text))
    clauses = [clause.text for sentence in sentences for clause in sentence.clauses]
    transcriptions = _run_espeak({"transcribe": clauses, "voice": language}, len(text))["ipa"]
    symbols = [kokoro_symbols(ipa, language) for ipa in transcriptions]
    request = {
        "weights": str(weights),
        "voice": voice,
        "out": str(out),
        "utterances": [(utterance.symbols, utterance.pause) for utterance in utterances(sentences, symbols)],
    }
    timeout = KOKORO_MINIMUM_TIMEOUT + KOKORO_TIMEOUT_PER_CHARACTER * len(text)
    response = run_subprocess("kokoro", request, timeout, ErrorCode.PIPELINE_LOAD)
    rate = int(response["sampleRate"])
    phonemes = [(sample / rate, MNEMONICS[symbol]) for sample, symbol in response["phonemes"] if symbol in MNEMONICS]
    return SynthesizedSpeech(response["samples"] / rate, rate, tuple(phonemes))


def _run_espeak(request: dict[str, Any], characters: int) -> dict[str, Any]:
    timeout = MINIMUM_TIMEOUT + TIMEOUT_PER_CHARACTER * characters
    return run_subprocess("espeak", request, timeout, ErrorCode.INTERNAL)


def _unknown_voice(voice: str, kokoro: list[str], espeak: list[str]) -> UnknownVoiceError:
    known = [*kokoro, *espeak]
    similar = [name for name in known if name.split("-")[0].split("_")[0] == voice.lower().split("-")[0].split("_")[0]]
    usual = ("en-us", "en-gb", "de", "fr", "es", "it", "pt-br", "nl", "pl", "tr", "cmn")
    listed = dict.fromkeys([*similar[: LISTED_VOICES // 2], *kokoro[: LISTED_VOICES // 3], *usual, *known])
    names = ", ".join([name for name in listed if name in known][:LISTED_VOICES])
    return UnknownVoiceError(f"There is no voice {voice!r}. Some of the {len(known)} available voices are {names}.")
