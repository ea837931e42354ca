"""Who speaks when, over one recording."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from talkingvideo_api.errors import StageError
from talkingvideo_api.spec import Turn
from talkingvideo_worker.media.tracks import Span, merge_spans
from talkingvideo_worker.units import FRAME_RATE

Spans = tuple[Span, ...]
"""The times in which one speaker talks, in order and apart."""

Phonemes = tuple[tuple[float, str], ...]

PAUSE = "_:"
"""espeak-ng's mnemonic of a pause."""

TOLERATED = 1 / FRAME_RATE
"""Seconds by which a turn may end behind the recording: whoever rounds its length up means its end."""


def spans_of(turns: Sequence[Turn], speakers: int, duration: Fraction) -> tuple[Spans, ...]:
    """The times of each speaker.

    Args:
        turns: In any order; they may overlap.
        speakers: How many.
        duration: Seconds of the recording.

    Raises:
        StageError: E_INPUT_VALIDATION for a turn that ends behind the recording.
    """
    for index, turn in enumerate(turns):
        if turn.end > duration + TOLERATED:
            message = (
                f"The turn ends at {turn.end:g} s, but the recording lasts {float(duration):.2f} s: "
                "turns must lie within it."
            )
            raise StageError.invalid(message, f"spec.speech.turns[{index}].end")
    return tuple(merge_spans((it.start, it.end) for it in turns if it.speaker == number) for number in range(speakers))


def phonemes_within(phonemes: Phonemes, spans: Spans) -> Phonemes:
    """The phonemes that begin in some spans, with a pause after each span that has any."""
    result: list[tuple[float, str]] = []
    for start, end in spans:
        inside = [phoneme for phoneme in phonemes if start <= phoneme[0] < end]
        result += [*inside, (end, PAUSE)] if inside else []
    return tuple(result)
