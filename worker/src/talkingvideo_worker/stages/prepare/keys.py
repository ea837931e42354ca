"""Chunk keys: a digest of all that determines a chunk's pixels, and of nothing else.

Two chunks with one key are the same chunk, whoever asked for them: a retry, an edited object, another object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import RenderInput
from talkingvideo_worker.files import file_digest
from talkingvideo_worker.media.wav import read_samples
from talkingvideo_worker.units import FRAME_RATE, SAMPLES_PER_FRAME

CONTEXT_BEFORE = 2 * FRAME_RATE
"""Frames of sound that a chunk hears before its first: independent chunks hear their neighbours, not silence."""

CONTEXT_AFTER = 2 * FRAME_RATE
"""Frames of sound heard after the end of a chunk's last whole window."""

KEY_VERSION = 2
"""Raised when the meaning of a key changes."""


NOT_IN_KEY: Any = {"sampling": {"resident_parameters": True, "loras": {"__all__": {"index"}}}}
"""Values that change no pixel: where weights wait, and at which place of the spec a LoRA stands."""


def chunk_key(
    render_input: RenderInput,
    chunk: ChunkFrames,
    *,
    portrait_digest: str,
    loudness: Sequence[float | None],
    engine_digest: str,
    prepared_digest: str,
    predecessor: str | None,
    encoding: Mapping[str, Any],
) -> str:
    """Digest of what determines a chunk's pixels.

    Args:
        render_input: Of the whole video.
        chunk: The chunk's frames.
        portrait_digest: sha256 of the picture's or video's file.
        loudness: Of each whole track in LUFS.
        engine_digest: Identifies the engine's code and weights.
        prepared_digest: Identifies what the engine prepared for this chunk.
        predecessor: Key of the chunk that this one goes on from, if it does.
        encoding: Size and encoder settings of the segments.

    Returns:
        64 hexadecimal digits.
    """
    heard = hashlib.sha256()
    window = render_input.values.window_frames
    first = max(0, chunk.start - CONTEXT_BEFORE) * SAMPLES_PER_FRAME
    last = (chunk.start + chunk.frames + window + CONTEXT_AFTER) * SAMPLES_PER_FRAME
    for track in render_input.tracks:
        heard.update(read_samples(track.path, first, last - first).tobytes())
    document = {
        "version": KEY_VERSION,
        "portrait": portrait_digest,
        "heard": heard.hexdigest(),
        "regions": [track.region for track in render_input.tracks],
        "masks": [None if track.mask is None else file_digest(track.mask) for track in render_input.tracks],
        "loras": [lora.digest for lora in render_input.loras],
        "start": chunk.start,
        "windows": chunk.windows,
        "firstWindow": chunk.first_window,
        "loudness": [None if value is None else round(value, 3) for value in loudness],
        "values": render_input.values.model_dump(mode="json", by_alias=True, exclude=NOT_IN_KEY),
        "engine": engine_digest,
        "prepared": prepared_digest,
        "predecessor": predecessor,
        "encoding": dict(encoding),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
