"""The transformer's weights: from memory into a model, or as a stream of tensors from published or converted files.

Files are memory-mapped and read tensor by tensor by a few threads, each tensor straight to its device in its format: in
addition to what is placed, a few layers are in memory. From the page cache that is as fast as plain reads on one thread;
more threads keep a disk busy.
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
from accelerate import init_empty_weights
from safetensors import safe_open
from torch import Tensor

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel, as_tensor
from talkingvideo_worker.engines.infinitetalk.weights.files import SHARDS
from talkingvideo_worker.engines.infinitetalk.weights.headers import Shape, read_shapes, some_weights
from talkingvideo_worker.engines.infinitetalk.weights.keys import ADAPTER, BASE, Renames, rename_keys, rename_weights


def build_transformer(config: Mapping[str, Any], weights: Mapping[str, Any]) -> AudioWanTransformer3DModel:
    """Make a transformer from the published format.

    Args:
        config: By Wan 2.1's own names (``dim``, ``num_heads``, ``num_layers``, ``ffn_dim``, ``freq_dim``, ``in_dim``,
            ``out_dim``, ``eps``: those of its ``config.json``), and where they differ from the published values
            ``text_dim``, ``image_dim`` and the adapter's ``intermediate_dim``, ``audio_window``, ``context_tokens``,
            ``output_dim``, ``vae_scale``.
        weights: Base and adapter by their published names, as tensors or numpy arrays. Used without copying.

    Returns:
        The model in evaluation mode, without gradients, in the weights' dtype.

    Raises:
        KeyError: For unknown names of weights.
        RuntimeError: For weights that are missing or of the wrong shape.
    """
    model = empty_transformer(config)
    tensors = {name: as_tensor(value) for name, value in weights.items()}
    model.load_state_dict(rename_weights(tensors, (*BASE, *ADAPTER)), strict=True, assign=True)
    model.requires_grad_(False)
    model.eval()
    return model


def empty_transformer(config: Mapping[str, Any]) -> AudioWanTransformer3DModel:
    """Make a transformer whose weights are on the ``meta`` device and take no memory.

    Args:
        config: As for ``build_transformer``.
    """
    heads = config["num_heads"]
    optional = {
        "text_dim": config.get("text_dim"),
        "image_dim": config.get("image_dim"),
        "audio_window": config.get("audio_window"),
        "audio_hidden_dim": config.get("intermediate_dim"),
        "audio_tokens": config.get("context_tokens"),
        "audio_token_dim": config.get("output_dim"),
        "vae_scale": config.get("vae_scale"),
    }
    with init_empty_weights():
        model: AudioWanTransformer3DModel = AudioWanTransformer3DModel(
            num_attention_heads=heads,
            attention_head_dim=config["dim"] // heads,
            in_channels=config["in_dim"],
            out_channels=config["out_dim"],
            freq_dim=config["freq_dim"],
            ffn_dim=config["ffn_dim"],
            num_layers=config["num_layers"],
            eps=config["eps"],
            added_kv_proj_dim=config["dim"],
            **{name: value for name, value in optional.items() if value is not None},
        )
    return model


def dtype_of(name: str, dtype: torch.dtype) -> torch.dtype:
    """The dtype of a weight, by our name, in a model of a dtype: norms, modulation and the last layer are in float32."""
    kept = set(AudioWanTransformer3DModel._keep_in_fp32_modules)
    return torch.float32 if kept.intersection(name.split(".")) else dtype


THREADS = 4
"""Number of threads that read."""


@dataclass(frozen=True)
class StoredFile:
    """A safetensors file.

    Attributes:
        path: The file.
        names: From stored names to ours, of the tensors that are read.
        shapes: Of all stored tensors.
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
        """A model on the meta device in the formats that ``read_weights`` returns; checks the headers first.

        Raises:
            StageError: E_PIPELINE_LOAD when weights are missing, unknown or of the wrong shape.
        """
        model = empty_transformer(self.config)
        _check_headers(self, {name: tuple(value.shape) for name, value in model.state_dict().items()})
        for name, value in model.named_parameters():
            value.data = value.data.to(dtype_of(name, dtype))
        model.requires_grad_(False)
        model.eval()
        return model


def published_transformer(base: Path, adapter: Path) -> StoredTransformer:
    """Base and adapter as published.

    Args:
        base: Folder with ``config.json`` and the shards.
        adapter: The adapter's file. Weights of the base in it take precedence, as in the published code.
    """
    shards = [_stored(path, BASE) for path in sorted(base.glob(SHARDS))]
    files = (*shards, _stored(adapter, (*BASE, *ADAPTER)))
    shapes = {name: shape for file in files for name, shape in file.shapes.items()}
    return StoredTransformer(json.loads((base / "config.json").read_text()) | _implied_config(shapes), files)


def read_weights(
    stored: StoredTransformer, dtype: torch.dtype, device_of: Callable[[str], torch.device], threads: int = THREADS
) -> Iterator[tuple[str, Tensor]]:
    """Read every weight once.

    Args:
        stored: The files.
        dtype: Of the weights; see ``dtype_of``.
        device_of: The device of a weight, by our name.
        threads: Number of threads that read.

    Yields:
        Our name and the tensor, in the files' order. Tensors on the CPU may be views of the file.
    """
    last = {ours: number for number, file in enumerate(stored.files) for ours in file.names.values()}
    with ExitStack() as stack, ThreadPoolExecutor(threads) as pool:
        running: deque[tuple[str, Future[Tensor]]] = deque()

        def next_done() -> tuple[str, Tensor]:
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
                    yield next_done()
        while running:
            yield next_done()


def _read(handle: Any, name: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Read one tensor: first to the device, then to the format, which is faster there."""
    tensor: Tensor = handle.get_tensor(name).to(device)
    return tensor.to(dtype)


def _stored(path: Path, renames: Renames) -> StoredFile:
    shapes = read_shapes(path)
    return StoredFile(path, rename_keys(shapes, renames), shapes)


def _check_headers(stored: StoredTransformer, expected: Mapping[str, Shape]) -> None:
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
    message = f"{problem}. `talkingvideo weights check` checks all files, `talkingvideo weights fetch` downloads them."
    raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)


def _implied_config(shapes: Mapping[str, Shape]) -> dict[str, int]:
    """The part of the configuration that is not in the base's ``config.json``, from the weights' shapes."""
    channels = shapes["audio_proj.norm.weight"][0]
    return {
        "text_dim": shapes["text_embedding.0.weight"][1],
        "image_dim": shapes["img_emb.proj.0.weight"][0],
        "intermediate_dim": shapes["audio_proj.proj2.weight"][0],
        "output_dim": channels,
        "context_tokens": shapes["audio_proj.proj3.weight"][0] // channels,
    }
