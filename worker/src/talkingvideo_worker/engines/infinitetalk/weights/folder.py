"""The folder of weights as the engine uses it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Wav2Vec2Model

from talkingvideo_worker.engines.base import Note, Scene
from talkingvideo_worker.engines.infinitetalk.conditioning.encoders import (
    ClipImageEncoder,
    UmT5TextEncoder,
    WanVideoCodec,
)
from talkingvideo_worker.engines.infinitetalk.engine import Networks
from talkingvideo_worker.engines.infinitetalk.loop import Encoders
from talkingvideo_worker.engines.infinitetalk.weights.checking import require_weights
from talkingvideo_worker.engines.infinitetalk.weights.layout import (
    BASE,
    IMAGE_ENCODER,
    SPEECH,
    TEXT_ENCODER,
    TOKENIZER,
    VIDEO_CODEC,
    adapter_of,
    rendering_files,
)
from talkingvideo_worker.engines.infinitetalk.weights.loading import (
    load_image_encoder,
    load_speech_model,
    load_text_encoder,
    load_transformer,
    load_video_codec,
)

SAMPLED_BYTES = 1 << 16
SAMPLES = 64
"""A file of weights is known by its size and some places in it: reading 80 GB would take minutes."""


class WeightsFolder:
    """Networks from a folder in the published layout; see ``layout``.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def digest(self, parameters: Mapping[str, Any]) -> str:  # noqa: ARG002
        """Identify the weights by their files' sizes and samples of their contents."""
        digest = hashlib.sha256()
        for path in rendering_files(self._folder):
            digest.update(f"{path.relative_to(self._folder)} {file_sample(path)}\n".encode())
        return digest.hexdigest()

    def require(self) -> None:
        """Look whether everything is there, by names and headers.

        Raises:
            StageError: E_PIPELINE_LOAD with the list of what is not.
        """
        require_weights(self._folder)

    def speech_model(self) -> Wav2Vec2Model:
        """The model that hears, in evaluation mode, on the CPU."""
        return load_speech_model(self._folder / SPEECH)

    def networks(self, scene: Scene, note: Note) -> Networks:
        """The networks that render a scene."""
        device, dtype = _device()
        note(0.0, "Loading the text encoder")
        tokenizer = AutoTokenizer.from_pretrained(self._folder / TOKENIZER, local_files_only=True)
        text = UmT5TextEncoder(load_text_encoder(self._folder / TEXT_ENCODER, dtype, device), tokenizer)
        note(0.2, "Loading the image encoder")
        image = ClipImageEncoder(load_image_encoder(self._folder / IMAGE_ENCODER, dtype, device))
        note(0.25, "Loading the video codec")
        video = WanVideoCodec(load_video_codec(self._folder / VIDEO_CODEC, torch.float32, device))
        note(0.3, "Loading the transformer")
        adapter = self._folder / adapter_of(len(scene.tracks))
        transformer = load_transformer(self._folder / BASE, adapter, dtype, device)
        note(1.0, "Loaded")
        return Networks(transformer, Encoders(video, image, text))


def file_sample(path: Path) -> str:
    """Digest of a file's size and of evenly spaced samples of it, its ends among them."""
    size = path.stat().st_size
    digest = hashlib.sha256(f"{size}".encode())
    with path.open("rb") as file:
        for offset in _sampled(size):
            file.seek(offset)
            digest.update(file.read(SAMPLED_BYTES))
    return digest.hexdigest()


def _sampled(size: int) -> Iterable[int]:
    last = max(0, size - SAMPLED_BYTES)
    return sorted({last * number // (SAMPLES - 1) for number in range(SAMPLES)})


def _device() -> tuple[torch.device, torch.dtype]:
    """The GPU and its usual format; without one the CPU, which is quicker and exact in float32."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device()), torch.bfloat16
    return torch.device("cpu"), torch.float32
