"""Speak a text into a file, with the moment of every sound.

Kokoro speaks where its weights are and it has a voice of the language, and espeak-ng elsewhere. Both live in processes of
their own: espeak-ng because it is licensed under GPL-3, so that nothing here may load it; Kokoro because it brings torch.
Kokoro is told by espeak-ng's transcription how words are pronounced.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.speech.kokoro import CONFIG, MODEL, VOICES
from talkingvideo_worker.speech.pronunciation import MNEMONICS, kokoro_symbols, pieces
from talkingvideo_worker.speech.sentences import sentences
from talkingvideo_worker.speech.subprocesses import run_child
from talkingvideo_worker.speech.voices import Choice, choose

LIBRARY = "espeakng_loader"
KOKORO_LIBRARIES = ("kokoro", "torch", "transformers")

LEAST_SECONDS = 30.0
SECONDS_PER_CHARACTER = 0.02
"""Time limit of espeak-ng, which needs about a thousandth of it."""

KOKORO_LEAST_SECONDS = 300.0
KOKORO_SECONDS_PER_CHARACTER = 0.5
"""Time limit of Kokoro, which needs about a tenth of it on two cores."""

SHOWN_VOICES = 12


@dataclass(frozen=True)
class Speech:
    """A spoken text.

    Attributes:
        duration: Seconds.
        sample_rate: Of the file, hertz.
        phonemes: Start in seconds and espeak-ng mnemonic of every sound and pause, in order.
        notes: What the user should know about the voice.
    """

    duration: float
    sample_rate: int
    phonemes: tuple[tuple[float, str], ...]
    notes: tuple[str, ...] = ()


class UnknownVoiceError(StageError):
    """There is no such voice; the message names some that there are."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INPUT_VALIDATION, message)


def speak(text: str, voice: str | None, out_wav: Path, kokoro: Path | None = None) -> Speech:
    """Speak a text.

    Args:
        text: Plain text; markup is read out, not obeyed.
        voice: A voice of Kokoro (``af_heart``), or espeak-ng's name of a voice or language (``en-us``, ``de``); American
            English when None.
        out_wav: Mono 16-bit file to write; appears only when complete.
        kokoro: Folder of Kokoro's weights as they are published, if there may be one.

    Raises:
        StageError: No such voice, nothing to speak, the optional extra is missing, or the process failed.
    """
    if find_spec(LIBRARY) is None:
        raise StageError(
            ErrorCode.NOT_SUPPORTED,
            "Speaking text needs the optional extra: install `talkingvideo-worker[speech]`, or give audio instead of text.",
        )
    if not any(character.isalnum() for character in text):
        raise StageError.invalid("The text holds nothing to speak: give at least one word.")
    there = kokoro_voices(kokoro)
    choice = choose(voice, there)
    part = out_wav.with_name(out_wav.name + ".part")
    try:
        if choice.kokoro is None or kokoro is None:
            speech = _by_espeak(text, choice, part, there)
        else:
            speech = _by_kokoro(text, choice.kokoro, choice.espeak, part, kokoro)
        part.replace(out_wav)
    finally:
        part.unlink(missing_ok=True)
    return speech


def kokoro_voices(weights: Path | None) -> frozenset[str]:
    """Voices of Kokoro that can speak here: none unless libraries and weights are there."""
    if weights is None or not all((weights / name).is_file() for name in (CONFIG, MODEL)):
        return frozenset()
    if any(find_spec(library) is None for library in KOKORO_LIBRARIES):
        return frozenset()
    return frozenset(path.stem for path in (weights / VOICES).glob("*.pt"))


def _by_espeak(text: str, choice: Choice, out: Path, there: frozenset[str]) -> Speech:
    order = {"text": text, "voice": choice.espeak, "out": str(out)}
    answer = _espeak(order, len(text))
    if "voices" in answer:
        raise _unknown_voice(choice.espeak, sorted(there), answer["voices"])
    rate = int(answer["sampleRate"])
    phonemes = tuple((sample / rate, mnemonic) for sample, mnemonic in answer["phonemes"])
    return Speech(answer["samples"] / rate, rate, phonemes, (choice.note,) if choice.note else ())


def _by_kokoro(text: str, voice: str, language: str, out: Path, weights: Path) -> Speech:
    spoken = list(sentences(text))
    clauses = [clause.text for sentence in spoken for clause in sentence.clauses]
    heard = _espeak({"transcribe": clauses, "voice": language}, len(text))["ipa"]
    symbols = [kokoro_symbols(ipa, language) for ipa in heard]
    order = {
        "weights": str(weights),
        "voice": voice,
        "out": str(out),
        "pieces": [(piece.symbols, piece.pause) for piece in pieces(spoken, symbols)],
    }
    limit = KOKORO_LEAST_SECONDS + KOKORO_SECONDS_PER_CHARACTER * len(text)
    answer = run_child("kokoro", order, limit, ErrorCode.PIPELINE_LOAD)
    rate = int(answer["sampleRate"])
    phonemes = [(sample / rate, MNEMONICS[symbol]) for sample, symbol in answer["phonemes"] if symbol in MNEMONICS]
    return Speech(answer["samples"] / rate, rate, tuple(phonemes))


def _espeak(order: dict[str, Any], characters: int) -> dict[str, Any]:
    return run_child("espeak", order, LEAST_SECONDS + SECONDS_PER_CHARACTER * characters, ErrorCode.INTERNAL)


def _unknown_voice(voice: str, kokoro: list[str], espeak: list[str]) -> UnknownVoiceError:
    known = [*kokoro, *espeak]
    alike = [name for name in known if name.split("-")[0].split("_")[0] == voice.lower().split("-")[0].split("_")[0]]
    usual = ("en-us", "en-gb", "de", "fr", "es", "it", "pt-br", "nl", "pl", "tr", "cmn")
    shown = dict.fromkeys([*alike[: SHOWN_VOICES // 2], *kokoro[: SHOWN_VOICES // 3], *usual, *known])
    names = ", ".join([name for name in shown if name in known][:SHOWN_VOICES])
    return UnknownVoiceError(f"There is no voice {voice!r}. Some of the {len(known)} there are: {names}.")
