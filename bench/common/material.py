"""Segments and sound for the media benchmarks: a moving picture with a little grain, and noise for a voice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.chunking.windows import window_lengths
from talkingvideo_worker.media.encoder import SegmentEncoder

WIDTH, HEIGHT = 832, 480


def ffmpeg_binary() -> str:
    """An ffmpeg to compare with: that of imageio-ffmpeg, from the dependency group bench, or the system's."""
    if find_spec("imageio_ffmpeg"):
        return str(import_module("imageio_ffmpeg").get_ffmpeg_exe())
    if found := shutil.which("ffmpeg"):
        return found
    raise SystemExit("no ffmpeg to compare with: uv run --group bench python bench/…")


def moving_picture(seed: int = 0) -> Iterator[NDArray[np.uint8]]:
    """A head's sway before a blurred ground, without end: about 0.6 Mbit/s as the worker encodes it."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur((rng.random((HEIGHT + 80, WIDTH + 80, 3)) * 255).astype(np.uint8), (0, 0), 6)
    ground = ((ground - ground.min()) * (255.0 / np.ptp(ground))).astype(np.uint8)
    frame = 0
    while True:
        x, y = int(40 + 20 * np.sin(frame / 25)), int(40 + 20 * np.cos(frame / 19))
        picture = ground[y : y + HEIGHT, x : x + WIDTH].copy()
        cv2.ellipse(picture, (416, 300), (60, 5 + abs(frame % 20 - 10) * 3), 0, 0, 360, (60, 0, 0), -1)
        yield picture
        frame += 1


def write_chunk(folder: Path, frames: int) -> list[Path]:
    """Encode a chunk as the render stage does: one segment a window."""
    pictures = moving_picture()
    segments = []
    for number, length in enumerate(window_lengths(frames)):
        segments.append(folder / f"segment-{number}.mp4")
        with SegmentEncoder(segments[-1], WIDTH, HEIGHT) as encoder:
            for _ in range(length):
                encoder.write(next(pictures))
    return segments


def write_aac(path: Path, samples: NDArray[np.int16], rate: int = 48_000) -> None:
    """Encode mono sound as prepare does: AAC in an m4a, once."""
    with av.open(str(path), "w", format="mp4") as file:
        track = file.add_stream("aac", rate=rate, bit_rate=128_000, layout="mono")
        done = 0
        for block in np.array_split(samples, max(1, len(samples) // (rate * 10))):
            frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, done
            done += len(block)
            file.mux(track.encode(frame))
        file.mux(track.encode(None))


def decoded_sound(path: Path) -> NDArray[np.float32]:
    """All samples of a file's first sound track, as a player that decodes from the start gets them."""
    with av.open(str(path)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])


def noise(seconds: float, rate: int = 48_000, seed: int = 1) -> NDArray[np.int16]:
    """Noise of speech's loudness, with a slow swell."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    swell = 1 + np.sin(np.arange(count, dtype=np.float32) / rate * 3)
    samples: NDArray[np.int16] = (rng.standard_normal(count, dtype=np.float32) * 1_500 * swell).astype(np.int16)
    return samples
