"""Files of LoRAs: where they are, whether they fit the model (by headers alone), and what identifies them. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.values import LoraInForce
from talkingvideo_worker.engines.base import LoraFile
from talkingvideo_worker.engines.infinitetalk.weights.checking import BadHeaderError, read_shapes
from talkingvideo_worker.engines.infinitetalk.weights.layout import CONFIG, LORAS
from talkingvideo_worker.engines.infinitetalk.weights.lora_keys import Reading, read_keys
from talkingvideo_worker.engines.infinitetalk.weights.shapes import Shape, adapter_shapes, base_shapes
from talkingvideo_worker.files import sampled_digest

ENDING = ".safetensors"

FORMATS = frozenset(("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"))
"""Of numbers, by the format's names, that can be added to weights."""


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
            f"The preset needs the LoRA {path}, which is missing: put the file there, or run "
            f"`talkingvideo weights fetch {folder} --only loras`. The preset quality needs none."
        )
        raise StageError(ErrorCode.PIPELINE_LOAD, message, field="spec.render.preset", retryable=False)
    message = (
        f"There is no LoRA {lora.label!r} beside the weights; there are: {there or 'none'}. Put its file at {path}, or "
        "give its uri."
    )
    raise StageError.invalid(message, lora.field)


def named_path(folder: Path, name: str) -> Path:
    """The file of a name in a folder of weights; names lead to no other folder.

    Raises:
        StageError: E_INPUT_VALIDATION for what is no name of a file.
    """
    if Path(name).name != name or name in ("", ".", ".."):
        raise StageError.invalid(f"{name[:80]!r} cannot be the name of a LoRA.")
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
        formats = _formats(path)
    except BadHeaderError as error:
        raise _refused(f"The file of LoRA {lora.label} {error}.", lora) from error
    if reading.problems:
        raise _refused(f"LoRA {lora.label} does not fit this model: of its keys {'; '.join(reading.problems)}.", lora)
    added = {key for change in reading.changes.values() for key in change.keys if key != change.alpha}
    if other := sorted({formats[key] for key in added} - FORMATS):
        raise _refused(f"LoRA {lora.label} has numbers in {', '.join(other)}: give one in F32, F16 or BF16.", lora)
    return reading


def _formats(path: Path) -> dict[str, str]:
    """Formats of the numbers by key, as the format's own reader finds them, which opens the file to render.

    Raises:
        BadHeaderError: When that reader refuses the file: shapes and places do not agree, or a format is unknown.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise BadHeaderError("has a broken header") from error


def _refused(message: str, lora: LoraFile) -> StageError:
    return StageError(ErrorCode.PIPELINE_LOAD, message, field=lora.field, retryable=False)


def loras_digest(folder: Path, loras: Sequence[LoraInForce]) -> str:
    """Identify the LoRAs that are named in a folder of weights; those that were fetched have digests of their own.

    Args:
        folder: Of the weights.
        loras: In force; those of the folder have a ``name``.
    """
    digest = hashlib.sha256()
    for path in _named(folder, loras):
        digest.update(f"{path.name} {lora_digest(path)}\n".encode())
    return digest.hexdigest()


def lora_digest(path: Path) -> str:
    """Identify a LoRA's file by its names, shapes and size, and by samples of its content."""
    header = json.dumps(read_shapes(path), sort_keys=True)
    return hashlib.sha256(f"{header} {sampled_digest(path)}".encode()).hexdigest()


def _named(folder: Path, loras: Sequence[LoraInForce]) -> Iterator[Path]:
    """Files of the LoRAs that are named, as far as they are there."""
    for lora in loras:
        if lora.name and (path := named_path(folder, lora.name)).is_file():
            yield path
