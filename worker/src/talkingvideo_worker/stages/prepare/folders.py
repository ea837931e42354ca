"""What the steps of prepare hand over, in the pod's scratch folder."""

from __future__ import annotations

from pathlib import Path

from talkingvideo_api.stage_input import StageInput

SOURCE = "source"


def inputs_folder(scratch: Path) -> Path:
    """What ``fetch`` fetched, unparsed."""
    return scratch / "inputs"


def prepared_folder(scratch: Path) -> Path:
    """What ``process`` made: the workspace's files."""
    return scratch / "prepared"


def prepared_marker(scratch: Path) -> Path:
    """There when an earlier run had already published the plan: nothing is fetched or processed again."""
    return scratch / "already-prepared"


def speaker_input(scratch: Path, index: int) -> Path:
    """A speaker's recording as it was fetched."""
    return inputs_folder(scratch) / f"speaker-{index}"


def mask_input(scratch: Path, index: int) -> Path:
    """The picture of where a speaker is, as it was fetched."""
    return inputs_folder(scratch) / f"mask-{index}"


def lora_input(scratch: Path, index: int) -> Path:
    """A LoRA as it was fetched."""
    return inputs_folder(scratch) / f"lora-{index}"


def source_field(stage_input: StageInput) -> str:
    """Path of the source's field in the spec."""
    return f"spec.source.{'video' if stage_input.spec.source.video else 'image'}.uri"


def audio_field(index: int) -> str:
    """Path of a speaker's recording in the spec."""
    return f"spec.speech.speakers[{index}].audio.uri"


def mask_field(index: int) -> str:
    """Path of a speaker's mask in the spec."""
    return f"spec.speech.speakers[{index}].mask.uri"
