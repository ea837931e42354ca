"""Which converted copies are there and of the same weights as the published files, and where each network is read from.

Each copy's metadata say which published files it was made from, so that one whose source has changed is not used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from talkingvideo_worker.engines.infinitetalk.weights.checking import read_shapes
from talkingvideo_worker.engines.infinitetalk.weights.layout import (
    BASE,
    IMAGE_ENCODER,
    SHARDS,
    TEXT_ENCODER,
    TOKENIZER,
    VIDEO_CODEC,
    adapter_of,
)
from talkingvideo_worker.engines.infinitetalk.weights.reading import (
    Sources,
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
"""Where the copies of the other networks are, by the published files."""

SOURCE = "source"
"""In a file's metadata: the digest of what it was made from."""

DTYPE = torch.bfloat16

FORMAT = "1"
"""Raised whenever files are written otherwise."""


def converted_transformer(folder: Path, speakers: int, published: StoredTransformer) -> StoredTransformer | None:
    """The converted transformer; None when it is not there, not whole, or of other files.

    Args:
        folder: Of the weights.
        speakers: One or two.
        published: What it is a copy of, whose configuration holds.
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
    return StoredTransformer(published.config, tuple(_stored_as_ours(path) for path in (*base, adapter)))


def converted_network(folder: Path, published: Path) -> Path:
    """The converted copy of a network's file, or the published one when there is none that was made from it.

    Args:
        folder: Of the weights.
        published: Relative to the folder: ``TEXT_ENCODER``, ``IMAGE_ENCODER`` or ``VIDEO_CODEC``.
    """
    target = folder / CONVERTED_NETWORKS[published]
    fresh = target.is_file() and metadata(target).get(SOURCE) == digest_of([folder / published])
    return target if fresh else folder / published


def sources_of(folder: Path, speakers: int, dtype: torch.dtype) -> Sources:
    """Where each network is best read from: converted copies are in bfloat16, so only for who calculates in it."""
    published = published_transformer(folder / BASE, folder / adapter_of(speakers))
    if dtype is not DTYPE:
        around = (folder / TEXT_ENCODER, folder / TOKENIZER, folder / IMAGE_ENCODER, folder / VIDEO_CODEC)
        return Sources(published, *around)
    return Sources(
        converted_transformer(folder, speakers, published) or published,
        converted_network(folder, TEXT_ENCODER),
        folder / TOKENIZER,
        converted_network(folder, IMAGE_ENCODER),
        converted_network(folder, VIDEO_CODEC),
    )


def metadata(path: Path) -> Mapping[str, str]:
    """What a safetensors file says about itself; nothing for one that is cut short."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return file.metadata() or {}
    except SafetensorError:
        return {}


def digest_of(paths: Sequence[Path]) -> str:
    """Identify what a copy is made from."""
    digest = hashlib.sha256(FORMAT.encode())
    for path in paths:
        digest.update(f"{path.name} {sampled_digest(path)}\n".encode())
    return digest.hexdigest()


def part_sources(source: str, parts: int) -> list[str]:
    """The same for each of a copy's files."""
    return [f"{source} {number}/{parts}" for number in range(1, parts + 1)]


def converted_adapter(speakers: int) -> Path:
    """Where an adapter's copy is, in the folder of weights."""
    return CONVERTED / f"adapter-{adapter_of(speakers).parent.name}.safetensors"


def converted_base(number: int) -> Path:
    """Where one of the files of the base's copy is, counted from 1."""
    return CONVERTED / f"base-{number:02}.safetensors"


def _stored_as_ours(path: Path) -> StoredFile:
    shapes = read_shapes(path)
    return StoredFile(path, {name: name for name in shapes}, shapes)
