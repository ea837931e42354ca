"""Which frames each render Job of a chained video makes: whole windows, since the next chunk goes on from the last one.

One chunk ends where a window ends, and no frame is rendered twice: together the chunks are one run of the model over
the whole video. There is no seam to hide in a silence.
"""

from __future__ import annotations

from itertools import pairwise

from talkingvideo_worker.chunking.plan import MOST_CHUNKS, PlanSettings
from talkingvideo_worker.chunking.windows import window_lengths
from talkingvideo_worker.engines.base import FRAME_RATE, ChunkFrames


def chained_chunks(frames: int, settings: PlanSettings) -> tuple[ChunkFrames, ...]:
    """Divide the windows of a video into chunks of about the target's length, as even as windows allow.

    Args:
        frames: Length of the video, at least 1.
        settings: Target and windows.

    Returns:
        Chunks in order, at most 500; each but the first goes on from the one before.
    """
    windows = window_lengths(frames, settings.window, settings.motion)
    wanted = round(frames / (settings.target_seconds * FRAME_RATE))
    count = min(max(1, wanted), len(windows), MOST_CHUNKS)
    chunks, start = [], 0
    for first, end in pairwise(len(windows) * cut // count for cut in range(count + 1)):
        lead = settings.motion if first else 0
        chunks.append(ChunkFrames(start, windows[first:end], first, lead))
        start += chunks[-1].frames
    return tuple(chunks)
