"""Which face speaks which track, and where its points are in each frame of the portrait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.engines.base import Track
from talkingvideo_worker.engines.pictures import mask_of
from talkingvideo_worker.engines.preview.anatomy import compact
from talkingvideo_worker.faces import Face, find_faces
from talkingvideo_worker.faces.types import Picture, Points
from talkingvideo_worker.units import FRAME_RATE


@dataclass(frozen=True)
class Rectangle:
    """A part of the picture as fractions of it, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def holds(self, face: Face, picture: Picture) -> bool:
        """Whether a face's middle is within."""
        x, y = face.box.centre[0] / picture.shape[1], face.box.centre[1] / picture.shape[0]
        return bool(self.x <= x <= self.x + self.width and self.y <= y <= self.y + self.height)


@dataclass(frozen=True)
class Painted:
    """A part of the picture that somebody painted: (height, width), True within."""

    mask: NDArray[np.bool_]

    def holds(self, face: Face, picture: Picture) -> bool:  # noqa: ARG002 - the mask has the picture's size
        """Whether a face's middle is painted, or the middle of what is painted lies in the face."""
        rows, columns = self.mask.shape
        x, y = (min(int(edge), most - 1) for edge, most in zip(face.box.centre, (columns, rows), strict=True))
        return bool(self.mask[max(y, 0), max(x, 0)]) or self._centred_in(face)

    def _centred_in(self, face: Face) -> bool:
        y, x = (float(places.mean()) for places in np.nonzero(self.mask))
        across = face.box.x <= x <= face.box.x + face.box.width
        return across and face.box.y <= y <= face.box.y + face.box.height


Place = Rectangle | Painted

WHOLE = Rectangle(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Role:
    """A track and the part of the picture where its speaker is."""

    track: int
    place: Place


def roles(tracks: Sequence[Track]) -> list[Role]:
    """Where each track's speaker is: as asked for, else a part of the picture each, from left to right."""
    share = 1 / max(len(tracks), 1)
    return [
        Role(number, _place(track, Rectangle(number * share, 0.0, share, 1.0))) for number, track in enumerate(tracks)
    ]


def _place(track: Track, usual: Place) -> Place:
    if track.mask is not None:
        return Painted(mask_of(track.mask))
    return usual if track.region is None else Rectangle(*track.region)


def find_points(picture: Picture, place: Place = WHOLE) -> Points | None:
    """Points of the largest face within a place: (len(anatomy.USED), 2), or None."""
    meshes = (mesh for face, mesh in find_faces(picture) if place.holds(face, picture))
    mesh = next(meshes, None)
    return None if mesh is None else compact(mesh.points)


def follow(pictures: Iterable[Picture], place: Place) -> Iterator[Points | None]:
    """Points in each picture of a video, steadied over three frames; where none are found, the last ones hold.

    Yields:
        (len(anatomy.USED), 2) for each picture; None until a face is found.
    """
    found = _held(_sought(pictures, place))
    before = None
    current = next(found, None)
    for after in chain(found, repeat(None, 1)):
        yield _steady(before, current, after)
        before, current = current, after


def _sought(pictures: Iterable[Picture], place: Place) -> Iterator[Points | None]:
    """Points in each picture. A search in vain is the slow one: after a second of them only every second is looked at."""
    in_vain = 0
    for number, picture in enumerate(pictures):
        if in_vain >= FRAME_RATE and number % FRAME_RATE:
            yield None
            continue
        points = find_points(picture, place)
        in_vain = 0 if points is not None else in_vain + 1
        yield points


def _held(found: Iterable[Points | None]) -> Iterator[Points | None]:
    last = None
    for points in found:
        last = points if points is not None else last
        yield last


def _steady(before: Points | None, current: Points | None, after: Points | None) -> Points | None:
    if current is None:
        return None
    earlier = current if before is None else before
    later = current if after is None else after
    return np.asarray(0.25 * earlier + 0.5 * current + 0.25 * later, np.float32)
