"""LoRA files: where they are, which weights their keys change, whether they fit the model by their headers. No torch.

Published files name layers as Wan 2.1 does, mostly after ``diffusion_model.``; kohya's tools write ``lora_unet_`` and
underscores instead of dots. Per layer there is a product of two low-rank matrices (``lora_down`` or ``lora_A``, ``lora_up`` or
``lora_B``, scaled by ``alpha`` / rank), or a whole difference: of the weight (``diff``), of the bias (``diff_b``), of the
modulation (``diff_m``).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import LoraFile
from talkingvideo_worker.engines.infinitetalk.weights.files import CONFIG, LORAS
from talkingvideo_worker.engines.infinitetalk.weights.headers import (
    BadHeaderError,
    Shape,
    adapter_shapes,
    base_shapes,
    read_shapes,
)
from talkingvideo_worker.files import sampled_digest

PREFIX = re.compile(r"(model\.)?diffusion_model\.")
FLAT_PREFIX = re.compile(r"lora_unet_+")

KEY_ENDINGS = {
    "lora_down.weight": ("weight", "down"),
    "lora_A.weight": ("weight", "down"),
    "lora_up.weight": ("weight", "up"),
    "lora_B.weight": ("weight", "up"),
    "alpha": ("weight", "alpha"),
    "diff": ("weight", "diff"),
    "diff_b": ("bias", "diff"),
    "diff_m": ("modulation", "diff"),
}
"""From the end of a key to which of a layer's weights it changes, and how."""

PATCHES = "patch_embedding.weight"
"""Its first 16 input channels are the noise, the only ones of a text-to-video model; the reference's 20 follow."""

SHOWN = 5
"""Number of keys that a message lists."""


@dataclass(frozen=True)
class LoraChange:
    """What a file has for one weight: the keys of its tensors, None for those that it lacks."""

    down: str | None = None
    up: str | None = None
    alpha: str | None = None
    diff: str | None = None

    @property
    def complete(self) -> bool:
        """Whether it defines a difference: a product has both factors, and alpha scales one."""
        return (self.down is None) == (self.up is None) and (self.down is not None or self.diff is not None)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it has."""
        return tuple(key for key in (self.down, self.up, self.alpha, self.diff) if key is not None)


@dataclass(frozen=True)
class LoraContents:
    """What a file changes, and why it cannot be used.

    Attributes:
        changes: By the published name of the weight.
        left_out: Weights of a text-to-video model that have another shape here and are not changed.
        problems: Parts of a sentence, each with its keys; none for a good file.
    """

    changes: Mapping[str, LoraChange]
    left_out: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def parse_keys(shapes: Mapping[str, Shape], targets: Mapping[str, Shape]) -> LoraContents:
    """Find the weight that each key of a LoRA changes.

    Args:
        shapes: Of the file's tensors by key.
        targets: Shapes of the transformer's weights by published name.
    """
    changes, unknown, duplicate = dict[str, LoraChange](), list[str](), list[str]()
    flat = {_flattened(layer): layer for layer in {name.rpartition(".")[0] for name in targets}}
    for key in shapes:
        layer, weight, part = _meaning(key, flat)
        target = layer if layer in targets else f"{layer}.{weight}"
        change = changes.get(target, LoraChange())
        if target not in targets:
            unknown.append(key)
        elif getattr(change, part) is not None:
            duplicate.append(key)
        else:
            changes[target] = replace(change, **{part: key})
    left_out = [name for name, change in changes.items() if _is_text_to_video(name, change, shapes, targets)]
    used = {name: change for name, change in changes.items() if name not in left_out}
    incomplete = [key for change in used.values() if not change.complete for key in change.keys]
    wrong = [
        text
        for name, change in used.items()
        if change.complete
        for text in _wrong_shapes(change, shapes, targets[name])
    ]
    found = {
        "unknown": unknown,
        "given twice": duplicate,
        "without their other half": incomplete,
        "of the wrong shape": wrong,
    }
    problems = [f"{len(some)} {problem} ({_list(some)})" for problem, some in found.items() if some]
    return LoraContents(used, tuple(left_out), tuple(problems or ([] if used else ["none that changes a weight"])))


def _meaning(key: str, flat: Mapping[str, str]) -> tuple[str, str, str]:
    """Layer, weight and how it changes; empty strings for a key that is not a LoRA's.

    Some tools write weights that end in neither weight nor bias in full: ``blocks.0.modulation.diff``.
    """
    for end, (weight, part) in KEY_ENDINGS.items():
        if key.endswith(f".{end}"):
            layer = key.removesuffix(f".{end}")
            plain = PREFIX.sub("", layer, count=1) if PREFIX.match(layer) else layer
            if prefix := FLAT_PREFIX.match(layer):
                plain = flat.get(_flattened(layer[prefix.end() :]), "")
            return plain, weight, part
    return "", "", ""


def _flattened(layer: str) -> str:
    return layer.replace(".", "_")


def _is_text_to_video(name: str, change: LoraChange, shapes: Mapping[str, Shape], targets: Mapping[str, Shape]) -> bool:
    """Whether this changes a text-to-video model's patch embedding, which has fewer channels."""
    given = change.down or change.diff
    if name != PATCHES or given is None:
        return False
    channels, kernel = shapes[given][1:2], shapes[given][2:]
    return kernel == targets[name][2:] and channels < targets[name][1:2]


