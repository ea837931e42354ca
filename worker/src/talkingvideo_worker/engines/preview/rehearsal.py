"""What happens once per video: find the faces, hear the tracks, and settle every motion of every frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import Portrait, RenderInput, Track
from talkingvideo_worker.engines.pictures import still, video_frames
from talkingvideo_worker.engines.preview import behaviour, hearing, lips, visemes
from talkingvideo_worker.engines.preview.anatomy import SKIN, expand
from talkingvideo_worker.engines.preview.casting import Place, Role, find_points, follow, roles
from talkingvideo_worker.engines.preview.performance import Array, Part, open_points, points_file, save
from talkingvideo_worker.engines.preview.shapes import Shapes
from talkingvideo_worker.faces import FaceReport, describe
from talkingvideo_worker.faces.types import Picture, Points
from talkingvideo_worker.units import FRAME_RATE

NEUTRAL_SKIN = (190.0, 165.0, 150.0)
"""Where no face was found; nothing is lit by it."""

GRAIN = 1 / 1024
"""Motions are rounded to this, so that a change elsewhere in the track that makes no visible difference makes none."""


def rehearse(render_input: RenderInput, folder: Path) -> dict[str, Any]:
    """Write all that drawing needs into ``folder``.

    Returns:
        ``faces`` (how many), ``boxes`` (fractions), ``yaw`` (degrees), ``found`` and ``warnings`` (sentences).
    """
    folder.mkdir(parents=True, exist_ok=True)
    picture = next(_pictures(render_input.portrait), None)
    if picture is None:
        raise StageError(ErrorCode.WORKSPACE, "The portrait in the workspace holds no picture.")
    seen = describe(picture)
    parts, warnings = [], list(seen.sentences[1:])
    for role in roles(render_input.tracks):
        path = folder / points_file(role.track)
        skin = _write_points(render_input.portrait, role.place, render_input.frames, path)
        if skin is None:
            warnings.append(_no_face(role, len(render_input.tracks)))
            parts.append(_part(render_input, role.track))
        else:
            parts.append(replace(_part(render_input, role.track), skin=skin, points=open_points(path)))
    save(folder, parts)
    return {
        "faces": seen.count,
        "boxes": [list(box) for box in seen.boxes],
        "yaw": seen.yaw,
        "found": _found(seen, len(render_input.tracks)),
        "warnings": warnings,
    }


def _part(render_input: RenderInput, number: int) -> Part:
    track = render_input.tracks[number]
    levels = hearing.band_levels(track.path, render_input.frames)
    loud = lips.loudness(levels)
    seed = render_input.values.seed + 7919 * number  # two speakers don't blink together
    return Part(
        mouth=_rounded(_mouth(track, levels, loud)),
        blink=_rounded(behaviour.blinks(render_input.frames, seed)),
        sway=_rounded(behaviour.sway(loud, seed)),
        bars=_rounded(lips.bars(levels, loud)),
        skin=np.array(NEUTRAL_SKIN, np.float32),
    )


def _mouth(track: Track, levels: Array, loud: Array) -> Shapes:
    if not track.phonemes:
        return lips.from_sound(levels, loud)
    return lips.from_phonemes(visemes.timeline(track.phonemes, len(loud) / FRAME_RATE), loud, FRAME_RATE)


def _write_points(portrait: Portrait, place: Place, frames: int, path: Path) -> Array | None:
    """Follow the face; returns the colour of its skin, or None if there is none at any time."""
    skin = None
    waiting = 0
    with path.open("wb") as file:
        for picture, points in _with_points(portrait, place, frames):
            if points is None:
                waiting += 1
                continue
            if skin is None:
                skin = _skin(picture, expand(points))
                file.write(points.tobytes() * waiting)
            file.write(points.tobytes())
    return skin


def _with_points(portrait: Portrait, place: Place, frames: int) -> Iterator[tuple[Picture, Points | None]]:
    if not portrait.is_video:
        picture = still(portrait.path)
        yield picture, find_points(picture, place)
        return
    pictures, again = (islice(video_frames(portrait.path), frames) for _ in range(2))
    yield from zip(again, follow(pictures, place), strict=True)


def _pictures(portrait: Portrait) -> Iterator[Picture]:
    return video_frames(portrait.path) if portrait.is_video else iter((still(portrait.path),))


def _skin(picture: Picture, points: Points) -> Array:
    """The usual colour at a few places of the cheeks: RGB."""
    height, width = picture.shape[:2]
    places = np.round(points[list(SKIN)]).astype(int)
    x, y = np.clip(places[:, 0], 0, width - 1), np.clip(places[:, 1], 0, height - 1)
    return np.asarray(np.median(picture[y, x], axis=0), np.float32)


def _found(seen: FaceReport, speakers: int) -> list[str]:
    if speakers > 1 and seen.count > 1:
        return [f"{seen.count} faces found; each of the {speakers} speakers has one.", *seen.sentences[1:]]
    return list(seen.sentences)


def _no_face(role: Role, speakers: int) -> str:
    bars = "the picture only sways, and bars follow the sound"
    if speakers == 1:
        return f"No face was found to animate: {bars}."
    return f"No face was found where speaker {role.track + 1} should be: bars follow the sound instead."


def _rounded(series: NDArray[np.floating]) -> Array:
    return (np.round(series / GRAIN) * GRAIN).astype(np.float32)
