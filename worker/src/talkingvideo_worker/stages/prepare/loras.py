"""LoRAs with an address: from what was fetched to the workspace's files."""

from __future__ import annotations

from pathlib import Path

from talkingvideo_worker.files import file_digest
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.loras import fetched_loras, lora_name
from talkingvideo_worker.stages.prepare.folders import input_path


def take_loras(context: StageContext, folder: Path) -> dict[str, str]:
    """Put the fetched LoRAs among the prepared files. They are linked: copies of gigabytes would fill the scratch.

    Args:
        context: The stage's surroundings.
        folder: Of the prepared files.

    Returns:
        sha256 of each, by its name there.
    """
    digests = {}
    for lora in fetched_loras(context.stage_input):
        name = lora_name(lora.index)
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.hardlink_to(input_path(context.scratch, lora))
        digests[name] = file_digest(path)
    return digests