def _wrong_shapes(change: LoraChange, shapes: Mapping[str, Shape], target: Shape) -> Iterator[str]:
    """The tensors that do not fit a weight, with their shapes."""
    if change.diff is not None and shapes[change.diff] != target:
        yield f"{change.diff}: {_format(shapes[change.diff])} instead of {_format(target)}"
    if change.alpha is not None and math.prod(shapes[change.alpha]) != 1:
        yield f"{change.alpha}: {_format(shapes[change.alpha])} instead of one number"
    if change.down is None or change.up is None:
        return
    down, up = shapes[change.down], shapes[change.up]
    rank, out = (down or (0,))[0], (target or (0,))[0]
    if len(target) < 2 or math.prod(down) != rank * math.prod(target[1:]) or not rank:
        yield f"{change.down}: {_format(down)} does not fit {_format(target)}"
    elif (up or (0,))[0] != out or math.prod(up) != out * rank:
        yield f"{change.up}: {_format(up)} instead of {_format((out, rank))}"


def _format(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"


def _list(texts: Iterable[str]) -> str:
    listed = list(texts)
    return ", ".join(listed[:SHOWN]) + (", …" if len(listed) > SHOWN else "")


ENDING = ".safetensors"

FORMATS = frozenset(("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"))
"""Number formats that can be added to weights, by safetensors' names."""


def lora_path(folder: Path, lora: LoraFile) -> Path:
    """The file of a LoRA.

    Args:
        folder: Of the weights.
        lora: A fetched one, or one of the folder's.

    Raises:
        StageError: E_INPUT_VALIDATION when the folder does not have the name that the spec gives; E_PIPELINE_LOAD when it
            does not have a preset's.
    """
    if lora.fetched is not None:
        return lora.fetched
    path = named_path(folder, lora.label)
    if path.is_file():
        return path
    available = ", ".join(sorted(path.name.removesuffix(ENDING) for path in (folder / LORAS).glob(f"*{ENDING}")))
    if lora.field is None:
        message = (
            f"The preset needs the LoRA {path}, which is missing: put the file there, or run "
            f"`talkingvideo weights fetch {folder} --only loras`. The preset quality needs none."
        )
        raise StageError(ErrorCode.PIPELINE_LOAD, message, field="spec.render.preset", retryable=False)
    message = (
        f"The weights have no LoRA {lora.label!r}; they have: {available or 'none'}. Put its file at {path}, or give its "
        "uri."
    )
    raise StageError.invalid(message, lora.field)


def named_path(folder: Path, name: str) -> Path:
    """The file of a name in a folder of weights; never in another folder.

    Raises:
        StageError: E_INPUT_VALIDATION for what is not the name of a file.
    """
    if Path(name).name != name or name in ("", ".", ".."):
        raise StageError.invalid(f"{name[:80]!r} cannot be the name of a LoRA.")
    return folder / LORAS / f"{name}{ENDING}"


def check_loras(folder: Path, loras: Sequence[LoraFile]) -> list[str]:
    """Check by their headers that LoRAs fit the model, before a GPU is requested.

    Args:
        folder: Of the weights.
        loras: Fetched ones, and ones of the folder.

    Returns:
        Warnings for the user about the parts that are left out.

    Raises:
        StageError: E_PIPELINE_LOAD for a file that is not a LoRA or does not fit; as ``lora_path`` for a missing one.
    """
    if not loras:
        return []
    config = json.loads((folder / CONFIG).read_text())
    targets = base_shapes(config) | adapter_shapes(config)
    warnings = []
    for lora in loras:
        contents = read_lora(lora_path(folder, lora), lora, targets)
        warnings += [
            f"LoRA {lora.label} was made for text-to-video: its change of {name}, which has more channels here, is left out."
            for name in contents.left_out
        ]
    return warnings


def read_lora(path: Path, lora: LoraFile, targets: Mapping[str, Shape]) -> LoraContents:
    """What a file changes, by its header.

    Args:
        path: Its file.
        lora: For messages.
        targets: Shapes of the transformer's weights by published name.

    Raises:
        StageError: E_PIPELINE_LOAD with the keys that do not fit this model; not retryable.
    """
    try:
        contents = parse_keys(read_shapes(path), targets)
        formats = _formats(path)
    except BadHeaderError as error:
        raise _refused(f"The file of LoRA {lora.label} {error}.", lora) from error
    if contents.problems:
        raise _refused(f"LoRA {lora.label} does not fit this model: of its keys {'; '.join(contents.problems)}.", lora)
    added = {key for change in contents.changes.values() for key in change.keys if key != change.alpha}
    if other := sorted({formats[key] for key in added} - FORMATS):
        raise _refused(f"LoRA {lora.label} has numbers in {', '.join(other)}: give one in F32, F16 or BF16.", lora)
    return contents


def _formats(path: Path) -> dict[str, str]:
    """Number formats by key, as safetensors' own reader, which opens the file to render, reports them.

    Raises:
        BadHeaderError: When that reader refuses the file: shapes and offsets do not agree, or a format is unknown.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise BadHeaderError("has a broken header") from error


def _refused(message: str, lora: LoraFile) -> StageError:
    return StageError(ErrorCode.PIPELINE_LOAD, message, field=lora.field, retryable=False)


def loras_digest(folder: Path, names: Iterable[str]) -> str:
    """Identify the LoRAs of a folder of weights that have some names, as far as they exist.

    Args:
        folder: Of the weights.
        names: See ``settings.lora_names``.
    """
    digest = hashlib.sha256()
    for name in names:
        if (path := named_path(folder, name)).is_file():
            digest.update(f"{path.name} {lora_digest(path)}\n".encode())
    return digest.hexdigest()


def lora_digest(path: Path) -> str:
    """Identify a LoRA's file by its names, shapes and size, and by samples of its content."""
    header = json.dumps(read_shapes(path), sort_keys=True)
    return hashlib.sha256(f"{header} {sampled_digest(path)}".encode()).hexdigest()
