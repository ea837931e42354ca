"""How well the lips of a finished video follow its sound: the opening measured on its frames against the loudness."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.faces import detect, landmarks

UPPER_LIP, LOWER_LIP, LEFT_EYE, RIGHT_EYE = 13, 14, 33, 263
FARTHEST_LAG = 10
FAR = 40
"""Frames of shift beyond which sound and lips have nothing to do with each other."""

DYNAMICS = 40.0
RATE = 16_000


@dataclass(frozen=True)
class SyncScore:
    """Correlation of mouth opening and loudness.

    Attributes:
        r: With no shift.
        best_lag: Frames by which the lips come later than the sound where the correlation is highest.
        best_r: There.
        null: Root mean square of r over sound that is shifted by more than 1.6 s, round the end.
        frames: Of the video.
        missing: Of these, frames in which no face was found.
    """

    r: float
    best_lag: int
    best_r: float
    null: float
    frames: int
    missing: int


def sync_score(video: Path, sound: Path | None = None) -> SyncScore:
    """Measure a finished video; ``sound`` stands in where the video has none of its own."""
    opening = mouth_opening(video)
    loud = loudness(sound or video, len(opening))
    by_lag = {lag: _correlation(opening, np.roll(loud, lag)) for lag in range(-FARTHEST_LAG, FARTHEST_LAG + 1)}
    best = max(by_lag, key=lambda lag: by_lag[lag])
    far = [_correlation(opening, np.roll(loud, shift)) for shift in range(FAR, len(loud) - FAR, 7)]
    return SyncScore(
        r=by_lag[0],
        best_lag=best,
        best_r=by_lag[best],
        null=float(np.sqrt(np.mean(np.square(far)))),
        frames=len(opening),
        missing=int(np.isnan(opening).sum()),
    )


def mouth_opening(video: Path) -> NDArray[np.float64]:
    """Distance of the lips' inner edges over that of the eyes' outer corners, per frame; NaN without a face."""
    openings = []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            faces = detect(picture)
            if not faces:
                openings.append(np.nan)
                continue
            points = landmarks(picture, faces[0]).points
            lips = np.hypot(*(points[UPPER_LIP] - points[LOWER_LIP]))
            openings.append(float(lips / np.hypot(*(points[LEFT_EYE] - points[RIGHT_EYE]))))
    return np.array(openings)


def loudness(sound: Path, frames: int) -> NDArray[np.float64]:
    """Decibels per video frame, the lowest 40 dB below the highest."""
    resampler = av.AudioResampler("s16", "mono", RATE)
    with av.open(str(sound)) as container:
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    hop = RATE // 25
    samples = np.zeros(frames * hop)
    heard = np.concatenate(parts)[: len(samples)] / 32768
    samples[: len(heard)] = heard
    level = 10 * np.log10(np.square(samples.reshape(frames, hop)).mean(axis=1) + 1e-10)
    return np.asarray(np.clip(level, level.max() - DYNAMICS, None))


def _correlation(opening: NDArray[np.float64], loud: NDArray[np.float64]) -> float:
    seen = ~np.isnan(opening)
    return float(np.corrcoef(opening[seen], loud[seen])[0, 1])
