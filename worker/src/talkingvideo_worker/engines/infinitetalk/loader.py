"""Puts the engine together: weights, memory mode, kernels, GPUs and networks meet here and nowhere else.

The order keeps the peak of memory low. The text encoder comes first, encodes the prompts, which are the same for all
windows, and is freed. The transformer comes last, into the memory that is left.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, Wav2Vec2Model
from transformers.utils.logging import disable_progress_bar

from talkingvideo_api.values import RenderValues
from talkingvideo_worker.engines.base import LoraFile, RenderInput
from talkingvideo_worker.engines.infinitetalk.attention import select_attention_backend
from talkingvideo_worker.engines.infinitetalk.compiling import PlannedCalls, choose_preparation
from talkingvideo_worker.engines.infinitetalk.conditioning.image import ClipImageEncoder, WanVideoCodec
from talkingvideo_worker.engines.infinitetalk.conditioning.text import UmT5TextEncoder
from talkingvideo_worker.engines.infinitetalk.engine import InfiniteTalkEngine, Networks
from talkingvideo_worker.engines.infinitetalk.memory.loading import NO_LORAS, LoraSet, load_transformer
from talkingvideo_worker.engines.infinitetalk.memory.machine import (
    formats_of,
    free_gpu_bytes,
    free_memory,
    free_unused_memory,
    render_device,
)
from talkingvideo_worker.engines.infinitetalk.memory.modes import (
    AuxiliaryNetworks,
    FreeMemory,
    MemoryMode,
    Workload,
    choose_mode,
    leaner_mode,
)
from talkingvideo_worker.engines.infinitetalk.memory.offloading import OffloadedEncoder
from talkingvideo_worker.engines.infinitetalk.memory.oom import OomFallback
from talkingvideo_worker.engines.infinitetalk.parallel.config import PIXELS_PER_TOKEN, idle_gpu_warnings, plan_parallel
from talkingvideo_worker.engines.infinitetalk.parallel.launch import (
    free_memory_per_rank,
    launch_workers,
    render_devices,
)
from talkingvideo_worker.engines.infinitetalk.pipeline import Encoders
from talkingvideo_worker.engines.infinitetalk.settings import lora_names, memory_request, settings_for
from talkingvideo_worker.engines.infinitetalk.weights.checking import require_weights
from talkingvideo_worker.engines.infinitetalk.weights.converted import NetworkFiles, network_files
from talkingvideo_worker.engines.infinitetalk.weights.encoders import (
    load_image_encoder,
    load_speech_model,
    load_text_encoder,
    load_video_codec,
)
from talkingvideo_worker.engines.infinitetalk.weights.files import SPEECH, rendering_files
from talkingvideo_worker.engines.infinitetalk.weights.lora_files import check_loras, loras_digest
from talkingvideo_worker.files import sampled_digest
from talkingvideo_worker.progress import ProgressCallback, ignore_progress
from talkingvideo_worker.weights.location import weights_location


class WeightsFolder:
    """Networks from a folder of published weights; see ``weights.files``.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def digest(self, values: RenderValues) -> str:
        """Identify the weights, and the LoRAs that are named, by their files' sizes and samples of their contents."""
        digest = hashlib.sha256()
        for path in rendering_files(self._folder):
            digest.update(f"{path.relative_to(self._folder)} {sampled_digest(path)}\n".encode())
        digest.update(loras_digest(self._folder, lora_names(values)).encode())
        return digest.hexdigest()

    def require(self) -> None:
        """Check that all files exist, by names and headers.

        Raises:
            StageError: E_PIPELINE_LOAD with the list of problems.
        """
        require_weights(self._folder)

    def check_loras(self, loras: Sequence[LoraFile]) -> list[str]:
        """Check by their headers that LoRAs fit; see ``lora_files.check_loras``."""
        return check_loras(self._folder, loras)

    def speech_model(self) -> Wav2Vec2Model:
        """The model that encodes audio, in evaluation mode, on the CPU."""
        return load_speech_model(self._folder / SPEECH)

    def networks(self, render_input: RenderInput, frames: int, progress: ProgressCallback) -> OomFallback[Networks]:
        """The networks for a video, in the memory mode that fits, or in a leaner one after memory has run out."""
        device, devices = render_device(), render_devices(render_input.gpus)
        settings, request = settings_for(render_input), memory_request(render_input.values)
        files = network_files(self._folder, len(render_input.tracks), formats_of(device).dtype)
        pixels, branches = render_input.portrait.width * render_input.portrait.height, len(settings.guidance.branches)
        heads, blocks = files.transformer.config["num_heads"], files.transformer.config["num_layers"]
        parallel = plan_parallel(render_input.gpus, branches, heads, pixels // PIXELS_PER_TOKEN)
        cached_branches = 0 if settings.step_cache is None else -(-branches // parallel.branch_groups)
        workload = Workload(pixels, settings.window, parallel.token_ranks, cached_branches)
        calls = -(-frames // (settings.window - settings.motion)) * branches * len(settings.timesteps)
        planned = PlannedCalls(Workload(pixels, settings.window).tokens, calls)
        loras = LoraSet(render_input.loras, self._folder)

        def build(mode: MemoryMode) -> Networks:
            prepare, not_compiled = choose_preparation(device, planned)
            group = launch_workers(files.transformer, mode, loras, parallel, devices, prepare)
            prompts = (settings.prompt, settings.negative_prompt)
            networks = build_networks(files, prompts, mode, device, loras, progress)
            prepare(networks.transformer)
            denoiser = group.join(networks.transformer)
            warnings = (*idle_gpu_warnings(render_input.gpus, parallel), *filter(None, [not_compiled]))
            return replace(networks, denoiser=denoiser, warnings=warnings)

        def free() -> FreeMemory:
            return free_memory_per_rank(free_memory(device), parallel)

        return OomFallback(
            build,
            choose_mode(free(), workload, request, blocks),
            lambda mode: leaner_mode(mode, free(), workload, request),
            lambda: free_gpu_bytes(device),
        )


TEXT_SPARE = 1.1
"""Factor for the text encoder's weights: with its activations for 512 tokens."""


def build_networks(
    files: NetworkFiles,
    prompts: Sequence[str],
    mode: MemoryMode,
    device: torch.device,
    loras: LoraSet = NO_LORAS,
    progress: ProgressCallback = ignore_progress,
) -> Networks:
    """Load all networks; this process denoises alone with them.

    Args:
        files: Where they are.
        prompts: All prompts that the text encoder will be called with.
        mode: The memory mode.
        device: Where they render.
        loras: Merged into the transformer.
        progress: Called while they load.

    Raises:
        StageError: E_PIPELINE_LOAD for weights that do not fit.
        MemoryError: When the host cannot hold the offloaded blocks.
    """
    formats = formats_of(device)
    progress(0.0, "Encoding the prompts")
    texts = encode_prompts(files, prompts, formats.dtype, text_device(files.text_encoder, device))
    progress(0.2, "Loading the image encoder")
    image = _image_encoder(files.image_encoder, formats.dtype, mode, device)
    progress(0.25, "Loading the video codec")
    video = load_video_codec(files.video_codec, torch.float32, device)
    for part in (video.decoder, video.post_quant_conv):
        part.to(formats.decoding)
    if mode.auxiliary is AuxiliaryNetworks.OFFLOADED:
        video.enable_tiling()

    def transformer_progress(fraction: float, message: str) -> None:
        progress(0.3 + 0.7 * fraction, message)

    transformer, stats = load_transformer(files.transformer, mode, formats.dtype, device, loras, transformer_progress)
    backend = select_attention_backend(transformer, device)
    logging.getLogger(__name__).info("Transformer read: %s; attention: %s", stats, backend)
    progress(1.0, "Loaded")
    return Networks(transformer, Encoders(WanVideoCodec(video), image, texts.__getitem__))


def encode_prompts(
    files: NetworkFiles, prompts: Sequence[str], dtype: torch.dtype, device: torch.device
) -> Mapping[str, Tensor]:
    """Encode each prompt; the results are on the CPU, and the encoder is freed."""
    tokenizer = AutoTokenizer.from_pretrained(files.tokenizer, local_files_only=True)
    encoder = UmT5TextEncoder(load_text_encoder(files.text_encoder, dtype, device), tokenizer)
    encoded = {prompt: encoder(prompt).cpu() for prompt in dict.fromkeys(prompts)}
    del encoder
    free_unused_memory()
    return encoded


def text_device(file: Path, device: torch.device) -> torch.device:
    """Where the text encoder runs: on the GPU when it fits, otherwise some seconds on the CPU, from the mapped file."""
    fits = (free_gpu_bytes(device) or 0) > TEXT_SPARE * file.stat().st_size
    return device if fits else torch.device("cpu")


def _image_encoder(
    path: Path, dtype: torch.dtype, mode: MemoryMode, device: torch.device
) -> Callable[[Tensor], Tensor]:
    if mode.auxiliary is AuxiliaryNetworks.OFFLOADED:
        model = load_image_encoder(path, dtype)
        return OffloadedEncoder(model, ClipImageEncoder(model), device)
    return ClipImageEncoder(load_image_encoder(path, dtype, device))


def make() -> InfiniteTalkEngine:
    """The engine, with the weights at ``weights_location``. transformers must not draw progress bars of its own."""
    disable_progress_bar()
    return InfiniteTalkEngine(WeightsFolder(weights_location()))
