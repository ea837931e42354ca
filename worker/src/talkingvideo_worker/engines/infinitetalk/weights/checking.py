"""What is in a folder of published weights, and what is not: by names, sizes and headers only."""

from __future__ import annotations

import json
import operator
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talkingvideo_api.effective import PRESET_LORAS
from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.weights.layout import (
    BASE,
    CONFIG,
    LORAS,
    PICKLED,
    SHARDS,
    SPEECH_FILES,
    SPEECH_WEIGHTS,
    TOKENIZER_FILES,
    adapter_of,
)
from talkingvideo_worker.engines.infinitetalk.weights.shapes import Shape, adapter_shapes, base_shapes
from talkingvideo_worker.speech import kokoro
from talkingvideo_worker.weights.location import KOKORO

LONGEST_HEADER = 16_000_000
"""Bytes. Published ones have some hundred thousand; the format's own reader takes 100 MB, which are gigabytes once parsed."""

SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One file.

    Attributes:
        path: Relative to the folder.
        problem: What is wrong, as a sentence's end (``is missing``); None for a good file.
        weights: How many it holds, where that is known.
    """

    path: Path
    problem: str | None = None
    weights: int | None = None


class BadHeaderError(Exception):
    """A file is not safetensors, or is cut short."""


def read_shapes(path: Path) -> dict[str, Shape]:
    """Names and shapes of a safetensors file, from its header.

    Raises:
        BadHeaderError: When it is none, or shorter than its header says.
    """
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else LONGEST_HEADER + 1
        if length > LONGEST_HEADER:
            raise BadHeaderError("is not a safetensors file")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            header.pop("__metadata__", None)
            end = max((operator.index(tensor["data_offsets"][1]) for tensor in header.values()), default=0)
            shapes = {name: tuple(map(operator.index, tensor["shape"])) for name, tensor in header.items()}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise BadHeaderError("has a broken header") from error
    size = path.stat().st_size
    if size != 8 + length + end:
        raise BadHeaderError(f"has {size:,} bytes instead of {8 + length + end:,}: fetch it again")
    return shapes


def check_weights(folder: Path) -> list[Finding]:
    """Look at every file that the engine needs.

    Args:
        folder: See ``layout``.

    Returns:
        One finding per file, good ones too; seconds, whatever the weights' size.
    """
    config = _json(folder / CONFIG)
    findings = [_presence(folder, CONFIG)]
    findings += _check_base(folder, config) if config else []
    adapter = adapter_shapes(config) if config else None
    findings += [_check_file(folder, adapter_of(speakers), adapter) for speakers in (1, 2)]
    findings += [_check_pickled(folder, path) for path in PICKLED]
    findings += [_presence(folder, path) for path in (*TOKENIZER_FILES, *SPEECH_FILES)]
    findings.append(_check_file(folder, SPEECH_WEIGHTS, None))
    return findings


def lacking_for_some(folder: Path) -> list[str]:
    """What only some videos need and the folder lacks: sentences without their verb, ``FILE, which … needs``.

    Args:
        folder: See ``layout``.
    """
    loras = [(preset, LORAS / f"{lora.name}.safetensors") for preset, own in PRESET_LORAS.items() for lora in own]
    lacking = [f"{path}, which the preset {preset} needs" for preset, path in loras if not (folder / path).is_file()]
    voice = [KOKORO / name for name in (kokoro.CONFIG, kokoro.MODEL)]
    lacking += [f"{path}, without which espeak-ng speaks texts" for path in voice if not (folder / path).is_file()]
    return lacking


def require_weights(folder: Path) -> None:
    """Refuse a folder in which something is missing or wrong.

    Raises:
        StageError: E_PIPELINE_LOAD with the list; trying again does not help.
    """
    problems = [f"{finding.path} {finding.problem}" for finding in check_weights(folder) if finding.problem]
    if problems:
        message = (
            f"The weights in {folder} are not complete: {'; '.join(problems)}. "
            "`talkingvideo weights fetch` gets them, `talkingvideo weights check` looks again."
        )
        raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)


def _check_base(folder: Path, config: Mapping[str, Any]) -> Iterator[Finding]:
    """The base's shards, each on its own, and whether together they are the whole."""
    shards = sorted((folder / BASE).glob(SHARDS))
    expected, found = base_shapes(config), dict[str, Shape]()
    for shard in shards:
        path = shard.relative_to(folder)
        finding = _check_file(folder, path, None)
        if finding.problem is None:
            shapes = read_shapes(shard)
            known = {name: expected[name] for name in shapes if name in expected}
            finding = Finding(path, _difference(shapes, known), len(shapes))
            found |= shapes
        yield finding
    if missing := [name for name in expected if name not in found]:
        yield Finding(BASE / SHARDS, f"lack {some_weights(missing)}: fetch the shards that are missing")


def _check_file(folder: Path, path: Path, expected: Mapping[str, Shape] | None) -> Finding:
    if not (folder / path).is_file():
        return Finding(path, "is missing")
    try:
        shapes = read_shapes(folder / path)
    except BadHeaderError as error:
        return Finding(path, str(error))
    return Finding(path, None if expected is None else _difference(shapes, expected), len(shapes))


def _check_pickled(folder: Path, path: Path) -> Finding:
    """A checkpoint of torch is a zip archive; its directory stands at the end, so a file cut short is none."""
    finding = _presence(folder, path)
    if finding.problem is None and not zipfile.is_zipfile(folder / path):
        return Finding(path, "is not a checkpoint of torch, or is cut short: fetch it again")
    return finding


def _presence(folder: Path, path: Path) -> Finding:
    return Finding(path, None if (folder / path).is_file() else "is missing")


def _difference(found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> str | None:
    """How a file's weights differ from what they should be, as a sentence's end."""
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    wrong = [name for name in found if name in expected and found[name] != expected[name]]
    parts = [f"lacks {some_weights(missing)}"] if missing else []
    parts += [f"has the unknown {some_weights(unknown)}"] if unknown else []
    parts += [f"has the wrong shape for {some_weights(wrong)}"] if wrong else []
    return ", ".join(parts) or None


def some_weights(names: list[str]) -> str:
    """How many weights, and the first of their names, for messages."""
    return f"{len(names)} weights ({', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''})"


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
