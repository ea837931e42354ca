"""Draws frames: the picture, its faces in motion, and the mark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from talkingvideo_worker.engines.base import Portrait
from talkingvideo_worker.engines.preview.eyes import Eye
from talkingvideo_worker.engines.preview.head import Head, drift
from talkingvideo_worker.engines.preview.mark import Bars, Mark
from talkingvideo_worker.engines.preview.mouth import Mouth
from talkingvideo_worker.engines.preview.performance import Part
from talkingvideo_worker.faces.types import Picture, Points
from talkingvideo_worker.units import Frame


class Actor:
    """One face of one picture, ready to be drawn in any pose."""

    def __init__(self, picture: Picture, points: Points, part: Part) -> None:
        self._picture, self._part = picture, part
        self._mouth = Mouth(picture, points, part.skin)
        self._eyes = [Eye(points, side, picture.shape) for side in (0, 1)]
        self._head = Head(points, picture.shape)

    def draw(self, canvas: Picture, frame: int) -> None:
        """Draw mouth and eyes, then move the head with all that is on it."""
        self._mouth.draw(canvas, self._part.mouth[frame])
        for eye in self._eyes:
            eye.draw(canvas, self._picture, float(self._part.blink[frame]))
        self._head.move(canvas, self._part.sway[frame])


class StillCanvas:
    """Draws over a picture that stays: all that does not change is worked out once.

    Args:
        portrait: Its size.
        picture: (height, width, 3).
        parts: The speakers.
    """

    def __init__(self, portrait: Portrait, picture: Picture, parts: Sequence[Part]) -> None:
        self._picture = picture
        faces = [(part, part.points_at(0)) for part in parts]
        self._actors = [Actor(picture, points, part) for part, points in faces if points is not None]
        self._faceless = [part for part, points in faces if points is None]
        self._shown = portrait.shown
        height, width = picture[self._shown].shape[:2]
        self._mark = Mark(width, height)
        self._bars = [Bars(width, height, part.bars.shape[1]) for part in self._faceless]

    def frame(self, number: int) -> Frame:
        """Draw a frame by its global number."""
        canvas = self._picture.copy()
        for actor in self._actors:
            actor.draw(canvas, number)
        if not self._actors:
            canvas = drift(canvas, self._faceless[0].sway[number])
        for bars, part in zip(self._bars, self._faceless, strict=True):
            bars.draw(canvas[self._shown], part.bars[number])
        self._mark.draw(canvas[self._shown])
        return canvas


class MovingCanvas:
    """Draws over the frames of a video portrait, which blinks and moves by itself: only the mouths are drawn.

    Args:
        portrait: Its size.
        parts: The speakers.
    """

    def __init__(self, portrait: Portrait, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._shown = rows, columns = portrait.shown
        width, height = columns.stop - columns.start, rows.stop - rows.start
        self._mark = Mark(width, height)
        self._bars = [Bars(width, height, part.bars.shape[1]) for part in parts]

    def frame(self, number: int, picture: Picture) -> Frame:
        """Draw a frame by its global number, over the portrait's."""
        canvas = np.array(picture, copy=True)
        for part, bars in zip(self._parts, self._bars, strict=True):
            points = part.points_at(number)
            if points is None:
                bars.draw(canvas[self._shown], part.bars[number])
            else:
                Mouth(picture, points, part.skin).draw(canvas, part.mouth[number])
        self._mark.draw(canvas[self._shown])
        return canvas
