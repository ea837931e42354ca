"""The pronunciation of a text for Kokoro: espeak-ng's transcription in the symbols that Kokoro was trained on.

Kokoro's own front end, misaki, writes IPA with a single letter for each phoneme: ``I`` for the vowel of "my", ``ʧ`` for the
consonant of "church". Its documentation (EN_PHONES.md) explains the letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from talkingvideo_worker.speech.sentences import Sentence

SENTENCE_PAUSE = 0.25
PARAGRAPH_PAUSE = 0.7
"""Seconds of silence after a sentence or paragraph, in addition to the silence that Kokoro makes."""

MAX_SYMBOLS = 220
"""Symbols of an utterance: some 15 seconds, in 1.5 GB of memory. Kokoro's limit is 510, and above 400 it speaks too fast."""

LANGUAGE_SWITCH = re.compile(r"\([a-z^-]+\)")

ALL_LANGUAGES = {
    "a^ɪ": "I",
    "a^ʊ": "W",
    "e^ɪ": "A",
    "ɔ^ɪ": "Y",
    "o^ʊ": "O",
    "ə^ʊ": "Q",
    "d^ʒ": "ʤ",
    "t^ʃ": "ʧ",
    "d^z": "ʣ",
    "t^s": "ʦ",
}
ENGLISH = {
    "ə^l": "ᵊl",
    "e^ə": "ɛː",
    "ʲ": "",
    "ɚ": "əɹ",
    "r": "ɹ",
    "x": "k",
    "ç": "k",
    "ɐ": "ə",
    "ɬ": "l",
    "\u0303": "",
    "e": "A",
    "o": "ɔ",
    "ɾ": "T",
    "ʔ": "t",
}
AMERICAN = {"ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪə": "iə", "ː": ""}
BRITISH = {"iə": "ɪə"}

SYLLABIC = re.compile(r"(\S)\u0329")

RULES: dict[str, tuple[dict[str, str], ...]] = {
    "en-us": (ALL_LANGUAGES, ENGLISH, AMERICAN),
    "en-gb": (ALL_LANGUAGES, ENGLISH, BRITISH),
}
"""Replacements by language, in order. In other languages, espeak-ng's symbols are Kokoro's except for `ALL_LANGUAGES`."""

_MNEMONIC_PAIRS = """
a=a b=b d=d e=e f=f h=h i=i j=j k=k l=l m=m n=n o=o p=p q=q s=s t=t u=u v=v w=w x=x y=y z=z
A=eI I=aI O=oU Q=oU W=aU Y=OI S=s T=t c=c ʣ=dz ʥ=dZ ʦ=ts ʨ=tS ʤ=dZ ʧ=tS ᵊ=@ ᵻ=I2
ɑ=A ɐ=a# ɒ=0 æ=a ɔ=O ə=@ ɚ=3 ɛ=E ɜ=3: ɨ=i2 ɪ=I ʊ=U ʌ=V ɯ=M ɤ=@ ø=Y œ=W
ð=D θ=T ʃ=S ʒ=Z ʂ=S ɕ=S; ç=C ʝ=j ŋ=N ɳ=n. ɲ=n^ ɴ=N ʎ=l^ ɹ=r ɻ=r r=* ɾ=* ɽ=r. ʁ=Q χ=X
ɡ=g ɣ=Q ɰ=Q ɖ=d. ʈ=t. ɟ=J ʔ=? ɥ=w β=B ɸ=f ʋ=v
.=_: ,=_: ;=_: :=_: !=_: ?=_: —=_: …=_:
"""
MNEMONICS: dict[str, str] = {pair[0]: pair[2:] for pair in _MNEMONIC_PAIRS.split()}
"""espeak-ng's mnemonic of each symbol that moves the mouth, and of each pause."""


@dataclass(frozen=True)
class Utterance:
    """What Kokoro synthesizes in one call.

    Attributes:
        symbols: Kokoro's phonemes and punctuation marks.
        pause: Seconds of silence after it.
    """

    symbols: str
    pause: float


def kokoro_symbols(ipa: str, language: str) -> str:
    """Convert a transcription to Kokoro's symbols.

    Args:
        ipa: espeak-ng's transcription, with ``^`` between the letters of one phoneme.
        language: espeak-ng's name of the language.
    """
    symbols = LANGUAGE_SWITCH.sub("", ipa)
    for replacements in RULES.get(language, (ALL_LANGUAGES,)):
        for sound, symbol in replacements.items():
            symbols = symbols.replace(sound, symbol)
    return " ".join(SYLLABIC.sub(r"ᵊ\1", symbols).replace("^", "").replace("-", "").split())


def utterances(
    sentences: Sequence[Sentence], transcriptions: Iterable[str], limit: int = MAX_SYMBOLS
) -> Iterator[Utterance]:
    """Join the transcriptions of all clauses: one utterance per sentence, several for a long sentence.

    Args:
        sentences: The sentences.
        transcriptions: `kokoro_symbols` of every clause of every sentence.
        limit: Maximum number of symbols of an utterance.
    """
    remaining = iter(transcriptions)
    for sentence in sentences:
        clauses = [f"{symbols}{clause.mark}" for clause in sentence.clauses if (symbols := next(remaining))]
        parts = list(_packed(clauses, limit))
        pause = PARAGRAPH_PAUSE if sentence.ends_paragraph else SENTENCE_PAUSE
        for number, part in enumerate(parts, start=1):
            yield Utterance(part, pause if number == len(parts) else 0.0)


def _packed(clauses: Sequence[str], limit: int) -> Iterator[str]:
    """Join clauses up to the limit. A clause that is too long is divided into words, and a word into symbols."""
    packed = ""
    for unit in (part for clause in clauses for part in _fitting(clause, limit)):
        if packed and len(packed) + 1 + len(unit) > limit:
            yield packed
            packed = unit
        else:
            packed = f"{packed} {unit}".lstrip()
    if packed:
        yield packed


def _fitting(clause: str, limit: int) -> list[str]:
    if len(clause) <= limit:
        return [clause]
    return [word[start : start + limit] for word in clause.split() for start in range(0, len(word), limit)]
