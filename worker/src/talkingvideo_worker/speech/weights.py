"""The files of Kokoro, the voice of spoken texts: where they are in the folder of weights, and where they come from."""

from __future__ import annotations

from pathlib import Path

from talkingvideo_worker.speech.kokoro import CONFIG, MODEL, VOICES
from talkingvideo_worker.weights.location import PublishedFiles

KOKORO = Path("Kokoro-82M")

PUBLISHED = (PublishedFiles("kokoro", "hexgrad/Kokoro-82M", (CONFIG, MODEL, f"{VOICES}/*.pt"), KOKORO),)
"""What ``talkingvideo weights fetch`` downloads for speech."""


def missing_files(folder: Path) -> list[str]:
    """Files that only spoken texts need and the folder does not have, each with what happens without it.

    Args:
        folder: The folder of weights.
    """
    files = [KOKORO / name for name in (CONFIG, MODEL)]
    return [f"{path}, without which espeak-ng speaks texts" for path in files if not (folder / path).is_file()]
