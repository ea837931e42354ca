"""Names of a chunk's files in the store of finished chunks."""

from __future__ import annotations


def segment_name(key: str, window: int) -> str:
    """One window's frames, a closed-GOP mp4."""
    return f"{key}/segment-{window:04d}.mp4"


def state_name(key: str, window: int, segment_digest: str) -> str:
    """What the window after this one needs.

    Args:
        key: The chunk's.
        window: Its place in the chunk.
        segment_digest: sha256 of the window's segment: of several pods that render a chunk at once each has a state of
            its own, and only the one beside the segment that won may be gone on from.
    """
    return f"{key}/state-{window:04d}-{segment_digest[:16]}.npz"


def mode_name(key: str, window: int, segment_digest: str) -> str:
    """In which memory mode a window was made; see `state_name` for the digest."""
    return f"{key}/mode-{window:04d}-{segment_digest[:16]}.json"


def done_name(key: str) -> str:
    """Written last: the chunk is finished."""
    return f"{key}/done.json"
