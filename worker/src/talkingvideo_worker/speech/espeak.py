"""The process that runs espeak-ng: ``python -m talkingvideo_worker.speech.espeak``.

One JSON request on standard input, one JSON response on standard output:

- ``{"text", "voice", "out"}`` synthesizes. The WAV is written while the sound is made; the response is
  ``{"sampleRate", "samples", "phonemes": [[first sample, mnemonic], …]}``.
- ``{"transcribe": [text, …], "voice"}`` transcribes. The response is ``{"ipa": […]}``, with ``^`` between the letters of one
  phoneme.
- If the voice does not exist, the response is ``{"voices": […]}``.

Names and numbers of espeak-ng's C interface are those of its header ``speak_lib.h``.
"""

from __future__ import annotations

import ctypes
import json
import sys
import wave
from collections.abc import Callable, Iterator
from typing import Any

AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_PHONEME_EVENTS = 1
CHARS_UTF8 = 1
POS_CHARACTER = 1
EVENT_LIST_TERMINATED, EVENT_PHONEME = 0, 7
PHONEMES_IPA, PHONEMES_TIE = 0x02, 0x80
TIE = "^"


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


class _Voice(ctypes.Structure):
    """``languages`` is a list of (priority as a byte, name, zero byte) that ends with a zero byte."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.POINTER(ctypes.c_char)),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def main() -> None:
    """Handle the request on standard input."""
    request = json.load(sys.stdin)
    library, rate = _library()
    if not _select_voice(library, request["voice"]):
        response: dict[str, Any] = {"voices": sorted(_languages(library))}
    elif "transcribe" in request:
        response = {"ipa": [_transcribe(library, text) for text in request["transcribe"]]}
    else:
        response = _synthesize(library, rate, request["text"], request["out"])
    json.dump(response, sys.stdout)


def _library() -> tuple[ctypes.CDLL, int]:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data, INITIALIZE_PHONEME_EVENTS)
    if rate <= 0:
        raise RuntimeError("espeak-ng could not be started")
    return library, rate


def _select_voice(library: ctypes.CDLL, voice: str) -> bool:
    """Select a voice by its name, or the best voice of a language; False if neither exists.

    Names are files in espeak-ng's own folder; a name from untrusted input must not lead out of it.
    """
    if ".." in voice:
        return False
    if library.espeak_SetVoiceByName(voice.encode()) == 0:
        return True
    language = voice.lower()
    if language not in _languages(library):
        return False
    name = ctypes.create_string_buffer(language.encode())
    wanted = _Voice(languages=ctypes.cast(name, ctypes.POINTER(ctypes.c_char)))
    return bool(library.espeak_SetVoiceByProperties(ctypes.byref(wanted)) == 0)


def _synthesize(library: ctypes.CDLL, rate: int, text: str, out: str) -> dict[str, Any]:
    phonemes: list[tuple[int, str]] = []
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        callback = _Callback(_receiver(sound, phonemes))
        library.espeak_SetSynthCallback(callback)
        raw = text.replace("\0", " ").encode()
        status = library.espeak_Synth(raw, ctypes.c_size_t(len(raw) + 1), 0, POS_CHARACTER, 0, CHARS_UTF8, None, None)
        if status != 0 or library.espeak_Synchronize() != 0:
            raise RuntimeError(f"espeak-ng failed with status {status}")
        samples = sound.getnframes()
    return {"sampleRate": rate, "samples": samples, "phonemes": phonemes}


def _transcribe(library: ctypes.CDLL, text: str) -> str:
    """IPA of a text. The library transcribes one clause per call."""
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    raw = ctypes.create_string_buffer(text.replace("\0", " ").encode())
    rest = ctypes.c_void_p(ctypes.addressof(raw))
    mode = PHONEMES_IPA | PHONEMES_TIE | ord(TIE) << 8
    clauses: list[str] = []
    while rest.value:
        clauses.append(library.espeak_TextToPhonemes(ctypes.byref(rest), CHARS_UTF8, mode).decode("utf-8", "ignore"))
    return " ".join(clauses).strip()


def _receiver(sound: wave.Wave_write, phonemes: list[tuple[int, str]]) -> Callable[[Any, int, Any], int]:
    """The callback that espeak-ng calls for each sentence or part of a sentence, with its samples and events."""

    def receive(samples: Any, count: int, events: Any) -> int:
        if count > 0 and samples:
            sound.writeframesraw(ctypes.string_at(samples, 2 * count))
        number = 0
        while events[number].type != EVENT_LIST_TERMINATED:
            if events[number].type == EVENT_PHONEME:
                mnemonic = events[number].id.string.decode("utf-8", "ignore")
                if not mnemonic.startswith("("):  # "(fr)": another language begins
                    phonemes.append((events[number].sample, mnemonic))
            number += 1
        return 0

    return receive


def _languages(library: ctypes.CDLL) -> set[str]:
    """Languages that have a voice; a voice may have several languages."""
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    listed = library.espeak_ListVoices(None)
    found: set[str] = set()
    number = 0
    while listed[number]:
        found |= set(_languages_of(listed[number].contents))
        number += 1
    return found


def _languages_of(voice: _Voice) -> Iterator[str]:
    start = ctypes.cast(voice.languages, ctypes.c_void_p).value or 0
    while entry := ctypes.string_at(start):
        yield entry[1:].decode("utf-8", "ignore")
        start += len(entry) + 1


if __name__ == "__main__":
    main()
