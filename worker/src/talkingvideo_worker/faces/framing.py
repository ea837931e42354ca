"""Chooses the crop of a picture when the video has another aspect ratio."""

from __future__ import annotations

from collections.abc import Sequence

from talkingvideo_worker.faces.types import Box, Face

HEADROOM = 0.75
"""Space for hair above the brows, and for some air above it, in heights of the face's box."""

CHIN = 0.35
"""Space below the chin, in heights of the face's box."""

EYE_LINE = 0.42
"""Where the middle of the faces is placed, as a fraction of the crop's height."""

UPPER = 0.25
"""Without a face: the fraction of the excess height that is cut from the top. People are in the upper part of pictures."""


def crop_for(width: int, height: int, aspect: float, faces: Sequence[Face]) -> Box:
    """Choose the largest crop with an aspect ratio that keeps all faces, or the largest face if they do not all fit.

    Args:
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        aspect: Width over height of the crop.
        faces: Faces found in the picture; may be empty.

    Returns:
        A box within the picture.
    """
    crop_width = min(width, max(1, round(height * aspect)))
    crop_height = min(height, max(1, round(width / aspect)))
    spare_x, spare_y = width - crop_width, height - crop_height
    if not faces:
        return Box(spare_x // 2, round(spare_y * UPPER), crop_width, crop_height)
    left, top, right, bottom = _kept(faces, crop_width, crop_height)
    x = (left + right) / 2 - crop_width / 2
    y = (top + bottom) / 2 - EYE_LINE * crop_height
    y = min(max(y, bottom - crop_height), top)
    return Box(round(min(max(x, 0), spare_x)), round(min(max(y, 0), spare_y)), crop_width, crop_height)


def _kept(faces: Sequence[Face], width: int, height: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of all heads if they fit into the crop, otherwise of the largest head or face."""
    heads = [_head(face.box) for face in faces]
    union = (
        min(head[0] for head in heads),
        min(head[1] for head in heads),
        max(head[2] for head in heads),
        max(head[3] for head in heads),
    )
    if union[2] - union[0] <= width and union[3] - union[1] <= height:
        return union
    largest = max(faces, key=lambda face: face.box.area).box
    head = _head(largest)
    if head[3] - head[1] <= height:
        return head
    return largest.x, largest.y, largest.x + largest.width, largest.y + largest.height


def _head(box: Box) -> tuple[float, float, float, float]:
    """The face with its hair and some neck."""
    return (
        box.x - 0.15 * box.width,
        box.y - HEADROOM * box.height,
        box.x + 1.15 * box.width,
        box.y + (1 + CHIN) * box.height,
    )
