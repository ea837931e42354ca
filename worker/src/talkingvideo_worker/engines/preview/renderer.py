"""Draws frames: the picture, its faces in motion, and the overlays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from talkingvideo_worker.engines.base import Portrait
from talkingvideo_worker.engines.preview.head import Eye, Head, sway_picture
from talkingvideo_worker.engines.preview.motion import SpeakerMotion
from talkingvideo_worker.engines.preview.mouth import Mouth
from talkingvideo_worker.engines.preview.watermark import LevelMeter, Watermark
from talkingvideo_worker.faces.types import Picture, Points
from talkingvideo_worker.units import Frame


class FaceRenderer:
    """Draws one face of one picture, in the pose of any frame."""

    def __init__(self, picture: Picture, points: Points, motion: SpeakerMotion) -> None:
        self._picture, self._motion = picture, motion
        self._mouth = Mouth(picture, points, motion.skin)
        self._eyes = [Eye(points, side, picture.shape) for side in (0, 1)]
        self._head = Head(points, picture.shape)

    def draw(self, canvas: Picture, frame: int) -> None:
        """Draw mouth and eyes, then move the head with everything on it."""
        self._mouth.draw(canvas, self._motion.mouth[frame])
        for eye in self._eyes:
            eye.draw(canvas, self._picture, float(self._motion.blink[frame]))
        self._head.move(canvas, self._motion.sway[frame])


class StillRenderer:
    """Draws over a still picture: what is the same in every frame is computed once.

    Args:
        portrait: Defines the size of the frames.
        picture: (height, width, 3).
        speakers: The motion of each speaker.
    """

    def __init__(self, portrait: Portrait, picture: Picture, speakers: Sequence[SpeakerMotion]) -> None:
        self._picture = picture
        landmarks = [(motion, motion.points_at(0)) for motion in speakers]
        self._faces = [FaceRenderer(picture, points, motion) for motion, points in landmarks if points is not None]
        self._faceless = [motion for motion, points in landmarks if points is None]
        self._shown = portrait.shown
        height, width = picture[self._shown].shape[:2]
        self._watermark = Watermark(width, height)
        self._meters = [LevelMeter(width, height, motion.bars.shape[1]) for motion in self._faceless]

    def frame(self, number: int) -> Frame:
        """Draw a frame by its global number."""
        canvas = self._picture.copy()
        for face in self._faces:
            face.draw(canvas, number)
        if not self._faces:
            canvas = sway_picture(canvas, self._faceless[0].sway[number])
        for meter, motion in zip(self._meters, self._faceless, strict=True):
            meter.draw(canvas[self._shown], motion.bars[number])
        self._watermark.draw(canvas[self._shown])
        return canvas


class VideoRenderer:
    """Draws over the frames of a video portrait, which blinks and moves already: only the mouths are drawn.

    Args:
        portrait: Defines the size of the frames.
        speakers: The motion of each speaker.
    """

    def __init__(self, portrait: Portrait, speakers: Sequence[SpeakerMotion]) -> None:
        self._speakers = speakers
        self._shown = rows, columns = portrait.shown
        width, height = columns.stop - columns.start, rows.stop - rows.start
        self._watermark = Watermark(width, height)
        self._meters = [LevelMeter(width, height, motion.bars.shape[1]) for motion in speakers]

    def frame(self, number: int, picture: Picture) -> Frame:
        """Draw a frame by its global number, over the portrait's frame."""
        canvas = np.array(picture, copy=True)
        for motion, meter in zip(self._speakers, self._meters, strict=True):
            points = motion.points_at(number)
            if points is None:
                meter.draw(canvas[self._shown], motion.bars[number])
            else:
                Mouth(picture, points, motion.skin).draw(canvas, motion.mouth[number])
        self._watermark.draw(canvas[self._shown])
        return canvas
