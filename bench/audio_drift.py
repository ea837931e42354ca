"""Drift of sound over 20 minutes cut into 30 chunks: ``uv run --group bench python bench/audio_drift.py``.

Ours (segments without sound, joined by copy; sound encoded once) beside the older systems' way: every chunk with its
own AAC track, joined by ``ffmpeg``'s concat demuxer with ``-c copy``. The sound is noise; its place in the finished file
is found by correlation of the decoded samples with the input, around the first and the last second. The picture's frames
are counted.
"""

from __future__ import annotations

import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from common.material import decoded_sound, ffmpeg_binary, noise, write_aac
from numpy.typing import NDArray

from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.media.encoder import SegmentEncoder
from talkingvideo_worker.media.join import join_segments

FRAMES, CHUNKS = 20 * 60 * 25, 30
RATES = (48_000, 44_100, 16_000)


def place_of(part: NDArray[np.float32], whole: NDArray[np.float32], near: int, reach: int) -> int:
    """Samples by which ``part`` lies later in ``whole`` than at ``near``, within ``reach``."""
    first = max(0, near - reach)
    around = whole[first : near + reach + len(part)]
    size = 1 << (len(around) + len(part)).bit_length()
    match = np.fft.irfft(np.fft.rfft(around, size) * np.conj(np.fft.rfft(part, size)), size)
    return int(match[: len(around) - len(part) + 1].argmax()) + first - near


def drift(result: Path, samples: NDArray[np.int16], rate: int) -> tuple[float, float]:
    """Milliseconds by which the sound is late at the start and at the end."""
    heard = decoded_sound(result)
    parts = (rate, len(samples) - 3 * rate)
    reach = 3 * rate
    heard = np.pad(heard, (0, reach + rate))
    late = [place_of(samples[at : at + rate].astype(np.float32), heard, at, reach) for at in parts]
    return 1_000 * late[0] / rate, 1_000 * late[1] / rate


def frames_of(result: Path) -> int:
    with av.open(str(result)) as file:
        return sum(packet.pts is not None for packet in file.demux(video=0))


def write_pictures(path: Path, frames: int) -> Path:
    plain = np.zeros((64, 64, 3), np.uint8)
    with SegmentEncoder(path, 64, 64) as encoder:
        for number in range(frames):
            plain[:] = number % 250
            encoder.write(plain)
    return path


def main() -> None:
    ffmpeg = ffmpeg_binary()
    print("| 20 min in 30 chunks | frames off | sound late at the start | at the end |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        even = np.linspace(0, FRAMES, CHUNKS + 1)[1:-1]
        cuts = [0, *(even + np.random.default_rng(0).integers(-200, 200, CHUNKS - 1)).astype(int).tolist(), FRAMES]
        chunks = [ChunkFrames(start, (end - start,)) for start, end in pairwise(cuts)]
        pictures = [write_pictures(folder / f"{chunk.start}.mp4", chunk.frames) for chunk in chunks]
        for rate in RATES:
            samples = noise(FRAMES / 25, rate)
            sound, ours, theirs, listed = (folder / file for file in ("sound.m4a", "a.mp4", "b.mp4", "list.txt"))
            write_aac(sound, samples, rate)
            join_segments(pictures, sound, ours, {})
            parts = []
            for chunk, picture in zip(chunks, pictures, strict=True):
                own = samples[chunk.start * rate // 25 : (chunk.start + chunk.frames) * rate // 25]
                write_aac(folder / "own.m4a", own, rate)
                parts.append(folder / f"with-sound-{chunk.start}.mp4")
                join_segments([picture], folder / "own.m4a", parts[-1], {})
            listed.write_text("".join(f"file '{part}'\n" for part in parts))
            command = [ffmpeg, "-v", "error", "-y", "-f", "concat", "-safe", "0", "-i", listed, "-c", "copy", theirs]
            subprocess.run([str(part) for part in command], check=True, stderr=subprocess.DEVNULL)
            for title, result in (("ours", ours), ("AAC per chunk, joined by copy", theirs)):
                start, end = drift(result, samples, rate)
                off = frames_of(result) - FRAMES
                print(
                    f"| {title}, {rate} Hz, {len(chunks)} chunks | {off} | {start:+.2f} ms | {end:+.2f} ms |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
