"""Finds converted copies that were made from the published files, and decides which file each network is read from.

The metadata of each copy say which published files it was made from, so that a copy whose source has changed is not used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from talkingvideo_worker.engines.infinitetalk.weights.files import (
    BASE,
    IMAGE_ENCODER,
    SHARDS,
    TEXT_ENCODER,
    TOKENIZER,
    VIDEO_CODEC,
    adapter_of,
)
from talkingvideo_worker.engines.infinitetalk.weights.headers import read_shapes
from talkingvideo_worker.engines.infinitetalk.weights.transformer import (
    StoredFile,
    StoredTransformer,
    published_transformer,
)
from talkingvideo_worker.files import sampled_digest

CONVERTED = Path("converted")
CONVERTED_NETWORKS = {
    TEXT_ENCODER: CONVERTED / "text_encoder.safetensors",
    IMAGE_ENCODER: CONVERTED / "image_encoder.safetensors",
    VIDEO_CODEC: CONVERTED / "vae.safetensors",
}
"""The copies of the other networks, by their published files."""

SOURCE = "source"
"""Key of a file's metadata: the digest of its source."""

DTYPE = torch.bfloat16

FORMAT = "1"
"""Increased whenever files are written differently."""


def converted_transformer(folder: Path, speakers: int, published: StoredTransformer) -> StoredTransformer | None:
    """The converted transformer; None when it is missing, incomplete, or made from other files.

    Args:
        folder: Of the weights.
        speakers: One or two.
        published: Its source, whose configuration applies.
    """
    base = sorted((folder / CONVERTED).glob("base-*.safetensors"))
    adapter = folder / converted_adapter(speakers)
    if not base or not adapter.is_file():
        return None
    expected = part_sources(digest_of(sorted((folder / BASE).glob(SHARDS))), len(base))
    if any(metadata(path).get(SOURCE) != source for path, source in zip(base, expected, strict=True)):
        return None
    if metadata(adapter).get(SOURCE) != digest_of([folder / adapter_of(speakers)]):
        return None
    return StoredTransformer(published.config, tuple(_converted_file(path) for path in (*base, adapter)))


def converted_network(folder: Path, published: Path) -> Path:
    """The converted copy of a network's file, or the published one when there is none that was made from it.

    Args:
        folder: Of the weights.
        published: Relative to the folder: ``TEXT_ENCODER``, ``IMAGE_ENCODER`` or ``VIDEO_CODEC``.
    """
    target = folder / CONVERTED_NETWORKS[published]
    fresh = target.is_file() and metadata(target).get(SOURCE) == digest_of([folder / published])
    return target if fresh else folder / published


@dataclass(frozen=True)
class NetworkFiles:
    """The files of each network, published or converted.

    Attributes:
        transformer: With the adapter for the number of speakers.
        text_encoder: File.
        tokenizer: Folder.
        image_encoder: File.
        video_codec: File.
    """

    transformer: StoredTransformer
    text_encoder: Path
    tokenizer: Path
    image_encoder: Path
    video_codec: Path


def network_files(folder: Path, speakers: int, dtype: torch.dtype) -> NetworkFiles:
    """The files to read each network from. Converted copies are in bfloat16, so they are used for that format only."""
    published = published_transformer(folder / BASE, folder / adapter_of(speakers))
    if dtype is not DTYPE:
        others = (folder / TEXT_ENCODER, folder / TOKENIZER, folder / IMAGE_ENCODER, folder / VIDEO_CODEC)
        return NetworkFiles(published, *others)
    return NetworkFiles(
        converted_transformer(folder, speakers, published) or published,
        converted_network(folder, TEXT_ENCODER),
        folder / TOKENIZER,
        converted_network(folder, IMAGE_ENCODER),
        converted_network(folder, VIDEO_CODEC),
    )


def metadata(path: Path) -> Mapping[str, str]:
    """The metadata of a safetensors file; empty for a truncated one."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return file.metadata() or {}
    except SafetensorError:
        return {}


def digest_of(paths: Sequence[Path]) -> str:
    """Identify the source of a copy."""
    digest = hashlib.sha256(FORMAT.encode())
    for path in paths:
        digest.update(f"{path.name} {sampled_digest(path)}\n".encode())
    return digest.hexdigest()


def part_sources(source: str, parts: int) -> list[str]:
    """The source of each file of a copy that has several."""
    return [f"{source} {number}/{parts}" for number in range(1, parts + 1)]


def converted_adapter(speakers: int) -> Path:
    """The copy of an adapter, relative to the folder of weights."""
    return CONVERTED / f"adapter-{adapter_of(speakers).parent.name}.safetensors"


def converted_base(number: int) -> Path:
    """One of the files of the base's copy, counted from 1, relative to the folder of weights."""
    return CONVERTED / f"base-{number:02}.safetensors"


def _converted_file(path: Path) -> StoredFile:
    shapes = read_shapes(path)
    return StoredFile(path, {name: name for name in shapes}, shapes)
