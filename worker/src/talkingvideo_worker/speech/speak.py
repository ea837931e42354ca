"""Speak a text into a file, with the moment of every sound.

espeak-ng is licensed under GPL-3, so it is an optional extra and lives in a process of its own: nothing here loads it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from talkingvideo_api.errors import ErrorCode, StageError

LIBRARY = "espeakng_loader"

LEAST_SECONDS = 30.0
SECONDS_PER_CHARACTER = 0.02
"""Time limit of the process; espeak-ng needs about a thousandth of it."""

SHOWN_VOICES = 12


@dataclass(frozen=True)
class Speech:
    """A spoken text.

    Attributes:
        duration: Seconds.
        sample_rate: Of the file, hertz.
        phonemes: Start in seconds and espeak-ng mnemonic of every sound and pause, in order.
    """

    duration: float
    sample_rate: int
    phonemes: tuple[tuple[float, str], ...]


class UnknownVoiceError(StageError):
    """There is no such voice; the message names some that there are."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INPUT_VALIDATION, message)


def speak(text: str, voice: str, out_wav: Path) -> Speech:
    """Speak a text.

    Args:
        text: Plain text; markup is read out, not obeyed.
        voice: espeak-ng's name of a voice or language: ``en-us``, ``de``, ``fr`` …
        out_wav: Mono 16-bit file to write; appears only when complete.

    Raises:
        StageError: No such voice, nothing to speak, the optional extra is missing, or the process failed.
    """
    if find_spec(LIBRARY) is None:
        raise StageError(
            ErrorCode.NOT_SUPPORTED,
            "Speaking text needs the optional extra: install `talkingvideo-worker[speech]`, or give audio instead of text.",
        )
    if not any(character.isalnum() for character in text):
        raise StageError(ErrorCode.INPUT_VALIDATION, "The text holds nothing to speak: give at least one word.")
    part = out_wav.with_name(out_wav.name + ".part")
    try:
        answer = _run({"text": text, "voice": voice, "out": str(part)}, len(text))
        if "voices" in answer:
            raise _unknown_voice(voice, answer["voices"])
        part.replace(out_wav)
    finally:
        part.unlink(missing_ok=True)
    rate = int(answer["sampleRate"])
    return Speech(
        duration=answer["samples"] / rate,
        sample_rate=rate,
        phonemes=tuple((sample / rate, mnemonic) for sample, mnemonic in answer["phonemes"]),
    )


def _run(order: dict[str, str], characters: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "talkingvideo_worker.speech.espeak"]
    limit = LEAST_SECONDS + SECONDS_PER_CHARACTER * characters
    try:
        done = subprocess.run(
            command,
            input=json.dumps(order),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StageError(ErrorCode.TIMEOUT, f"Speaking the text took more than {limit:.0f} s.") from None
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise StageError(ErrorCode.INTERNAL, f"Speaking the text failed: {reason[0][:200]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _unknown_voice(voice: str, known: list[str]) -> UnknownVoiceError:
    alike = [name for name in known if name.split("-")[0] == voice.lower().split("-")[0].split("_")[0]]
    shown = list(
        dict.fromkeys([*alike, "en-us", "en-gb", "de", "fr", "es", "it", "pt-br", "nl", "pl", "tr", "cmn", *known])
    )
    names = ", ".join([name for name in shown if name in known][:SHOWN_VOICES])
    return UnknownVoiceError(f"There is no voice {voice!r}. Some of the {len(known)} there are: {names}.")
