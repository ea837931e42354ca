"""What is in a folder of published weights, and what is not: by names, sizes and headers only.

A folder holds the repositories side by side under their own names::

    Wan2.1-I2V-14B-480P/       config.json, seven shards, Wan2.1_VAE.pth, text and image encoder, their tokenizers
    InfiniteTalk/              single/infinitetalk.safetensors, multi/infinitetalk.safetensors
    chinese-wav2vec2-base/     config.json, model.safetensors
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talkingvideo_worker.engines.infinitetalk.weights.shapes import Shape, adapter_shapes, base_shapes

BASE = Path("Wan2.1-I2V-14B-480P")
ADAPTERS = Path("InfiniteTalk")
SPEECH = Path("chinese-wav2vec2-base")

SHARDS = "diffusion_pytorch_model-*-of-*.safetensors"
PICKLED = (
    "Wan2.1_VAE.pth",
    "models_t5_umt5-xxl-enc-bf16.pth",
    "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth",
)
TOKENIZER = Path("google/umt5-xxl")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
SPEECH_FILES = ("config.json", "preprocessor_config.json")

LONGEST_HEADER = 100_000_000
"""Bytes, as in the format's own reader."""

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
            end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
            shapes = {name: tuple(tensor["shape"]) for name, tensor in header.items()}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise BadHeaderError("has a broken header") from error
    size = path.stat().st_size
    if size != 8 + length + end:
        raise BadHeaderError(f"has {size:,} bytes instead of {8 + length + end:,}: fetch it again")
    return shapes


def check_weights(folder: Path) -> list[Finding]:
    """Look at every file that the engine needs.

    Args:
        folder: As described above.

    Returns:
        One finding per file, good ones too; seconds, whatever the weights' size.
    """
    config = _json(folder / BASE / "config.json")
    findings = [_presence(folder, BASE / "config.json")]
    findings += _check_base(folder, config) if config else []
    for speakers in ("single", "multi"):
        path = ADAPTERS / speakers / "infinitetalk.safetensors"
        findings.append(_check_file(folder, path, adapter_shapes(config) if config else None))
    findings += [_check_pickled(folder, BASE / name) for name in PICKLED]
    findings += [_presence(folder, BASE / TOKENIZER / name) for name in TOKENIZER_FILES]
    findings += [_presence(folder, SPEECH / name) for name in SPEECH_FILES]
    findings.append(_check_file(folder, SPEECH / "model.safetensors", None))
    return findings


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
        yield Finding(BASE / SHARDS, f"lack {_some(missing)}: fetch the shards that are missing")


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
    parts = [f"lacks {_some(missing)}"] if missing else []
    parts += [f"has the unknown {_some(unknown)}"] if unknown else []
    parts += [f"has the wrong shape for {_some(wrong)}"] if wrong else []
    return ", ".join(parts) or None


def _some(names: list[str]) -> str:
    return f"{len(names)} weights ({', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''})"


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
