"""Visemes: the mouth shapes of speech, and which phoneme has which.

Phonemes are espeak-ng's mnemonics, which follow Kirschenbaum's ASCII IPA across languages. The longest known prefix of a
mnemonic decides, so variants such as ``I2`` or ``t#`` need no entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

MouthShapes = NDArray[np.floating]
"""(frames, 6): one row per frame, columns as the fields of ``MouthShape``."""


@dataclass(frozen=True)
class MouthShape:
    """The parameters that one mouth is drawn from.

    Attributes:
        jaw: How far the lower lip hangs below the line where closed lips meet, in widths of the mouth.
        lift: How far the upper lip is raised above that line, in widths of the mouth.
        spread: -1 puckered … 0 … 1 drawn apart.
        rounding: 0 pointed corners … 1 an ellipse.
        press: 0 … 1, lips pressed together.
        tongue: 0 flat … 1 raised behind the teeth.
    """

    jaw: float = 0.0
    lift: float = 0.0
    spread: float = 0.0
    rounding: float = 0.0
    press: float = 0.0
    tongue: float = 0.0

    def row(self) -> NDArray[np.floating]:
        """The shape as one row of ``MouthShapes``."""
        return np.array(astuple(self), np.float32)


JAW, LIFT, SPREAD, ROUNDING, PRESS, TONGUE = range(6)
"""Columns of ``MouthShapes``."""

REST = MouthShape()
BILABIAL = MouthShape(press=1.0)
"""m, b, p: the lips are closed."""
LABIODENTAL = MouthShape(jaw=-0.01, lift=0.06, spread=0.1)
"""f, v: the lower lip meets the upper teeth."""
SIBILANT = MouthShape(jaw=0.07, lift=0.045, spread=0.45)
"""s, z: teeth nearly together, lips apart."""
POSTALVEOLAR = MouthShape(jaw=0.08, lift=0.055, spread=-0.5, rounding=0.7)
"""sh, ch, j: the same, lips pushed forward."""
ALVEOLAR = MouthShape(jaw=0.1, lift=0.035, spread=0.15, tongue=0.8)
"""t, d, n, l, th: the tongue at the teeth."""
VELAR = MouthShape(jaw=0.12, lift=0.03, tongue=0.2)
"""k, g, h, and consonants without a shape of their own."""
ROUNDED_GLIDE = MouthShape(jaw=0.07, lift=0.02, spread=-0.85, rounding=0.9)
"""w, r."""
EE = MouthShape(jaw=0.11, lift=0.05, spread=0.8)
"""see, day."""
EH = MouthShape(jaw=0.17, lift=0.05, spread=0.45)
"""bed, bit."""
AH = MouthShape(jaw=0.26, lift=0.055, spread=0.05, rounding=0.25)
"""father, cat."""
UH = MouthShape(jaw=0.16, lift=0.045, rounding=0.15)
"""the, but."""
OH = MouthShape(jaw=0.2, lift=0.04, spread=-0.55, rounding=0.85)
"""law, go."""
OO = MouthShape(jaw=0.09, lift=0.03, spread=-1.0, rounding=1.0)
"""you, book."""

DOMINANCE = {
    BILABIAL: 5.0,
    LABIODENTAL: 3.0,
    OO: 1.5,
    ROUNDED_GLIDE: 1.5,
    ALVEOLAR: 0.6,
    VELAR: 0.5,
}
"""Weight against neighbouring phonemes; 1 if not listed. Lips that must meet do meet; where the tongue is hardly shows."""

_PHONEMES: dict[MouthShape, str] = {
    BILABIAL: "m b p m- b# p#",
    LABIODENTAL: "f v P B",
    SIBILANT: "s z ts dz",
    POSTALVEOLAR: "S Z tS dZ S; Z; tS; dZ; C s; z;",
    ALVEOLAR: "t d n l T D n^ l^ N t. d. n. l. r. * L",
    VELAR: "k g h x G q H X ? c J Q",
    ROUNDED_GLIDE: 'w r R r- w# r"',
    EE: "i i: I: j y e e: eI E: ; Y i2 i@",
    EH: "E I I2 I# E2 e2 W eI2 3 3: W: @r 3r",
    AH: "a a: A A: aI aU a# & & A# aI@ aU@ A@",
    UH: "@ @2 @5 V 0# @L @- V# 8",
    OH: "O O: 0 o o: oU OI O2 O@ o@ Q: oI",
    OO: "u u: U U: u2 U@ u# M",
}
_SHAPE_OF = {phoneme: shape for shape, phonemes in _PHONEMES.items() for phoneme in phonemes.split()}

_DIPHTHONGS: dict[str, tuple[MouthShape, MouthShape]] = {
    "aI": (AH, EE),
    "aU": (AH, OO),
    "eI": (EH, EE),
    "oU": (OH, OO),
    "OI": (OH, EE),
}

_GLIDE = 0.55
"""Where the second shape of a diphthong begins, as a fraction of the diphthong's length."""

_STRESS_MARKS = "'`,%=_|~"


def shape_of(mnemonic: str) -> MouthShape:
    """The mouth shape of one phoneme; rest for pauses and unknown phonemes."""
    phoneme = mnemonic.strip(_STRESS_MARKS)
    while phoneme:
        if phoneme in _SHAPE_OF:
            return _SHAPE_OF[phoneme]
        phoneme = phoneme[:-1]
    return REST


def viseme_timeline(phonemes: Iterable[tuple[float, str]], duration: float) -> list[tuple[float, MouthShape, float]]:
    """Convert phonemes to mouth shapes; a diphthong becomes two.

    Args:
        phonemes: Start in seconds and mnemonic.
        duration: Seconds; the last phoneme ends here.

    Returns:
        Start in seconds, shape and dominance of each viseme, in order.
    """
    ordered = sorted(phonemes, key=lambda phoneme: phoneme[0])
    ends = [start for start, _ in ordered[1:]] + [duration]
    timeline = []
    for (start, mnemonic), end in zip(ordered, ends, strict=True):
        shapes = _DIPHTHONGS.get(mnemonic.strip(_STRESS_MARKS)[:2]) or (shape_of(mnemonic),)
        for part, shape in enumerate(shapes):
            timeline.append((start + part * _GLIDE * (end - start), shape, DOMINANCE.get(shape, 1.0)))
    return timeline
