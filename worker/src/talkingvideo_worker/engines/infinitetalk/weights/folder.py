"""The folder of weights as the engine uses it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from transformers import Wav2Vec2Model

from talkingvideo_api.values import RenderValues
from talkingvideo_worker.engines.base import LoraFile, RenderInput
from talkingvideo_worker.engines.infinitetalk.memory.loading import LoraSet
from talkingvideo_worker.engines.infinitetalk.memory.machine import free_gpu_bytes, measure, rendering_device
from talkingvideo_worker.engines.infinitetalk.memory.modes import Job, MemoryMode, asked_for, choose_mode, leaner
from talkingvideo_worker.engines.infinitetalk.memory.networks import build_networks, formats_of
from talkingvideo_worker.engines.infinitetalk.memory.retry import LeanerOnce
from talkingvideo_worker.engines.infinitetalk.networks import Networks
from talkingvideo_worker.engines.infinitetalk.parallel.layout import PIXELS_PER_TOKEN, idle_gpus, plan_parallel
from talkingvideo_worker.engines.infinitetalk.parallel.recruiting import recruit, rendering_devices, share_of
from talkingvideo_worker.engines.infinitetalk.settings import require_sampling, settings_of
from talkingvideo_worker.engines.infinitetalk.speed.compiling import Work, choose_preparation
from talkingvideo_worker.engines.infinitetalk.weights.checking import require_weights
from talkingvideo_worker.engines.infinitetalk.weights.converted import sources_of
from talkingvideo_worker.engines.infinitetalk.weights.layout import SPEECH, rendering_files
from talkingvideo_worker.engines.infinitetalk.weights.loading import load_speech_model
from talkingvideo_worker.engines.infinitetalk.weights.lora_files import check_loras, loras_digest
from talkingvideo_worker.files import sampled_digest
from talkingvideo_worker.progress import ProgressCallback


class WeightsFolder:
    """Networks from a folder in the published layout; see ``layout``.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def digest(self, values: RenderValues) -> str:
        """Identify the weights by their files' sizes and samples of their contents, and so the LoRAs that are named."""
        digest = hashlib.sha256()
        for path in rendering_files(self._folder):
            digest.update(f"{path.relative_to(self._folder)} {sampled_digest(path)}\n".encode())
        digest.update(loras_digest(self._folder, require_sampling(values).loras).encode())
        return digest.hexdigest()

    def require(self) -> None:
        """Look whether everything is there, by names and headers.

        Raises:
            StageError: E_PIPELINE_LOAD with the list of what is not.
        """
        require_weights(self._folder)

    def check_loras(self, loras: Sequence[LoraFile]) -> list[str]:
        """Look whether LoRAs fit, by headers; see ``lora_files.check_loras``."""
        return check_loras(self._folder, loras)

    def speech_model(self) -> Wav2Vec2Model:
        """The model that hears, in evaluation mode, on the CPU."""
        return load_speech_model(self._folder / SPEECH)

    def networks(self, render_input: RenderInput, frames: int, note: ProgressCallback) -> LeanerOnce[Networks]:
        """The networks that render a scene, in the memory mode that fits, or a leaner one once memory has run out."""
        device, devices = rendering_device(), rendering_devices(render_input.gpus)
        pixels = render_input.portrait.width * render_input.portrait.height
        settings = settings_of(render_input.values, pixels)
        sources = sources_of(self._folder, len(render_input.tracks), formats_of(device).dtype)
        asked = asked_for(require_sampling(render_input.values))
        heads, branches = sources.transformer.config["num_heads"], len(settings.guidance.branches)
        layout = plan_parallel(render_input.gpus, branches, heads, pixels // PIXELS_PER_TOKEN)
        cached = 0 if settings.step_cache is None else -(-branches // layout.branch_groups)
        whole, job = Job(pixels, settings.window), Job(pixels, settings.window, layout.token_ranks, cached)
        loras = LoraSet(render_input.loras, self._folder)
        work = Work(
            whole.tokens, -(-frames // (settings.window - settings.motion)) * branches * len(settings.timesteps)
        )

        def build(mode: MemoryMode) -> Networks:
            prepare, uncompiled = choose_preparation(device, work)
            others = recruit(sources.transformer, mode, loras, layout, devices, prepare)
            prompts = (settings.prompt, settings.negative_prompt)
            built = build_networks(sources, prompts, mode, device, loras, note)
            prepare(built.transformer)
            denoiser = others.join(built.transformer)
            warnings = (*idle_gpus(render_input.gpus, layout), *filter(None, [uncompiled]))
            return Networks(built.transformer, built.encoders, denoiser, warnings)

        blocks = sources.transformer.config["num_layers"]
        return LeanerOnce(
            build,
            choose_mode(share_of(measure(device), layout), job, asked, blocks),
            lambda mode: leaner(mode, share_of(measure(device), layout), job, asked),
            lambda: free_gpu_bytes(device),
        )
