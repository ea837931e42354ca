"""Files of LoRAs: where they are, whether they fit the model (by headers alone), and what identifies them. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.digest import sampled_digest
from talkingvideo_worker.engines.base import LoraFile
from talkingvideo_worker.engines.infinitetalk.weights.checking import BadHeaderError, read_shapes
from talkingvideo_worker.engines.infinitetalk.weights.layout import CONFIG, LORAS
from talkingvideo_worker.engines.infinitetalk.weights.lora_keys import Reading, read_keys
from talkingvideo_worker.engines.infinitetalk.weights.shapes import Shape, adapter_shapes, base_shapes

ENDING = ".safetensors"


def lora_path(folder: Path, lora: LoraFile) -> Path:
    """Where a LoRA's file is.

    Args:
        folder: Of the weights.
        lora: A fetched one, or one of the folder's.

    Raises:
        StageError: E_INPUT_VALIDATION for a name that somebody gave and the folder lacks; E_PIPELINE_LOAD for a preset's.
    """
    if lora.fetched is not None:
        return lora.fetched
    path = named_path(folder, lora.label)
    if path.is_file():
        return path
    there = ", ".join(sorted(path.name.removesuffix(ENDING) for path in (folder / LORAS).glob(f"*{ENDING}")))
    if lora.field is None:
        message = (
            f"The weights lack {LORAS / path.name}, which the preset needs; `talkingvideo weights fetch` gets it. "
            "The preset quality needs none."
        )
        raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)
    message = f"There is no LoRA {lora.label!r} beside the weights; there are: {there or 'none'}."
    raise StageError(ErrorCode.INPUT_VALIDATION, message, field=lora.field)


def named_path(folder: Path, name: str) -> Path:
    """The file of a name in a folder of weights; names lead to no other folder.

    Raises:
        StageError: E_INPUT_VALIDATION for what is no name of a file.
    """
    if Path(name).name != name or name in ("", ".", ".."):
        raise StageError(ErrorCode.INPUT_VALIDATION, f"{name[:80]!r} cannot be the name of a LoRA.")
    return folder / LORAS / f"{name}{ENDING}"


def check_loras(folder: Path, loras: Sequence[LoraFile]) -> list[str]:
    """Look whether LoRAs fit the model, by headers: before any GPU is asked for.

    Args:
        folder: Of the weights.
        loras: Fetched ones, and ones of the folder.

    Returns:
        Sentences for the user about what of them is left out.

    Raises:
        StageError: E_PIPELINE_LOAD for a file that is none, or doesn't fit; as ``lora_path`` for one that is not there.
    """
    if not loras:
        return []
    config = json.loads((folder / CONFIG).read_text())
    targets = base_shapes(config) | adapter_shapes(config)
    notes = []
    for lora in loras:
        reading = read_lora(lora_path(folder, lora), lora, targets)
        notes += [
            f"LoRA {lora.label} was made for text-to-video: its change of {name}, which has more channels here, is left out."
            for name in reading.left_out
        ]
    return notes


def read_lora(path: Path, lora: LoraFile, targets: Mapping[str, Shape]) -> Reading:
    """What a file changes, by its header.

    Args:
        path: Its file.
        lora: For messages.
        targets: Shapes of the transformer's weights by published name.

    Raises:
        StageError: E_PIPELINE_LOAD with the keys that have no place in this model; trying again does not help.
    """
    try:
        reading = read_keys(read_shapes(path), targets)
    except BadHeaderError as error:
        message = f"The file of LoRA {lora.label} {error}."
        raise StageError(ErrorCode.PIPELINE_LOAD, message, field=lora.field, retryable=False) from error
    if reading.problems:
        message = f"LoRA {lora.label} does not fit this model: of its keys {'; '.join(reading.problems)}."
        raise StageError(ErrorCode.PIPELINE_LOAD, message, field=lora.field, retryable=False)
    return reading


def loras_digest(folder: Path, parameters: Mapping[str, Any]) -> str:
    """Identify the LoRAs that parameters name in a folder of weights; those that were fetched have digests of their own.

    Args:
        folder: Of the weights.
        parameters: Effective values; ``loras`` has an entry per LoRA, with ``name`` for those of the folder.
    """
    digest = hashlib.sha256()
    for path in _named(folder, parameters):
        digest.update(f"{path.name} {lora_digest(path)}\n".encode())
    return digest.hexdigest()


def lora_digest(path: Path) -> str:
    """Identify a LoRA's file by its names, shapes and size, and by samples of its content."""
    header = json.dumps(read_shapes(path), sort_keys=True)
    return hashlib.sha256(f"{header} {sampled_digest(path)}".encode()).hexdigest()


def _named(folder: Path, parameters: Mapping[str, Any]) -> Iterator[Path]:
    for lora in parameters.get("loras", ()):
        if name := lora.get("name"):
            yield named_path(folder, name)
