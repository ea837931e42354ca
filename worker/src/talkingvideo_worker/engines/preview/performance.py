"""What ``prepare`` leaves for ``render``: a few numbers per frame, for each speaker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.engines.preview.anatomy import USED, expand
from talkingvideo_worker.faces.types import Points

TRACKS, SUMMARY = "tracks.npz", "preview.json"

SERIES = ("mouth", "blink", "sway", "bars")
"""What a part holds per frame."""

Array = NDArray[np.floating]


def points_file(part: int) -> str:
    """Name of the file of a speaker's points: float32, (1 or the portrait video's frames, len(anatomy.USED), 2)."""
    return f"points-{part}.f32"


@dataclass(frozen=True)
class Part:
    """One speaker.

    Attributes:
        mouth: (frames, 6), see ``shapes.Shapes``.
        blink: (frames,), 0 open … 1 closed.
        sway: (frames, 3), see ``behaviour.sway``.
        bars: (frames, bands), 0..1: what is drawn where no face was found.
        skin: RGB, 0..255.
        points: The face's points, (1 or the portrait video's frames, len(anatomy.USED), 2), read from their file as
            needed; None without a face.
    """

    mouth: Array
    blink: Array
    sway: Array
    bars: Array
    skin: Array
    points: Array | None = None

    def points_at(self, frame: int) -> Points | None:
        """The face in a global frame: (468, 2), NaN where not used; None without a face. The last ones hold."""
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


def save(folder: Path, parts: Sequence[Part]) -> None:
    """Write all but the points, whose files are there already where ``points`` is set."""
    arrays = {f"{name}_{number}": getattr(part, name) for number, part in enumerate(parts) for name in SERIES}
    np.savez(folder / TRACKS, **arrays)
    summary = [{"face": part.points is not None, "skin": part.skin.tolist()} for part in parts]
    (folder / SUMMARY).write_text(json.dumps({"parts": summary}, indent=1))


def load(folder: Path) -> list[Part]:
    """Read what ``save`` wrote; points stay in their files."""
    summary = json.loads((folder / SUMMARY).read_text())["parts"]
    with np.load(folder / TRACKS) as arrays:
        return [
            Part(
                **{name: arrays[f"{name}_{number}"] for name in SERIES},
                skin=np.array(known["skin"], np.float32),
                points=open_points(folder / points_file(number)) if known["face"] else None,
            )
            for number, known in enumerate(summary)
        ]


def open_points(path: Path) -> Array:
    """The points of one speaker, read from their file as needed."""
    return np.memmap(path, np.float32, mode="r").reshape(-1, len(USED), 2)
