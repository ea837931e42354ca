"""Checks a folder of published weights by names, sizes and headers only. No torch."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talkingvideo_api.effective import PRESET_LORAS
from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.weights.files import (
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
from talkingvideo_worker.engines.infinitetalk.weights.headers import (
    BadHeaderError,
    Shape,
    adapter_shapes,
    base_shapes,
    read_shapes,
    some_weights,
)

MISSING = "is missing"


@dataclass(frozen=True)
class Finding:
    """The state of one file.

    Attributes:
        path: Relative to the folder.
        problem: What is wrong, as the end of a sentence (``is missing``); None for a valid file.
        weights: The number of its tensors, where known.
    """

    path: Path
    problem: str | None = None
    weights: int | None = None

    @property
    def is_missing(self) -> bool:
        """Whether the file does not exist."""
        return self.problem == MISSING


def check_weights(folder: Path) -> list[Finding]:
    """Check every file that the engine needs.

    Args:
        folder: See ``files``.

    Returns:
        One finding per file, valid ones included. Takes seconds whatever the size of the weights.
    """
    config = _json(folder / CONFIG)
    findings = [_check_exists(folder, CONFIG)]
    findings += _check_base(folder, config) if config else []
    adapter = adapter_shapes(config) if config else None
    findings += [_check_file(folder, adapter_of(speakers), adapter) for speakers in (1, 2)]
    findings += [_check_pickled(folder, path) for path in PICKLED]
    findings += [_check_exists(folder, path) for path in (*TOKENIZER_FILES, *SPEECH_FILES)]
    findings.append(_check_file(folder, SPEECH_WEIGHTS, None))
    return findings


def missing_for_some_videos(folder: Path) -> list[str]:
    """Files that only some presets need and the folder does not have, each with the preset.

    Args:
        folder: See ``files``.
    """
    loras = [(preset, LORAS / f"{lora.name}.safetensors") for preset, own in PRESET_LORAS.items() for lora in own]
    return [f"{path}, which the preset {preset} needs" for preset, path in loras if not (folder / path).is_file()]


def require_weights(folder: Path) -> None:
    """Refuse a folder in which a file is missing or wrong.

    Raises:
        StageError: E_PIPELINE_LOAD with the list of files; not retryable.
    """
    problems = [f"{finding.path} {finding.problem}" for finding in check_weights(folder) if finding.problem]
    if problems:
        message = (
            f"The weights in {folder} are not complete: {'; '.join(problems)}. "
            "`talkingvideo weights fetch` downloads them, `talkingvideo weights check` checks them."
        )
        raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)


def _check_base(folder: Path, config: Mapping[str, Any]) -> Iterator[Finding]:
    """Every shard of the base on its own, then whether they are complete together."""
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
        return Finding(path, MISSING)
    try:
        shapes = read_shapes(folder / path)
    except BadHeaderError as error:
        return Finding(path, str(error))
    return Finding(path, None if expected is None else _difference(shapes, expected), len(shapes))


def _check_pickled(folder: Path, path: Path) -> Finding:
    """A checkpoint of torch is a zip archive with its directory at the end, so a truncated file is not one."""
    finding = _check_exists(folder, path)
    if finding.problem is None and not zipfile.is_zipfile(folder / path):
        return Finding(path, "is not a checkpoint of torch, or is truncated: fetch it again")
    return finding


def _check_exists(folder: Path, path: Path) -> Finding:
    return Finding(path, None if (folder / path).is_file() else MISSING)


def _difference(found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> str | None:
    """How a file's weights differ from the expected ones, as the end of a sentence."""
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    wrong = [name for name in found if name in expected and found[name] != expected[name]]
    parts = [f"lacks {some_weights(missing)}"] if missing else []
    parts += [f"has the unknown {some_weights(unknown)}"] if unknown else []
    parts += [f"has the wrong shape for {some_weights(wrong)}"] if wrong else []
    return ", ".join(parts) or None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
