"""Which face speaks which track, and where its landmarks are in each frame of the portrait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.engines.base import Track
from talkingvideo_worker.engines.pictures import load_mask
from talkingvideo_worker.engines.preview.landmarks import compact
from talkingvideo_worker.faces import Face, find_faces
from talkingvideo_worker.faces.types import Picture, Points
from talkingvideo_worker.units import FRAME_RATE


@dataclass(frozen=True)
class RectangleRegion:
    """A rectangle as fractions of the picture, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def contains(self, face: Face, picture: Picture) -> bool:
        """Whether the centre of a face lies in the region."""
        x, y = face.box.centre[0] / picture.shape[1], face.box.centre[1] / picture.shape[0]
        return bool(self.x <= x <= self.x + self.width and self.y <= y <= self.y + self.height)


@dataclass(frozen=True)
class MaskRegion:
    """The white part of a mask: (height, width), True inside."""

    mask: NDArray[np.bool_]

    def contains(self, face: Face, picture: Picture) -> bool:  # noqa: ARG002 - the mask has the picture's size
        """Whether the centre of a face lies in the mask, or the centre of the mask in the face."""
        rows, columns = self.mask.shape
        x, y = (min(int(edge), most - 1) for edge, most in zip(face.box.centre, (columns, rows), strict=True))
        return bool(self.mask[max(y, 0), max(x, 0)]) or self._centred_in(face)

    def _centred_in(self, face: Face) -> bool:
        y, x = (float(positions.mean()) for positions in np.nonzero(self.mask))
        across = face.box.x <= x <= face.box.x + face.box.width
        return across and face.box.y <= y <= face.box.y + face.box.height


SpeakerRegion = RectangleRegion | MaskRegion
"""The part of the picture in which a speaker's face is searched."""

WHOLE_PICTURE = RectangleRegion(0.0, 0.0, 1.0, 1.0)


def speaker_regions(tracks: Sequence[Track]) -> list[SpeakerRegion]:
    """The region of each track's speaker: the one given, otherwise an equal share of the picture, from left to right."""
    share = 1 / max(len(tracks), 1)
    return [_region(track, RectangleRegion(number * share, 0.0, share, 1.0)) for number, track in enumerate(tracks)]


def _region(track: Track, default: SpeakerRegion) -> SpeakerRegion:
    if track.mask is not None:
        return MaskRegion(load_mask(track.mask))
    return default if track.region is None else RectangleRegion(*track.region)


def find_landmarks(picture: Picture, region: SpeakerRegion = WHOLE_PICTURE) -> Points | None:
    """Landmarks of the largest face in a region: (len(landmarks.KEPT), 2), or None."""
    meshes = (mesh for face, mesh in find_faces(picture) if region.contains(face, picture))
    mesh = next(meshes, None)
    return None if mesh is None else compact(mesh.points)


def track_landmarks(pictures: Iterable[Picture], region: SpeakerRegion) -> Iterator[Points | None]:
    """Landmarks in each frame of a video, smoothed over three frames; where none are found, the last ones hold.

    Yields:
        (len(landmarks.KEPT), 2) for each frame; None until a face is found.
    """
    found = _held(_detected(pictures, region))
    before = None
    current = next(found, None)
    for after in chain(found, repeat(None, 1)):
        yield _averaged_with_neighbours(before, current, after)
        before, current = current, after


def _detected(pictures: Iterable[Picture], region: SpeakerRegion) -> Iterator[Points | None]:
    """Landmarks in each frame.

    A search that finds nothing is the slow one: after a second without a face, only one frame per second is searched.
    """
    misses = 0
    for number, picture in enumerate(pictures):
        if misses >= FRAME_RATE and number % FRAME_RATE:
            yield None
            continue
        points = find_landmarks(picture, region)
        misses = 0 if points is not None else misses + 1
        yield points


def _held(found: Iterable[Points | None]) -> Iterator[Points | None]:
    last = None
    for points in found:
        last = points if points is not None else last
        yield last


def _averaged_with_neighbours(before: Points | None, current: Points | None, after: Points | None) -> Points | None:
    if current is None:
        return None
    earlier = current if before is None else before
    later = current if after is None else after
    return np.asarray(0.25 * earlier + 0.5 * current + 0.25 * later, np.float32)
