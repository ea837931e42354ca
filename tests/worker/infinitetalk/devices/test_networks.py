"""Single networks on a GPU, as far as the engine does not use them there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from tests.worker.infinitetalk.devices.conftest import FRAMES, Stage, drawn, pictures
from tests.worker.infinitetalk.devices.simulated import GPU, SimulatedGpu
from tests.worker.infinitetalk.whole_model import speech_features

from talkingvideo_worker.engines.infinitetalk.loader import encode_prompts
from talkingvideo_worker.engines.infinitetalk.memory.offloading import OffloadedEncoder
from talkingvideo_worker.engines.infinitetalk.weights.converted import network_files
from talkingvideo_worker.engines.infinitetalk.weights.converting import convert_weights
from talkingvideo_worker.engines.infinitetalk.weights.encoders import load_speech_model
from talkingvideo_worker.engines.infinitetalk.weights.files import SPEECH
from talkingvideo_worker.engines.infinitetalk.weights.transformer import read_weights
from talkingvideo_worker.units import SAMPLES_PER_FRAME


def test_audio_is_encoded_on_a_gpu_as_on_the_cpu(gpu: SimulatedGpu, tiny_weights: Path) -> None:
    samples = np.random.default_rng(0).integers(-9000, 9000, FRAMES * SAMPLES_PER_FRAME).astype(np.int16)
    prepared = {
        device: speech_features(load_speech_model(tiny_weights / SPEECH, device), samples) for device in ("cpu", GPU)
    }
    assert gpu.operations
    assert prepared[GPU].device.type == "cpu"
    assert torch.allclose(prepared["cpu"], prepared[GPU], atol=1e-4)


def test_prompts_are_encoded_on_a_gpu_as_on_the_cpu(gpu: SimulatedGpu, tiny_weights: Path) -> None:
    sources = network_files(tiny_weights, 1, torch.bfloat16)
    on_gpu, on_cpu = (encode_prompts(sources, ["a cat"], torch.bfloat16, torch.device(it)) for it in ("cuda", "cpu"))
    assert torch.allclose(on_gpu["a cat"], on_cpu["a cat"], atol=0.1)
    assert gpu.operations


def test_an_offloaded_encoder_computes_on_the_gpu_and_leaves_it(gpu: SimulatedGpu) -> None:
    model = torch.nn.Linear(4, 4)
    seen = OffloadedEncoder(model, lambda value: model(value.to(model.weight.device)), GPU)(torch.ones(2, 4))
    assert torch.ops.aten.addmm.default in gpu.operations
    assert {seen.device.type, *(value.device.type for value in model.parameters())} == {"cpu"}


def test_converted_copies_render_the_same_pictures(gpu: SimulatedGpu, stage: Stage, tmp_path: Path) -> None:
    copied = Stage(shutil.copytree(stage.weights, tmp_path / "copied"), tmp_path)
    convert_weights(copied.weights)
    render_input = stage.render_input(audio_guidance=1.0)
    assert np.array_equal(*(pictures(drawn(one.loaded(render_input))) for one in (stage, copied)))


def test_weights_are_read_straight_to_the_gpu(gpu: SimulatedGpu, tiny_weights: Path) -> None:
    stored = network_files(tiny_weights, 1, torch.bfloat16).transformer
    weights = dict(read_weights(stored, torch.bfloat16, lambda _name: GPU))
    assert {weight.device for weight in weights.values()} == {GPU}
    assert len(gpu.waits) == len(weights), "each is copied once"
