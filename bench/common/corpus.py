"""50 seeded tracks with known speech: the fixed corpus of the chunking benchmark.

Each track is a schedule of sounds (a *burst* is a syllable or a note) over a noise floor. Speech is bursts of 80-250 ms,
in phrases of 4-14 with gaps of 20-120 ms inside, and pauses between; kinds differ in the pauses' lengths, in the floor
and in how often a long break comes. Durations are drawn from 1 to 20 minutes (logarithmically even). The truth of a
track is its schedule: a 10 ms step is *speech* when a burst of it is louder than -40 dB, whatever the noise.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
STEP = 160
LOUD_DB = -20.0
"""Loudness of the loudest bursts, about what -23 LUFS gives speech."""


@dataclass(frozen=True)
class Kind:
    """Statistics of a kind of track; times in seconds, levels in dB."""

    name: str
    tracks: int
    burst: tuple[float, float]
    bursts_in_phrase: tuple[int, int]
    gap: tuple[float, float]
    pause: tuple[float, float]
    break_every: int
    break_: tuple[float, float]
    floor: float
    spread: float = 10.0


KINDS = (
    Kind("conversation", 10, (0.08, 0.25), (4, 14), (0.02, 0.12), (0.25, 0.9), 8, (1.0, 2.5), -62),
    Kind("lecture", 8, (0.10, 0.25), (6, 18), (0.02, 0.10), (0.4, 1.2), 5, (1.5, 4.0), -58),
    Kind("news reader", 8, (0.08, 0.20), (10, 30), (0.02, 0.08), (0.2, 0.55), 6, (0.6, 1.0), -65),
    Kind("hasty speaker", 7, (0.06, 0.18), (8, 25), (0.01, 0.06), (0.12, 0.35), 60, (0.5, 0.7), -60),
    Kind("noisy room", 5, (0.08, 0.25), (4, 14), (0.02, 0.12), (0.25, 0.9), 8, (1.0, 2.5), -36),
    Kind("sparse", 5, (0.10, 0.30), (5, 20), (0.03, 0.15), (0.8, 3.0), 6, (8.0, 40.0), -70),
    Kind("music", 4, (0.15, 0.60), (16, 64), (0.0, 0.02), (0.0, 0.1), 200, (0.5, 1.0), -70, 6.0),
    Kind("steady noise", 3, (2.0, 9.0), (1, 1), (0.0, 0.0), (0.0, 0.0), 10_000, (0.0, 0.0), -70, 1.0),
)


@dataclass(frozen=True)
class SpokenTrack:
    """One track.

    Attributes:
        kind: Name of its kind.
        levels: dB of its bursts, per 10 ms; -inf between them.
        floor: dB of its noise.
        seed: Of its noise.
    """

    kind: str
    levels: NDArray[np.float64]
    floor: float
    seed: int

    @property
    def frames(self) -> int:
        """Video frames."""
        return max(1, int(25 * len(self.levels) * STEP / RATE + 0.5))

    def has_speech(self, start: float, end: float, threshold_db: float = -40.0) -> bool:
        """Whether anything is said between two times in seconds."""
        first, last = max(0, int(start * 100 + 1e-6)), int(np.ceil(end * 100 - 1e-6))
        return bool(np.any(self.levels[first:last] > threshold_db))

    def write(self, path: Path) -> None:
        """Write it as the 16 kHz mono WAV that is planned from."""
        rng = np.random.default_rng(self.seed)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            for block in np.array_split(self.levels, max(1, len(self.levels) // 6_000)):
                power = 10 ** (block / 10) + 10 ** (self.floor / 10)
                noise = rng.standard_normal(len(block) * STEP, dtype=np.float32)
                samples = noise * np.repeat(np.sqrt(power), STEP) * 32_768
                file.writeframes(np.clip(samples, -32_768, 32_767).astype("<i2").tobytes())


def corpus() -> list[SpokenTrack]:
    """Draw the 50 tracks."""
    kinds = [kind for kind in KINDS for _ in range(kind.tracks)]
    return [_draw(kind, seed) for seed, kind in enumerate(kinds)]


def _draw(kind: Kind, seed: int) -> SpokenTrack:
    rng = np.random.default_rng([2024, seed])
    seconds = 60 * np.exp(rng.uniform(0, np.log(20)))
    levels = np.full(int(seconds * 100), -np.inf)
    now, phrases = rng.uniform(*kind.pause), 0
    while now < seconds:
        for _ in range(rng.integers(kind.bursts_in_phrase[0], kind.bursts_in_phrase[1] + 1)):
            length = rng.uniform(*kind.burst)
            steps = levels[int(now * 100) : int((now + length) * 100)]
            shape = np.sin(np.linspace(0.15, np.pi - 0.15, len(steps)))
            steps[:] = LOUD_DB - rng.uniform(0, kind.spread) + 20 * np.log10(shape) if len(steps) else 0
            now += length + rng.uniform(*kind.gap)
        phrases += 1
        now += rng.uniform(*(kind.break_ if phrases % kind.break_every == 0 else kind.pause))
    return SpokenTrack(kind.name, levels, kind.floor, seed)
