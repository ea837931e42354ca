"""Join and mux of 20 chunks of 40 s: ``uv run --group bench python bench/join.py``.

Ours (280 segments of one window, and the sound, to a file whose index comes first, flushed to disk, with its digest)
beside one plain ``ffmpeg -c copy`` of the very same bytes, beside the concat demuxer over one file a chunk, and beside
re-encoding (one chunk, times 20). Runs alternate; medians of 7.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from common.material import HEIGHT, WIDTH, ffmpeg_binary, noise, write_aac, write_chunk

from talkingvideo_worker.media.finished_video import verify, write_thumbnail
from talkingvideo_worker.media.join import join_segments

CHUNKS, CHUNK_FRAMES, RUNS = 20, 1_000, 7
SECONDS = CHUNKS * CHUNK_FRAMES / 25


def seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def main() -> None:
    ffmpeg = ffmpeg_binary()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        segments = write_chunk(folder, CHUNK_FRAMES)
        sound, joined, copied = folder / "sound.m4a", folder / "joined.mp4", folder / "copied.mp4"
        write_aac(sound, noise(SECONDS))
        chunk, chunks = folder / "chunk.mp4", folder / "chunks.txt"
        join_segments(segments, None, chunk, {})
        chunks.write_text(f"file '{chunk}'\n" * CHUNKS)

        def run(*arguments: object) -> None:
            subprocess.run([ffmpeg, "-v", "error", "-nostdin", "-y", *map(str, arguments)], check=True)

        def ours() -> None:
            join_segments(segments * CHUNKS, sound, joined, {"title": "bench"})

        def plain_copy() -> None:
            run("-i", joined, "-c", "copy", "-movflags", "+faststart", copied)

        def concat() -> None:
            inputs = ("-f", "concat", "-safe", "0", "-i", chunks, "-i", sound)
            run(*inputs, "-map", "0:v", "-map", "1:a", "-c", "copy", "-movflags", "+faststart", copied)

        def rest_of_stage() -> None:
            verify(joined, CHUNKS * CHUNK_FRAMES, WIDTH, HEIGHT, SECONDS)
            write_thumbnail(joined, folder / "thumbnail.jpg")

        for act in (ours, plain_copy, concat):
            act()
        times = [[seconds(act) for act in (ours, plain_copy, concat, rest_of_stage)] for _ in range(RUNS)]
        again = (
            seconds(lambda: run("-i", chunk, "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", copied)) * CHUNKS
        )
        megabytes = joined.stat().st_size / 1e6
    mine, plain, concatenated, rest = (median(column) for column in zip(*times, strict=True))
    ratio = median(row[0] / row[1] for row in times)
    print(f"| 20 chunks of 40 s, {WIDTH}x{HEIGHT}, {megabytes:.0f} MB | s | beside plain copy |\n|---|---|---|")
    print(f"| our join of {len(segments) * CHUNKS} segments | {mine:.2f} | {ratio:.2f} (median of ratios) |")
    print(f"| plain `ffmpeg -c copy` of the result | {plain:.2f} | 1 |")
    print(f"| `ffmpeg` concat demuxer, 20 files, with the sound | {concatenated:.2f} | {concatenated / plain:.2f} |")
    print(f"| re-encoding (x264 veryfast; a chunk, times 20) | {again:.0f} | {again / plain:.0f} |")
    print(f"| our check of the result and its thumbnail | {rest:.2f} | {rest / plain:.2f} |")


if __name__ == "__main__":
    main()
