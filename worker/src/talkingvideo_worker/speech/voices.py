"""Who speaks a text: a voice of Kokoro where there is one, else espeak-ng."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

DEFAULT_LANGUAGE = "en-us"

LANGUAGES = {
    "a": "en-us",
    "b": "en-gb",
    "e": "es",
    "f": "fr-fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-br",
    "z": "cmn",
}
"""espeak-ng's name of a language by the first letter of Kokoro's voices (their repository's VOICES.md)."""

OTHER_NAMES = {"en": "en-us", "fr": "fr-fr"}

UNPRONOUNCED = frozenset("jz")
"""Languages that Kokoro learnt from other transcriptions than espeak-ng's."""

PUBLISHED = frozenset(
    """
    af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky
    am_adam am_echo am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa
    bf_alice bf_emma bf_isabella bf_lily bm_daniel bm_fable bm_george bm_lewis
    ef_dora em_alex em_santa ff_siwis hf_alpha hf_beta hm_omega hm_psi if_sara im_nicola
    jf_alpha jf_gongitsune jf_nezumi jf_tebukuro jm_kumo pf_dora pm_alex pm_santa
    zf_xiaobei zf_xiaoni zf_xiaoxiao zf_xiaoyi zm_yunjian zm_yunxi zm_yunxia zm_yunyang
    """.split()  # noqa: SIM905 one line each would be a page
)
"""Voices of Kokoro-82M 1.0: known also where their files are not."""

BEST = ("af_heart", "bf_emma", "ef_dora", "ff_siwis", "hf_alpha", "if_sara", "pf_dora")
"""The voice of each language that speaks when only the language is asked for."""


@dataclass(frozen=True)
class Choice:
    """Who speaks.

    Attributes:
        kokoro: Voice of Kokoro; None: espeak-ng speaks.
        espeak: espeak-ng's voice or language: what it speaks with, or by which it transcribes for Kokoro.
        note: Why it is espeak-ng, as a sentence.
    """

    kokoro: str | None
    espeak: str
    note: str | None = None


def choose(voice: str | None, there: Collection[str]) -> Choice:
    """Choose who speaks.

    Args:
        voice: What was asked for: a voice of Kokoro, a voice or language of espeak-ng, or nothing.
        there: Voices of Kokoro that can speak here; empty where Kokoro itself is not there.
    """
    if voice is not None and (voice in PUBLISHED or voice in there):
        return _kokoros_own(voice, there)
    language = voice or DEFAULT_LANGUAGE
    known = OTHER_NAMES.get(language.lower(), language.lower())
    candidates = [name for name in (*BEST, *sorted(there)) if name in there and LANGUAGES.get(name[0]) == known]
    if candidates and candidates[0][0] not in UNPRONOUNCED:
        return Choice(candidates[0], known)
    reason = f"Kokoro has no voice for {language}" if there else "Kokoro's weights are not there"
    return Choice(None, language, f"espeak-ng ({language}) spoke the text: {reason}.")


def _kokoros_own(voice: str, there: Collection[str]) -> Choice:
    language = LANGUAGES.get(voice[0], DEFAULT_LANGUAGE)
    if voice[0] in UNPRONOUNCED:
        reason = f"Kokoro's voice {voice} needs a transcription of its language that is not built in"
    elif not there:
        reason = f"{voice} is a voice of Kokoro, whose weights are not there"
    elif voice not in there:
        reason = f"Kokoro's weights are there, but not the file of its voice {voice}"
    else:
        return Choice(voice, language)
    return Choice(None, language, f"espeak-ng ({language}) spoke the text: {reason}.")
