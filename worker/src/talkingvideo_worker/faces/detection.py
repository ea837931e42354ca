"""Face detection.

Two single-shot detectors search the whole picture: one for faces near the camera, one for small faces. Only if neither
finds a face, overlapping tiles of half the size are searched, then of a quarter, and so on. A face found in a tile must be
confirmed by the face mesh, since many tiles give many chances of a false detection.

Source of the networks' layout: the model cards of MediaPipe BlazeFace (short range and full range).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.faces.mesh import landmarks
from talkingvideo_worker.faces.models import FULL_RANGE, SHORT_RANGE, model
from talkingvideo_worker.faces.types import Box, Face, Picture

SCORE = 0.5
"""Minimum score of a face in the whole picture."""

PRESENCE = 0.6
"""Minimum presence, by the mesh, of a face found in a tile."""

OVERLAP = 0.3
"""Boxes whose intersection over union is above this are the same face."""

WITHIN = 0.6
"""A box of which more than this fraction lies in a better one is a part of the same face."""

SMALLEST_TILE = 160
"""Pixels of a tile's side. A face in a smaller tile is too small to animate."""

Rows = NDArray[np.floating]
"""(n, 17): score, x and y of the centre, width, height, x and y of six keypoints; in pixels."""


@dataclass(frozen=True)
class _Detector:
    """One network and the grids of its anchors: (cells per side, anchors per cell)."""

    name: str
    grids: tuple[tuple[int, int], ...]


_NEAR = _Detector(SHORT_RANGE, ((16, 2), (8, 6)))
_FAR = _Detector(FULL_RANGE, ((48, 1),))


def detect(rgb: Picture) -> list[Face]:
    """Find faces.

    Args:
        rgb: (height, width, 3).

    Returns:
        The faces, largest first.
    """
    rows = _merge(np.concatenate([_run(_NEAR, rgb), _run(_FAR, rgb)]))
    faces = [_face(row) for row in rows]
    if not faces:
        faces = _search_tiles(rgb)
    return sorted(faces, key=lambda face: face.box.area, reverse=True)


def _search_tiles(rgb: Picture) -> list[Face]:
    side = min(rgb.shape[:2])
    if max(rgb.shape[:2]) < 1.2 * side:
        side //= 2
    while side >= SMALLEST_TILE:
        rows = _merge(np.concatenate([_run(_FAR, rgb, tile) for tile in _tiles(rgb, side)]))
        faces = [face for face in map(_face, rows) if landmarks(rgb, face).presence >= PRESENCE]
        if faces:
            return faces
        side //= 2
    return []


def _tiles(rgb: Picture, side: int) -> Iterator[Box]:
    """Squares that cover the picture; each overlaps the next by at least half."""
    height, width = rgb.shape[:2]
    rows, columns = (max(1, int(np.ceil(2 * extent / side)) - 1) for extent in (height, width))
    for y in np.linspace(0, height - side, rows).astype(int):
        for x in np.linspace(0, width - side, columns).astype(int):
            yield Box(int(x), int(y), side, side)


def _run(detector: _Detector, rgb: Picture, tile: Box | None = None) -> Rows:
    tile = tile or Box(0, 0, rgb.shape[1], rgb.shape[0])
    network = model(detector.name)
    scale = network.side / max(tile.width, tile.height)
    part = rgb[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
    size = (max(1, round(tile.width * scale)), max(1, round(tile.height * scale)))
    square = np.zeros((network.side, network.side, 3), np.float32)
    square[: size[1], : size[0]] = cv2.resize(part, size, interpolation=cv2.INTER_AREA) / 127.5 - 1
    boxes, logits = network.run(square)
    scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -60, 60)))
    kept = scores >= SCORE
    places = boxes[0][kept].reshape(-1, 8, 2) / network.side
    places[:, [0, *range(2, 8)]] += _anchors(detector)[kept][:, np.newaxis]
    places *= network.side / scale
    places[:, [0, *range(2, 8)]] += np.array([tile.x, tile.y], np.float32)
    return np.concatenate([scores[kept][:, np.newaxis], places.reshape(-1, 16)], axis=1).astype(np.float32)


@cache
def _anchors(detector: _Detector) -> NDArray[np.floating]:
    """Centres of the anchors, as fractions of the input: (n, 2)."""
    grids = []
    for cells, repeats in detector.grids:
        y, x = np.mgrid[0:cells, 0:cells]
        centres = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells
        grids.append(np.repeat(centres, repeats, axis=0))
    return np.concatenate(grids).astype(np.float32)


def _merge(rows: Rows) -> Rows:
    """Non-maximum suppression. Boxes of one face are averaged by their scores, which is steadier than the best box alone."""
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    merged = []
    while len(rows):
        union, within = _overlap(rows[0], rows)
        same = union > OVERLAP
        merged.append(np.average(rows[same], axis=0, weights=rows[same, 0]))
        rows = rows[~(same | (within > WITHIN))]
    return np.array(merged, np.float32).reshape(-1, 17)


def _overlap(one: NDArray[np.floating], many: Rows) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The intersection of one box with each of many: over their union, and over the smaller of the two."""
    low = np.maximum(one[1:3] - one[3:5] / 2, many[:, 1:3] - many[:, 3:5] / 2)
    high = np.minimum(one[1:3] + one[3:5] / 2, many[:, 1:3] + many[:, 3:5] / 2)
    common = np.clip(high - low, 0, None).prod(axis=1)
    area, areas = one[3] * one[4], many[:, 3] * many[:, 4]
    return common / np.maximum(area + areas - common, 1e-6), common / np.maximum(np.minimum(area, areas), 1e-6)


def _face(row: NDArray[np.floating]) -> Face:
    x, y, width, height = (float(value) for value in row[1:5])
    box = Box(round(x - width / 2), round(y - height / 2), max(1, round(width)), max(1, round(height)))
    return Face(box, float(row[0]), row[5:].reshape(6, 2))
