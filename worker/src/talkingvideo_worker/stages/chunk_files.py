"""Names of a chunk's files in the store of finished chunks."""

from __future__ import annotations


def segment_name(key: str, window: int) -> str:
    """One window's frames, a closed-GOP mp4."""
    return f"{key}/segment-{window:04d}.mp4"


def state_name(key: str, window: int) -> str:
    """What the window after this one needs."""
    return f"{key}/state-{window:04d}.npz"


def done_name(key: str) -> str:
    """Written last: the chunk is finished."""
    return f"{key}/done.json"
