"""The transformer's weights as a stream of tensors, from published or converted files.

Files are memory-mapped and read tensor by tensor by a few threads, each straight to its device in its format: beside
what is placed, a few layers are in memory. From the page cache that is as fast as plain reads on one thread; more
threads keep a disk busy.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.building import dtype_of, empty_transformer
from talkingvideo_worker.engines.infinitetalk.weights.checking import read_shapes, some_weights
from talkingvideo_worker.engines.infinitetalk.weights.keys import ADAPTER, BASE, Renames, renamed
from talkingvideo_worker.engines.infinitetalk.weights.layout import SHARDS
from talkingvideo_worker.engines.infinitetalk.weights.shapes import Shape

THREADS = 4
"""That read at once."""


@dataclass(frozen=True)
class StoredFile:
    """A safetensors file.

    Attributes:
        path: Where.
        names: Ours of each stored one that is read.
        shapes: Of all stored ones.
    """

    path: Path
    names: Mapping[str, str]
    shapes: Mapping[str, Shape]


@dataclass(frozen=True)
class StoredTransformer:
    """All weights of a transformer on the disk.

    Attributes:
        config: As for ``empty_transformer``.
        files: Base first; where a weight is in several, it is read from the last.
    """

    config: Mapping[str, Any]
    files: tuple[StoredFile, ...]

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(file.path.stat().st_size for file in self.files)

    def empty(self, dtype: torch.dtype) -> AudioWanTransformer3DModel:
        """A model on the meta device in the formats that ``read_weights`` gives, after a look at the headers.

        Raises:
            StageError: E_PIPELINE_LOAD when weights are missing, unknown or of the wrong shape.
        """
        model = empty_transformer(self.config)
        _check(self, {name: tuple(value.shape) for name, value in model.state_dict().items()})
        for name, value in model.named_parameters():
            value.data = value.data.to(dtype_of(name, dtype))
        model.requires_grad_(False)
        model.eval()
        return model


@dataclass(frozen=True)
class Sources:
    """Where each network is, published or converted.

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


def published_transformer(base: Path, adapter: Path) -> StoredTransformer:
    """Base and adapter as they are published.

    Args:
        base: Folder with ``config.json`` and the shards.
        adapter: The adapter's file. Weights of the base in it win, as in the published code.
    """
    shards = [_stored(path, BASE) for path in sorted(base.glob(SHARDS))]
    files = (*shards, _stored(adapter, (*BASE, *ADAPTER)))
    shapes = {name: shape for file in files for name, shape in file.shapes.items()}
    return StoredTransformer(json.loads((base / "config.json").read_text()) | _unsaid(shapes), files)


def read_weights(
    stored: StoredTransformer, dtype: torch.dtype, device_of: Callable[[str], torch.device], threads: int = THREADS
) -> Iterator[tuple[str, Tensor]]:
    """Read every weight once.

    Args:
        stored: Where they are.
        dtype: Of the weights; see ``dtype_of``.
        device_of: Where one goes, by our name.
        threads: That read at once.

    Yields:
        Our name and the tensor, in the files' order. Some on the CPU may be views of the file.
    """
    last = {ours: number for number, file in enumerate(stored.files) for ours in file.names.values()}
    with ExitStack() as stack, ThreadPoolExecutor(threads) as pool:
        running: deque[tuple[str, Future[Tensor]]] = deque()

        def done() -> tuple[str, Tensor]:
            name, future = running.popleft()
            return name, future.result()

        for number, file in enumerate(stored.files):
            handle = stack.enter_context(safe_open(file.path, framework="pt", device="cpu"))
            for name, ours in file.names.items():
                if last[ours] != number:
                    continue
                target = dtype_of(ours, dtype)
                running.append((ours, pool.submit(_read, handle, name, device_of(ours), target)))
                if len(running) > threads:
                    yield done()
        while running:
            yield done()


def _read(handle: Any, name: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    """First to the device, then to the format, which is quicker there."""
    tensor: Tensor = handle.get_tensor(name).to(device)
    return tensor.to(dtype)


def _stored(path: Path, renames: Renames) -> StoredFile:
    shapes = read_shapes(path)
    return StoredFile(path, renamed(shapes, renames), shapes)


def _check(stored: StoredTransformer, expected: Mapping[str, Shape]) -> None:
    found: set[str] = set()
    for file in stored.files:
        unknown = [name for name in file.shapes if file.names.get(name) not in expected]
        wrong = [name for name, ours in file.names.items() if expected.get(ours, ()) != file.shapes[name]]
        if unknown:
            _refuse(f"{file.path.name} has {some_weights(unknown)} that this model does not know")
        if wrong:
            _refuse(f"{file.path.name} has {some_weights(wrong)} of the wrong shape")
        found.update(file.names.values())
    if missing := [name for name in expected if name not in found]:
        where = ", ".join(file.path.name for file in stored.files)
        _refuse(f"The model lacks {some_weights(missing)} in {where}")


def _refuse(problem: str) -> None:
    message = f"{problem}. `talkingvideo weights check` looks at all files, `talkingvideo weights fetch` gets them."
    raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)


def _unsaid(shapes: Mapping[str, Shape]) -> dict[str, int]:
    """What the base's configuration does not say about the model."""
    channels = shapes["audio_proj.norm.weight"][0]
    return {
        "text_dim": shapes["text_embedding.0.weight"][1],
        "image_dim": shapes["img_emb.proj.0.weight"][0],
        "intermediate_dim": shapes["audio_proj.proj2.weight"][0],
        "output_dim": channels,
        "context_tokens": shapes["audio_proj.proj3.weight"][0] // channels,
    }
