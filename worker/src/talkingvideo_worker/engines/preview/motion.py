"""The motion of each speaker, frame by frame: what ``prepare`` stores and ``render`` draws.

The mouth comes from the speech. Blinks and the sway of the head follow nothing that was recorded: viewers hardly notice
them, but miss them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.preview.landmarks import KEPT, expand
from talkingvideo_worker.faces.types import Points
from talkingvideo_worker.units import FRAME_RATE
from talkingvideo_worker.untrusted import UntrustedError, parse, read_arrays, read_file

TRACKS, SUMMARY = "tracks.npz", "preview.json"
"""Names of the files that ``save_motion`` writes."""

MAX_SUMMARY, MAX_TRACKS = 4_096, 256 << 20
"""Bytes: two hours of two speakers have 40 MB. Prepare parses strangers' media, and may write anything."""

SERIES = ("mouth", "blink", "sway", "bars")
"""The attributes of ``SpeakerMotion`` with one row per frame."""

SHIFT, NOD, TILT = range(3)
"""Columns of ``SpeakerMotion.sway``."""

BLINK = np.array([0.3, 0.8, 1.0, 0.95, 0.6, 0.25], np.float32)
"""How far the lids are closed in each frame of a blink."""

BLINK_INTERVAL = (1.8, 5.2)
"""Seconds between blinks, least and most."""

Array = NDArray[np.floating]


@dataclass(frozen=True)
class SpeakerMotion:
    """How one speaker's face moves, and where it is.

    Attributes:
        mouth: (frames, 6), see ``visemes.MouthShapes``.
        blink: (frames,), 0 open … 1 closed.
        sway: (frames, 3), see ``head_sway``.
        bars: (frames, bands), 0..1: the level meter that is drawn where no face was found.
        skin: RGB, 0..255.
        points: The face's landmarks, (1 or the portrait video's frames, len(KEPT), 2), read from their file as needed;
            None without a face.
    """

    mouth: Array
    blink: Array
    sway: Array
    bars: Array
    skin: Array
    points: Array | None = None

    def points_at(self, frame: int) -> Points | None:
        """The face's landmarks in a global frame: (468, 2), NaN for points that are not kept; None without a face.

        Beyond the last stored frame, the last landmarks hold.
        """
        if self.points is None:
            return None
        return expand(np.asarray(self.points[min(frame, len(self.points) - 1)]))

    def digest(self, start: int, end: int) -> bytes:
        """Identify what the frames from ``start`` to before ``end`` are drawn from."""
        digest = hashlib.sha256(self.skin.tobytes())
        for name in ("sway", "bars") if self.points is None else ("mouth", "blink", "sway"):
            digest.update(np.ascontiguousarray(getattr(self, name)[start:end]).tobytes())
        if self.points is not None:
            last = len(self.points) - 1
            digest.update(np.ascontiguousarray(self.points[min(start, last) : min(end - 1, last) + 1]).tobytes())
        return digest.digest()


def save_motion(folder: Path, speakers: Sequence[SpeakerMotion]) -> None:
    """Write everything except the landmarks, whose files exist already where ``points`` is set."""
    arrays = {f"{name}_{number}": getattr(motion, name) for number, motion in enumerate(speakers) for name in SERIES}
    np.savez(folder / TRACKS, **arrays)
    summary = [{"face": motion.points is not None, "skin": motion.skin.tolist()} for motion in speakers]
    (folder / SUMMARY).write_text(json.dumps({"parts": summary}, indent=1))


class _Speaker(BaseModel):
    model_config = ConfigDict(extra="forbid")

    face: bool
    skin: tuple[float, float, float]


class _Summary(BaseModel):
    model_config = ConfigDict(extra="forbid")

    parts: Annotated[tuple[_Speaker, ...], Field(max_length=2)]


def load_motion(folder: Path) -> list[SpeakerMotion]:
    """Read what ``save_motion`` wrote; landmarks stay in their files until they are needed.

    Raises:
        StageError: E_WORKSPACE, not retryable, when it wrote something else.
    """
    try:
        speakers = parse(_Summary, read_file(folder / SUMMARY, MAX_SUMMARY)).parts
        arrays = read_arrays(folder / TRACKS, MAX_TRACKS)
        return [_motion(folder, arrays, number, speaker) for number, speaker in enumerate(speakers)]
    except (UntrustedError, ValueError, KeyError) as error:
        message = "The motion of the speakers is not what prepare writes: it cannot be drawn."
        raise StageError(ErrorCode.WORKSPACE, message, retryable=False) from error


def _motion(folder: Path, arrays: Mapping[str, NDArray[Any]], number: int, speaker: _Speaker) -> SpeakerMotion:
    series = {name: arrays[f"{name}_{number}"] for name in SERIES}
    if any(each.dtype.kind != "f" or each.ndim not in (1, 2) for each in series.values()):
        raise ValueError("the motion is no series of numbers")
    points = open_points(folder / points_file(number)) if speaker.face else None
    return SpeakerMotion(**series, skin=np.array(speaker.skin, np.float32), points=points)


def points_file(speaker: int) -> str:
    """Name of the file of a speaker's landmarks: float32, (1 or the portrait video's frames, len(KEPT), 2)."""
    return f"points-{speaker}.f32"


def open_points(path: Path) -> Array:
    """The landmarks of one speaker, read from their file as needed."""
    return np.memmap(path, np.float32, mode="r").reshape(-1, len(KEPT), 2)


def blinks(frames: int, seed: int) -> NDArray[np.floating]:
    """How far the lids are closed, 0..1: (frames,)."""
    random = np.random.default_rng([seed, 1])
    closed = np.zeros(frames + len(BLINK), np.float32)
    at = int(FRAME_RATE * random.uniform(0.6, 2.0))
    while at < frames:
        closed[at : at + len(BLINK)] = BLINK
        at += len(BLINK) + int(FRAME_RATE * random.uniform(*BLINK_INTERVAL))
    return closed[:frames]


def head_sway(loud: NDArray[np.floating], seed: int) -> NDArray[np.floating]:
    """How the head moves.

    Args:
        loud: (frames,), 0..1; emphasis nods.
        seed: Two speakers with different seeds move differently.

    Returns:
        (frames, 3): sideways shift and nod in hundredths of the distance between the eyes, tilt in degrees.
    """
    phase = np.random.default_rng([seed, 2]).uniform(0, 2 * np.pi, 7)
    seconds = np.arange(len(loud)) / FRAME_RATE

    def wave(hertz: float, number: int) -> NDArray[np.float64]:
        return np.asarray(np.sin(2 * np.pi * hertz * seconds + phase[number]))

    emphasis = _hann_average(loud, 9) - _hann_average(loud, 41)
    result = np.empty((len(loud), 3), np.float32)
    result[:, SHIFT] = 1.9 * wave(0.17, 0) + 0.9 * wave(0.41, 1)
    result[:, NOD] = 0.9 * wave(0.29, 2) + 0.5 * wave(0.47, 3) + 3.2 * emphasis
    result[:, TILT] = 0.75 * wave(0.13, 4) + 0.35 * wave(0.37, 5) + 0.5 * emphasis * np.sign(wave(0.11, 6))
    return result


def _hann_average(series: NDArray[np.floating], width: int) -> NDArray[np.float64]:
    kernel = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(series, width // 2, mode="edge"), kernel / kernel.sum(), "valid")
