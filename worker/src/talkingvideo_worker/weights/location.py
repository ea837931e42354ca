"""Where models' weights are on this machine: one folder for all of them, with a folder for each model."""

from __future__ import annotations

import os
from pathlib import Path

KOKORO = Path("Kokoro-82M")
"""Folder of the voice of spoken texts, which belongs to no engine. Engines' folders are in their own layouts."""


def weights_location() -> Path:
    """The folder: ``TALKINGVIDEO_WEIGHTS``, or one of the user's cache."""
    if given := os.environ.get("TALKINGVIDEO_WEIGHTS"):
        return Path(given)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "talkingvideo" / "weights"
