"""Chooses the voice of a text: a voice of Kokoro if one is available, otherwise espeak-ng."""

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
"""espeak-ng's name of a language, by the first letter of Kokoro's voices (VOICES.md in Kokoro's repository)."""

ALIASES = {"en": "en-us", "fr": "fr-fr"}

WITHOUT_TRANSCRIPTION = frozenset("jz")
"""Languages for which Kokoro was trained on other transcriptions than espeak-ng's."""

PUBLISHED_VOICES = frozenset(
    """
    af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky
    am_adam am_echo am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa
    bf_alice bf_emma bf_isabella bf_lily bm_daniel bm_fable bm_george bm_lewis
    ef_dora em_alex em_santa ff_siwis hf_alpha hf_beta hm_omega hm_psi if_sara im_nicola
    jf_alpha jf_gongitsune jf_nezumi jf_tebukuro jm_kumo pf_dora pm_alex pm_santa
    zf_xiaobei zf_xiaoni zf_xiaoxiao zf_xiaoyi zm_yunjian zm_yunxi zm_yunxia zm_yunyang
    """.split()  # noqa: SIM905 one line each would be a page
)
"""Voices of Kokoro-82M 1.0, known even where their files are missing."""

DEFAULT_VOICES = ("af_heart", "bf_emma", "ef_dora", "ff_siwis", "hf_alpha", "if_sara", "pf_dora")
"""The voice of each language that is used when only the language is given."""


@dataclass(frozen=True)
class VoiceChoice:
    """The voice that speaks.

    Attributes:
        kokoro: Voice of Kokoro; None if espeak-ng speaks.
        espeak: espeak-ng's voice or language, with which it speaks or transcribes for Kokoro.
        warning: Why espeak-ng speaks, as a sentence.
    """

    kokoro: str | None
    espeak: str
    warning: str | None = None


def choose_voice(voice: str | None, available: Collection[str]) -> VoiceChoice:
    """Choose the voice that speaks.

    Args:
        voice: The voice that was asked for: a voice of Kokoro, a voice or language of espeak-ng, or None.
        available: Available voices of Kokoro; empty if Kokoro itself is not available.
    """
    if voice is not None and (voice in PUBLISHED_VOICES or voice in available):
        return _choose_kokoro_voice(voice, available)
    language = voice or DEFAULT_LANGUAGE
    known = ALIASES.get(language.lower(), language.lower())
    candidates = [
        name for name in (*DEFAULT_VOICES, *sorted(available)) if name in available and LANGUAGES.get(name[0]) == known
    ]
    if candidates and candidates[0][0] not in WITHOUT_TRANSCRIPTION:
        return VoiceChoice(candidates[0], known)
    reason = f"Kokoro has no voice for {language}" if available else "Kokoro's weights are missing"
    return VoiceChoice(None, language, f"espeak-ng ({language}) spoke the text: {reason}.")


def _choose_kokoro_voice(voice: str, available: Collection[str]) -> VoiceChoice:
    language = LANGUAGES.get(voice[0], DEFAULT_LANGUAGE)
    if voice[0] in WITHOUT_TRANSCRIPTION:
        reason = f"Kokoro's voice {voice} needs a transcription of its language that is not built in"
    elif not available:
        reason = f"{voice} is a voice of Kokoro, whose weights are missing"
    elif voice not in available:
        reason = f"the file of Kokoro's voice {voice} is missing beside its weights"
    else:
        return VoiceChoice(voice, language)
    return VoiceChoice(None, language, f"espeak-ng ({language}) spoke the text: {reason}.")
