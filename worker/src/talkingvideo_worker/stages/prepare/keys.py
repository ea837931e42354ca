"""Chunk keys: a digest of everything that determines a chunk's pixels, and of nothing else.

Two chunks with the same key are the same chunk, whether they belong to a retry, an edited object or another object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import RenderInput
from talkingvideo_worker.files import file_digest
from talkingvideo_worker.media.wav import read_samples
from talkingvideo_worker.units import FRAME_RATE, SAMPLES_PER_FRAME

CONTEXT_BEFORE = 2 * FRAME_RATE
"""Frames of sound before a chunk that influence it: independent chunks are given their neighbours' sound, not silence."""

CONTEXT_AFTER = 2 * FRAME_RATE
"""Frames of sound after a chunk's last whole window that influence it."""

KEY_VERSION = 2
"""Raised when the meaning of a key changes."""

NOT_IN_KEY: Any = {"sampling": {"resident_parameters": True, "loras": {"__all__": {"index"}}}}
"""Values that change no pixel: where weights are kept, and the position of a LoRA in the spec."""


@dataclass(frozen=True)
class VideoIdentity:
    """What determines the pixels of all chunks of a video.

    Attributes:
        render_input: What the engine renders from.
        portrait_digest: sha256 of the file of the picture or video.
        loudness: Loudness of each recording in LUFS; None for silence.
        engine_digest: Identifies the engine's code and weights.
        encoding: Size and encoder settings of the segments.
    """

    render_input: RenderInput
    portrait_digest: str
    loudness: Sequence[float | None]
    engine_digest: str
    encoding: Mapping[str, Any]


def chunk_key(video: VideoIdentity, chunk: ChunkFrames, prepared_digest: str, predecessor: str | None) -> str:
    """The key of a chunk.

    Args:
        video: The video.
        chunk: The chunk's frames.
        prepared_digest: Identifies what the engine prepared for this chunk.
        predecessor: Key of the chunk that this one continues, if any.

    Returns:
        64 hexadecimal digits.
    """
    render_input = video.render_input
    document = {
        "version": KEY_VERSION,
        "portrait": video.portrait_digest,
        "heard": _sound_digest(render_input, chunk),
        "regions": [track.region for track in render_input.tracks],
        "masks": [None if track.mask is None else file_digest(track.mask) for track in render_input.tracks],
        "loras": [lora.digest for lora in render_input.loras],
        "start": chunk.start,
        "windows": chunk.windows,
        "firstWindow": chunk.first_window,
        "loudness": [None if value is None else round(value, 3) for value in video.loudness],
        "values": render_input.values.model_dump(mode="json", by_alias=True, exclude=NOT_IN_KEY),
        "engine": video.engine_digest,
        "prepared": prepared_digest,
        "predecessor": predecessor,
        "encoding": dict(video.encoding),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _sound_digest(render_input: RenderInput, chunk: ChunkFrames) -> str:
    """Digest of the sound that influences a chunk."""
    digest = hashlib.sha256()
    window = render_input.values.window_frames
    first = max(0, chunk.start - CONTEXT_BEFORE) * SAMPLES_PER_FRAME
    last = (chunk.start + chunk.frames + window + CONTEXT_AFTER) * SAMPLES_PER_FRAME
    for track in render_input.tracks:
        digest.update(read_samples(track.path, first, last - first).tobytes())
    return digest.hexdigest()
