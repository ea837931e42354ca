"""What happens once per video: find the faces, analyse the speech, and decide every motion of every frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import Portrait, PreparedEngine, RenderInput, Track
from talkingvideo_worker.engines.pictures import decode_frames, load_picture
from talkingvideo_worker.engines.preview.audio import band_levels, loudness, meter_levels
from talkingvideo_worker.engines.preview.face_assignment import (
    SpeakerRegion,
    find_landmarks,
    speaker_regions,
    track_landmarks,
)
from talkingvideo_worker.engines.preview.landmarks import expand
from talkingvideo_worker.engines.preview.lip_sync import shapes_from_audio, shapes_from_phonemes
from talkingvideo_worker.engines.preview.motion import (
    Array,
    SpeakerMotion,
    blinks,
    head_sway,
    open_points,
    points_file,
    save_motion,
)
from talkingvideo_worker.engines.preview.visemes import MouthShapes, viseme_timeline
from talkingvideo_worker.faces import FaceReport, describe
from talkingvideo_worker.faces.mesh_points import CHEEK_SKIN
from talkingvideo_worker.faces.types import Picture, Points
from talkingvideo_worker.units import FRAME_RATE

NEUTRAL_SKIN = (190.0, 165.0, 150.0)
"""Stored where no face was found; nothing is drawn with it."""

PRECISION = 1 / 1024
"""Motions are rounded to this, so that a change elsewhere in the track that is invisible here changes no digest here."""


def prepare(render_input: RenderInput, folder: Path) -> PreparedEngine:
    """Write everything that drawing needs into ``folder``.

    Returns:
        Details: ``faces`` (how many), ``boxes`` (fractions), ``yaw`` (degrees), ``found`` and ``warnings`` (sentences).

    Raises:
        StageError: E_WORKSPACE when the portrait holds no picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    picture = next(_pictures(render_input.portrait), None)
    if picture is None:
        raise StageError(ErrorCode.WORKSPACE, "The portrait in the workspace holds no picture.")
    faces = describe(picture)
    speakers, warnings = [], list(faces.sentences[1:])
    for number, region in enumerate(speaker_regions(render_input.tracks)):
        path = folder / points_file(number)
        skin = _write_landmarks(render_input.portrait, region, render_input.frames, path)
        if skin is None:
            warnings.append(_no_face(number, len(render_input.tracks)))
            speakers.append(_motion(render_input, number))
        else:
            speakers.append(replace(_motion(render_input, number), skin=skin, points=open_points(path)))
    save_motion(folder, speakers)
    details: dict[str, JsonValue] = {
        "faces": faces.count,
        "boxes": [[*box] for box in faces.boxes],
        "yaw": faces.yaw,
        "found": [*_found(faces, len(render_input.tracks))],
        "warnings": [*warnings],
    }
    return PreparedEngine(details, tuple(warnings))


def _motion(render_input: RenderInput, number: int) -> SpeakerMotion:
    """The motion of one speaker, without the face."""
    track = render_input.tracks[number]
    levels = band_levels(track.path, render_input.frames)
    loud = loudness(levels)
    seed = render_input.values.seed + 7919 * number  # two speakers don't blink together
    return SpeakerMotion(
        mouth=_rounded(_mouth_shapes(track, levels, loud)),
        blink=_rounded(blinks(render_input.frames, seed)),
        sway=_rounded(head_sway(loud, seed)),
        bars=_rounded(meter_levels(levels, loud)),
        skin=np.array(NEUTRAL_SKIN, np.float32),
    )


def _mouth_shapes(track: Track, levels: Array, loud: Array) -> MouthShapes:
    if not track.phonemes:
        return shapes_from_audio(levels, loud)
    return shapes_from_phonemes(viseme_timeline(track.phonemes, len(loud) / FRAME_RATE), loud, FRAME_RATE)


def _write_landmarks(portrait: Portrait, region: SpeakerRegion, frames: int, path: Path) -> Array | None:
    """Track a face through the portrait.

    Frames before the face appears get its first landmarks.

    Returns:
        The colour of its skin, or None if no frame has a face in the region.
    """
    skin = None
    waiting = 0
    with path.open("wb") as file:
        for picture, points in _with_landmarks(portrait, region, frames):
            if points is None:
                waiting += 1
                continue
            if skin is None:
                skin = _skin_colour(picture, expand(points))
                file.write(points.tobytes() * waiting)
            file.write(points.tobytes())
    return skin


def _with_landmarks(portrait: Portrait, region: SpeakerRegion, frames: int) -> Iterator[tuple[Picture, Points | None]]:
    if not portrait.is_video:
        picture = load_picture(portrait.path)
        yield picture, find_landmarks(picture, region)
        return
    shown, tracked = (islice(decode_frames(portrait.path), frames) for _ in range(2))
    yield from zip(shown, track_landmarks(tracked, region), strict=True)


def _pictures(portrait: Portrait) -> Iterator[Picture]:
    return decode_frames(portrait.path) if portrait.is_video else iter((load_picture(portrait.path),))


def _skin_colour(picture: Picture, points: Points) -> Array:
    """The median colour of a few points on the cheeks: RGB."""
    height, width = picture.shape[:2]
    pixels = np.round(points[list(CHEEK_SKIN)]).astype(int)
    x, y = np.clip(pixels[:, 0], 0, width - 1), np.clip(pixels[:, 1], 0, height - 1)
    return np.asarray(np.median(picture[y, x], axis=0), np.float32)


def _found(faces: FaceReport, speakers: int) -> list[str]:
    if speakers > 1 and faces.count > 1:
        return [f"{faces.count} faces found; each of the {speakers} speakers has one.", *faces.sentences[1:]]
    return list(faces.sentences)


def _no_face(number: int, speakers: int) -> str:
    if speakers == 1:
        return "No face was found to animate: the picture only sways, and bars follow the sound."
    return f"No face was found where speaker {number + 1} should be: bars follow the sound instead."


def _rounded(series: NDArray[np.floating]) -> Array:
    return (np.round(series / PRECISION) * PRECISION).astype(np.float32)
