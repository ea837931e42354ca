"""Converted copies of the weights: under our names, in bfloat16, in files that load at the disk's speed.

``converted/`` holds ``base-NN.safetensors``, ``adapter-single`` and ``adapter-multi``, ``text_encoder``,
``image_encoder`` and ``vae``. The base is published in float32: its copy is half as long to read. Each file's metadata
say which published files it was made from, so that one that is finished is not made again, and one whose source has
changed is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from talkingvideo_worker.digest import sampled_digest
from talkingvideo_worker.engines.base import Note, unheard
from talkingvideo_worker.engines.infinitetalk.weights.building import dtype_of
from talkingvideo_worker.engines.infinitetalk.weights.layout import (
    BASE,
    IMAGE_ENCODER,
    SHARDS,
    TEXT_ENCODER,
    TOKENIZER,
    VIDEO_CODEC,
    adapter_of,
)
from talkingvideo_worker.engines.infinitetalk.weights.loading import (
    CONFIG,
    StoredNetwork,
    published_image_encoder,
    published_text_encoder,
    published_video_codec,
)
from talkingvideo_worker.engines.infinitetalk.weights.reading import (
    Sources,
    StoredFile,
    StoredTransformer,
    published_transformer,
    read_weights,
)

CONVERTED = Path("converted")
SOURCE = "source"
"""In a file's metadata: the digest of what it was made from."""

DTYPE = torch.bfloat16
SHARD_BYTES = 2 * 10**9
"""Of a file of the base: what one conversion step holds in memory."""

FORMAT = "1"
"""Raised whenever files are written otherwise."""


@dataclass(frozen=True)
class Conversion:
    """One file to be made.

    Attributes:
        target: Where it goes.
        source: Identifies what it is made from.
        bytes: About how large it becomes.
        contents: Its tensors and configuration, read when they are written.
    """

    target: Path
    source: str
    bytes: int
    contents: Callable[[], StoredNetwork] = field(compare=False)

    @property
    def is_done(self) -> bool:
        """Whether the file is there, made from the same source."""
        return self.target.is_file() and metadata(self.target).get(SOURCE) == self.source

    def write(self) -> None:
        """Write the file beside its place, and put it there when it is whole."""
        contents = self.contents()
        described = {SOURCE: self.source, CONFIG: json.dumps(contents.config, sort_keys=True)}
        partial = self.target.with_suffix(".partial")
        save_file({name: value.contiguous() for name, value in contents.weights.items()}, partial, described)
        os.replace(partial, self.target)  # noqa: PTH105


def convert_weights(folder: Path, note: Note = unheard) -> list[Path]:
    """Make the converted copies that are missing or stale; stopped, it goes on at the file where it was.

    Args:
        folder: Of the weights.
        note: Told how far it is.

    Returns:
        The files that were made.

    Raises:
        StageError: E_PIPELINE_LOAD for published weights that are missing or wrong.
    """
    (folder / CONVERTED).mkdir(exist_ok=True)
    planned = list(conversions(folder))
    total, done, made = sum(conversion.bytes for conversion in planned), 0, []
    for conversion in planned:
        note(done / total, f"Converting {conversion.target.name}")
        if not conversion.is_done:
            conversion.write()
            made.append(conversion.target)
        done += conversion.bytes
    _remove_others(folder / CONVERTED, {conversion.target for conversion in planned})
    note(1.0, "Converted")
    return made


def conversions(folder: Path) -> Iterator[Conversion]:
    """Every converted file that belongs to a folder's published weights, made or not."""
    for speakers in (1, 2):
        stored = published_transformer(folder / BASE, folder / adapter_of(speakers))
        stored.empty(DTYPE)
        base, adapter = stored.files[:-1], stored.files[-1]
        if speakers == 1:
            yield from _base_conversions(folder, StoredTransformer(stored.config, base))
        target = folder / CONVERTED / f"adapter-{_kind(speakers)}.safetensors"
        yield _transformer_conversion(
            target, StoredTransformer(stored.config, (adapter,)), list(adapter.names.values())
        )
    for path, name, read, dtype in (
        (TEXT_ENCODER, "text_encoder", published_text_encoder, DTYPE),
        (IMAGE_ENCODER, "image_encoder", published_image_encoder, DTYPE),
        (VIDEO_CODEC, "vae", published_video_codec, torch.float32),
    ):
        yield _network_conversion(folder / path, folder / CONVERTED / f"{name}.safetensors", read, dtype)


def converted_transformer(folder: Path, speakers: int) -> StoredTransformer | None:
    """The converted transformer; None when it is not there, not whole, or made from other files than are there."""
    base = sorted((folder / CONVERTED).glob("base-*.safetensors"))
    adapter = folder / CONVERTED / f"adapter-{_kind(speakers)}.safetensors"
    if not base or not adapter.is_file():
        return None
    expected = _part_sources(_digest(sorted((folder / BASE).glob(SHARDS))), len(base))
    if any(metadata(path).get(SOURCE) != source for path, source in zip(base, expected, strict=True)):
        return None
    if metadata(adapter).get(SOURCE) != _digest([folder / adapter_of(speakers)]):
        return None
    config = json.loads(metadata(adapter)[CONFIG])
    return StoredTransformer(config, tuple(_stored_as_ours(path) for path in (*base, adapter)))


