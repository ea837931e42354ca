"""How Kokoro is told to pronounce a text: espeak-ng's transcription in the symbols that Kokoro learnt.

Kokoro's own front end, misaki, writes IPA with single letters for what is one sound: ``I`` for the vowel of "my",
``ʧ`` for the consonant of "church". Its documentation (EN_PHONES.md) says what each stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from talkingvideo_worker.speech.sentences import Sentence

SENTENCE_PAUSE = 0.25
PARAGRAPH_PAUSE = 0.7
"""Seconds of silence behind what was spoken, besides what Kokoro makes itself."""

MOST_SYMBOLS = 220
"""Of one piece: some 15 seconds, in one and a half gigabytes. Kokoro takes 510, and hurries above 400."""

LANGUAGE_SWITCH = re.compile(r"\([a-z^-]+\)")

EVERYWHERE = {
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
    "en-us": (EVERYWHERE, ENGLISH, AMERICAN),
    "en-gb": (EVERYWHERE, ENGLISH, BRITISH),
}
"""Replacements by language, in order; in other languages espeak-ng's symbols are Kokoro's but for `EVERYWHERE`."""

_MOUTHS = """
a=a b=b d=d e=e f=f h=h i=i j=j k=k l=l m=m n=n o=o p=p q=q s=s t=t u=u v=v w=w x=x y=y z=z
A=eI I=aI O=oU Q=oU W=aU Y=OI S=s T=t c=c ʣ=dz ʥ=dZ ʦ=ts ʨ=tS ʤ=dZ ʧ=tS ᵊ=@ ᵻ=I2
ɑ=A ɐ=a# ɒ=0 æ=a ɔ=O ə=@ ɚ=3 ɛ=E ɜ=3: ɨ=i2 ɪ=I ʊ=U ʌ=V ɯ=M ɤ=@ ø=Y œ=W
ð=D θ=T ʃ=S ʒ=Z ʂ=S ɕ=S; ç=C ʝ=j ŋ=N ɳ=n. ɲ=n^ ɴ=N ʎ=l^ ɹ=r ɻ=r r=* ɾ=* ɽ=r. ʁ=Q χ=X
ɡ=g ɣ=Q ɰ=Q ɖ=d. ʈ=t. ɟ=J ʔ=? ɥ=w β=B ɸ=f ʋ=v
.=_: ,=_: ;=_: :=_: !=_: ?=_: —=_: …=_:
"""
MNEMONICS: dict[str, str] = {pair[0]: pair[2:] for pair in _MOUTHS.split()}
"""espeak-ng's mnemonic of each symbol that moves the mouth, and of pauses."""


@dataclass(frozen=True)
class Piece:
    """What Kokoro speaks at once.

    Attributes:
        symbols: Kokoro's phonemes and marks.
        pause: Seconds of silence behind it.
    """

    symbols: str
    pause: float


def kokoro_symbols(ipa: str, language: str) -> str:
    """Bring a transcription into Kokoro's symbols.

    Args:
        ipa: By espeak-ng, with ``^`` between the letters of one sound.
        language: espeak-ng's name of it.
    """
    symbols = LANGUAGE_SWITCH.sub("", ipa)
    for replacements in RULES.get(language, (EVERYWHERE,)):
        for sound, symbol in replacements.items():
            symbols = symbols.replace(sound, symbol)
    return " ".join(SYLLABIC.sub(r"ᵊ\1", symbols).replace("^", "").replace("-", "").split())


def pieces(spoken: Sequence[Sentence], transcribed: Iterable[str], most: int = MOST_SYMBOLS) -> Iterator[Piece]:
    """Put the transcriptions of all clauses together again: a piece for each sentence, several for a long one.

    Args:
        spoken: The sentences.
        transcribed: `kokoro_symbols` of every clause of every sentence.
        most: Symbols of a piece.
    """
    symbols = iter(transcribed)
    for sentence in spoken:
        clauses = [f"{heard}{clause.mark}" for clause in sentence.clauses if (heard := next(symbols))]
        parts = list(_packed(clauses, most))
        pause = PARAGRAPH_PAUSE if sentence.ends_paragraph else SENTENCE_PAUSE
        for number, part in enumerate(parts, start=1):
            yield Piece(part, pause if number == len(parts) else 0.0)


def _packed(clauses: Sequence[str], most: int) -> Iterator[str]:
    """Clauses joined as long as they fit; where one does not fit, its words; where a word does not, its symbols."""
    packed = ""
    for unit in (small for clause in clauses for small in _fitting(clause, most)):
        if packed and len(packed) + 1 + len(unit) > most:
            yield packed
            packed = unit
        else:
            packed = f"{packed} {unit}".lstrip()
    if packed:
        yield packed


def _fitting(clause: str, most: int) -> list[str]:
    if len(clause) <= most:
        return [clause]
    return [word[start : start + most] for word in clause.split() for start in range(0, len(word), most)]
