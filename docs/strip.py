"""Makes the picture of the README: ``python docs/strip.py out/hello.mp4 docs/hello.jpg``.

A strip of moments of the example's video, cut around the face.
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

FRAMES = (0, 12, 96, 114, 138, 156)
"""Numbers of the moments: lips closed, an open vowel, teeth, a blink, …"""
LEFT, TOP, SIZE = 0.25, 0.04, 0.53
"""The square around the face, as fractions of the picture."""
TILE = 210
"""Pixels of each moment's side."""
GAP = 4
QUALITY = 88


def strip(video: Path) -> NDArray[np.uint8]:
    """The moments side by side, BGR of shape (TILE, width, 3)."""
    with av.open(str(video)) as container:
        frames = dict(enumerate(container.decode(video=0)))
    gap = np.full((TILE, GAP, 3), 255, np.uint8)
    pieces = [piece for number in FRAMES for piece in (gap, _tile(frames[number]))]
    return np.hstack(pieces[1:])


def _tile(frame: av.VideoFrame) -> NDArray[np.uint8]:
    picture = frame.to_ndarray(format="bgr24")
    height, width = picture.shape[:2]
    left, top, side = round(LEFT * width), round(TOP * height), round(SIZE * height)
    cut = picture[top : top + side, left : left + side]
    return np.asarray(cv2.resize(cut, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    cv2.imwrite(sys.argv[2], strip(Path(sys.argv[1])), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
