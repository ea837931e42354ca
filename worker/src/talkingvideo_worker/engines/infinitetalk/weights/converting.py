"""Writes converted copies of the weights: under our names, in bfloat16, in files that load at the disk's speed.

``converted/`` holds ``base-NN.safetensors``, ``adapter-single`` and ``adapter-multi``, ``text_encoder``,
``image_encoder`` and ``vae``. The base is published in float32: its copy takes half the time to read. See ``converted``
for how the copies are found again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.weights.checking import require_weights
from talkingvideo_worker.engines.infinitetalk.weights.converted import (
    CONVERTED,
    CONVERTED_NETWORKS,
    DTYPE,
    SOURCE,
    converted_adapter,
    converted_base,
    digest_of,
    metadata,
    part_sources,
)
from talkingvideo_worker.engines.infinitetalk.weights.encoders import (
    CONFIG_KEY,
    StoredNetwork,
    published_image_encoder,
    published_text_encoder,
    published_video_codec,
)
from talkingvideo_worker.engines.infinitetalk.weights.files import (
    BASE,
    IMAGE_ENCODER,
    TEXT_ENCODER,
    VIDEO_CODEC,
    adapter_of,
)
from talkingvideo_worker.engines.infinitetalk.weights.transformer import (
    StoredFile,
    StoredTransformer,
    dtype_of,
    published_transformer,
    read_weights,
)
from talkingvideo_worker.progress import ProgressCallback, ignore_progress
from talkingvideo_worker.weights.lock import cannot_write, folder_lock, require_space

SHARD_BYTES = 2 * 10**9
"""Size of a file of the base, and so the memory that one conversion takes."""


@dataclass(frozen=True)
class Conversion:
    """The conversion to one file.

    Attributes:
        target: The file.
        source: Identifies its source.
        bytes: About how large it becomes.
        contents: Reads its tensors and configuration; called when they are written.
    """

    target: Path
    source: str
    bytes: int
    contents: Callable[[], StoredNetwork] = field(compare=False)

    @property
    def is_done(self) -> bool:
        """Whether the file exists and was made from the same source."""
        return self.target.is_file() and metadata(self.target).get(SOURCE) == self.source

    def write(self) -> None:
        """Write the file under another name, and rename it when it is whole and on the disk.

        Raises:
            StageError: E_WORKSPACE when it cannot be written; nothing is left behind then.
        """
        contents = self.contents()
        described = {SOURCE: self.source, CONFIG_KEY: json.dumps(contents.config, sort_keys=True)}
        partial = self.target.with_suffix(".partial")
        try:
            save_file({name: value.contiguous() for name, value in contents.weights.items()}, partial, described)
            _sync(partial)
            partial.replace(self.target)
        except (OSError, SafetensorError) as error:
            partial.unlink(missing_ok=True)
            raise cannot_write(self.target, error) from error


def convert_weights(folder: Path, progress: ProgressCallback = ignore_progress) -> list[Path]:
    """Write the converted copies that are missing or stale. After an interruption it resumes with the next file.

    Args:
        folder: Of the weights.
        progress: Called for every file.

    Returns:
        The files that were written.

    Raises:
        StageError: E_PIPELINE_LOAD for published weights that are missing or wrong; E_WORKSPACE for a folder that cannot
            be written, or a disk without enough space.
    """
    with folder_lock(folder, progress):
        require_weights(folder)
        try:
            (folder / CONVERTED).mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(folder / CONVERTED, error) from error
        return _convert(folder, progress)


def _convert(folder: Path, progress: ProgressCallback) -> list[Path]:
    planned = list(conversions(folder))
    _remove_stale(folder / CONVERTED, {conversion.target for conversion in planned})
    missing = [conversion for conversion in planned if not conversion.is_done]
    require_space(folder, sum(conversion.bytes for conversion in missing), "The converted copies")
    total, done = sum(conversion.bytes for conversion in missing) or 1, 0
    for conversion in missing:
        progress(done / total, f"Converting {conversion.target.name}")
        conversion.write()
        done += conversion.bytes
    progress(1.0, "Converted")
    return [conversion.target for conversion in missing]


def conversions(folder: Path) -> Iterator[Conversion]:
    """The conversions to all files that belong to a folder's published weights, done or not."""
    for speakers in (1, 2):
        stored = published_transformer(folder / BASE, folder / adapter_of(speakers))
        stored.empty(DTYPE)
        base, adapter = stored.files[:-1], stored.files[-1]
        if speakers == 1:
            yield from _base_conversions(folder, StoredTransformer(stored.config, base))
        target, adapter_only = folder / converted_adapter(speakers), StoredTransformer(stored.config, (adapter,))
        yield _transformer_conversion(target, adapter_only, list(adapter.names.values()))
    for path, read, dtype in (
        (TEXT_ENCODER, published_text_encoder, DTYPE),
        (IMAGE_ENCODER, published_image_encoder, DTYPE),
        (VIDEO_CODEC, published_video_codec, torch.float32),
    ):
        yield _network_conversion(folder / path, folder / CONVERTED_NETWORKS[path], read, dtype)


def _base_conversions(folder: Path, stored: StoredTransformer) -> Iterator[Conversion]:
    """The base, in files of about equal size and in the published order."""
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
    sources = part_sources(digest_of([file.path for file in stored.files]), len(parts))
    for number, (names, source) in enumerate(zip(parts, sources, strict=True), 1):
        yield _transformer_conversion(folder / converted_base(number), stored, names, source)


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
    made_from = digest_of([file.path for file in stored.files]) if source is None else source
    return Conversion(target, made_from, elements * DTYPE.itemsize, contents)


def _network_conversion(
    path: Path, target: Path, read: Callable[[Path], StoredNetwork], dtype: torch.dtype
) -> Conversion:
    def contents() -> StoredNetwork:
        network = read(path)
        weights: dict[str, Tensor] = {name: value.to(dtype) for name, value in network.weights.items()}
        return StoredNetwork(network.config, weights)

    return Conversion(target, digest_of([path]), path.stat().st_size, contents)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _remove_stale(folder: Path, wanted: set[Path]) -> None:
    """Remove files of an earlier conversion, and what an interrupted one has left."""
    for path in (*folder.glob("*.safetensors"), *folder.glob("*.partial")):
        if path not in wanted:
            path.unlink()