def converted_network(folder: Path, published: Path) -> Path:
    """The converted copy of a network's file, or the published one when there is none that was made from it.

    Args:
        folder: Of the weights.
        published: Relative to the folder: ``TEXT_ENCODER``, ``IMAGE_ENCODER`` or ``VIDEO_CODEC``.
    """
    names = {TEXT_ENCODER: "text_encoder", IMAGE_ENCODER: "image_encoder", VIDEO_CODEC: "vae"}
    target = folder / CONVERTED / f"{names[published]}.safetensors"
    fresh = target.is_file() and metadata(target).get(SOURCE) == _digest([folder / published])
    return target if fresh else folder / published


def sources_of(folder: Path, speakers: int, dtype: torch.dtype) -> Sources:
    """Where each network is best read from: converted copies are in bfloat16, so only for who calculates in it."""
    published = published_transformer(folder / BASE, folder / adapter_of(speakers))
    if dtype is not DTYPE:
        around = (folder / TEXT_ENCODER, folder / TOKENIZER, folder / IMAGE_ENCODER, folder / VIDEO_CODEC)
        return Sources(published, *around)
    return Sources(
        converted_transformer(folder, speakers) or published,
        converted_network(folder, TEXT_ENCODER),
        folder / TOKENIZER,
        converted_network(folder, IMAGE_ENCODER),
        converted_network(folder, VIDEO_CODEC),
    )


def metadata(path: Path) -> Mapping[str, str]:
    """What a safetensors file says about itself."""
    with safe_open(path, framework="pt", device="cpu") as file:
        return file.metadata() or {}


def _base_conversions(folder: Path, stored: StoredTransformer) -> Iterator[Conversion]:
    """The base in files of about equal size, in the published order."""
    parts: list[list[str]] = [[]]
    size = 0
    for file in stored.files:
        for name, ours in file.names.items():
            bytes = torch.Size(file.shapes[name]).numel() * dtype_of(ours, DTYPE).itemsize
            if parts[-1] and size + bytes > SHARD_BYTES:
                parts.append([])
                size = 0
            parts[-1].append(ours)
            size += bytes
    sources = _part_sources(_digest([file.path for file in stored.files]), len(parts))
    for number, (names, source) in enumerate(zip(parts, sources, strict=True), 1):
        target = folder / CONVERTED / f"base-{number:02}.safetensors"
        yield _transformer_conversion(target, stored, names, source)


def _transformer_conversion(
    target: Path, stored: StoredTransformer, names: Sequence[str], source: str | None = None
) -> Conversion:
    wanted = set(names)
    files = tuple(
        StoredFile(file.path, {name: ours for name, ours in file.names.items() if ours in wanted}, file.shapes)
        for file in stored.files
    )
    part = StoredTransformer(stored.config, files)

    def contents() -> StoredNetwork:
        return StoredNetwork(dict(stored.config), dict(read_weights(part, DTYPE, lambda _name: torch.device("cpu"))))

    elements = sum(torch.Size(file.shapes[name]).numel() for file in files for name in file.names)
    made_from = _digest([file.path for file in stored.files]) if source is None else source
    return Conversion(target, made_from, elements * DTYPE.itemsize, contents)


def _network_conversion(
    path: Path, target: Path, read: Callable[[Path], StoredNetwork], dtype: torch.dtype
) -> Conversion:
    def contents() -> StoredNetwork:
        network = read(path)
        weights: dict[str, Tensor] = {name: value.to(dtype) for name, value in network.weights.items()}
        return StoredNetwork(network.config, weights)

    return Conversion(target, _digest([path]), path.stat().st_size, contents)


def _stored_as_ours(path: Path) -> StoredFile:
    with safe_open(path, framework="pt", device="cpu") as file:
        shapes: dict[str, Any] = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return StoredFile(path, {name: name for name in shapes}, shapes)


def _digest(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256(FORMAT.encode())
    for path in paths:
        digest.update(f"{path.name} {sampled_digest(path)}\n".encode())
    return digest.hexdigest()


def _part_sources(source: str, parts: int) -> list[str]:
    return [f"{source} {number}/{parts}" for number in range(1, parts + 1)]


def _remove_others(folder: Path, wanted: set[Path]) -> None:
    """Files of an earlier conversion, and what one that was stopped left behind."""
    for path in (*folder.glob("*.safetensors"), *folder.glob("*.partial")):
        if path not in wanted:
            path.unlink()


def _kind(speakers: int) -> str:
    return "single" if speakers == 1 else "multi"
