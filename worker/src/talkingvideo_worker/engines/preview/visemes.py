"""Which mouth shape a spoken sound has.

The sounds are espeak-ng's mnemonics, which follow Kirschenbaum's ASCII IPA across languages; the longest
known beginning of a mnemonic decides, so variants such as ``I2`` or ``t#`` need no entry.
"""

from __future__ import annotations

from collections.abc import Iterable

from talkingvideo_worker.engines.preview import shapes
from talkingvideo_worker.engines.preview.shapes import Shape

FIRM = {
    shapes.CLOSED: 5.0,
    shapes.LIP_TEETH: 3.0,
    shapes.OO: 1.5,
    shapes.ROUND_GLIDE: 1.5,
    shapes.TIP: 0.6,
    shapes.BACK: 0.5,
}
"""Weight against neighbouring sounds; 1 where not listed. Lips that must meet do, a tongue's place hardly shows."""

_SOUNDS: dict[Shape, str] = {
    shapes.CLOSED: "m b p m- b# p#",
    shapes.LIP_TEETH: "f v P B",
    shapes.SIBILANT: "s z ts dz",
    shapes.HUSH: "S Z tS dZ S; Z; tS; dZ; C s; z;",
    shapes.TIP: "t d n l T D n^ l^ N t. d. n. l. r. * L",
    shapes.BACK: "k g h x G q H X ? c J Q",
    shapes.ROUND_GLIDE: 'w r R r- w# r"',
    shapes.EE: "i i: I I: j y e e: eI E: ; Y i2 i@",
    shapes.EH: "E I I2 I# E2 e2 W eI2 3 3: W: @r 3r",
    shapes.AH: "a a: A A: aI aU a# & & A# aI@ aU@ A@",
    shapes.UH: "@ @2 @5 V 0# @L @- V# 8",
    shapes.OH: "O O: 0 o o: oU OI O2 O@ o@ Q: oI",
    shapes.OO: "u u: U U: u2 U@ u# M",
}
_SHAPE_OF = {sound: shape for shape, sounds in _SOUNDS.items() for sound in sounds.split()}

_DIPHTHONGS: dict[str, tuple[Shape, Shape]] = {
    "aI": (shapes.AH, shapes.EE),
    "aU": (shapes.AH, shapes.OO),
    "eI": (shapes.EH, shapes.EE),
    "oU": (shapes.OH, shapes.OO),
    "OI": (shapes.OH, shapes.EE),
}

_GLIDE = 0.55
"""Where in a diphthong its second shape begins, as a fraction of its length."""


def shape_of(mnemonic: str) -> Shape:
    """The mouth of one sound; rest for pauses and for what is unknown."""
    sound = mnemonic.strip("'`,%=_|~")
    while sound:
        if sound in _SHAPE_OF:
            return _SHAPE_OF[sound]
        sound = sound[:-1]
    return shapes.REST


def timeline(phonemes: Iterable[tuple[float, str]], duration: float) -> list[tuple[float, Shape, float]]:
    """Shapes with their start in seconds and their firmness, in order; diphthongs move from one shape to the next."""
    starts = sorted(phonemes, key=lambda phoneme: phoneme[0])
    ends = [start for start, _ in starts[1:]] + [duration]
    result = []
    for (start, mnemonic), end in zip(starts, ends, strict=True):
        parts = _DIPHTHONGS.get(mnemonic.strip("'`,%=_|~")[:2]) or (shape_of(mnemonic),)
        for part, shape in enumerate(parts):
            result.append((start + part * _GLIDE * (end - start), shape, FIRM.get(shape, 1.0)))
    return result
