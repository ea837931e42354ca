"""The published layout, read from tiny files with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.worker.infinitetalk import conftest
from tests.worker.infinitetalk.conftest import SAID
from tests.worker.infinitetalk.parity.conftest import read_recording
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2Model

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk import build_transformer
from talkingvideo_worker.engines.infinitetalk.conditioning.image import ClipImageEncoder, WanVideoCodec
from talkingvideo_worker.engines.infinitetalk.memory.loading import load_transformer
from talkingvideo_worker.engines.infinitetalk.memory.modes import MemoryMode
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.encoders import (
    load_image_encoder,
    load_speech_model,
    load_text_encoder,
    load_video_codec,
)
from talkingvideo_worker.engines.infinitetalk.weights.headers import adapter_shapes, base_shapes
from talkingvideo_worker.engines.infinitetalk.weights.transformer import published_transformer

LAYERS = int(SAID["num_layers"])
UNSAID = conftest.UNSAID | {"image_dim": 64}
ENCODERS, _ = read_recording("aux")


def random(shapes: dict[str, Any]) -> dict[str, Tensor]:
    torch.manual_seed(6)
    return {name: torch.randn(tuple(shape)) * 0.1 for name, shape in shapes.items()}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(SAID))
    weights = random(base_shapes(SAID | UNSAID))
    for number in range(2):
        part = {name: weights[name] for name in list(weights)[number::2]}
        save_file(part, tmp_path / f"diffusion_pytorch_model-0000{number + 1}-of-00002.safetensors")
    save_file(random(adapter_shapes(SAID | UNSAID)), tmp_path / "adapter.safetensors")
    return tmp_path


def loaded(published: Path, dtype: torch.dtype) -> AudioWanTransformer3DModel:
    stored = published_transformer(published, published / "adapter.safetensors")
    mode = MemoryMode(resident=LAYERS, blocks=LAYERS)
    model, _ = load_transformer(stored, mode, dtype, torch.device("cpu"))
    return model


def test_the_transformer_is_read_from_shards_and_adapter(published: Path) -> None:
    found = loaded(published, torch.float32).state_dict()
    weights = random(base_shapes(SAID | UNSAID)) | random(adapter_shapes(SAID | UNSAID))
    expected = build_transformer(SAID | UNSAID, weights).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_norms_modulation_and_the_last_layer_stay_in_float32(published: Path) -> None:
    weights = loaded(published, torch.bfloat16).state_dict()
    kept = {name for name, value in weights.items() if value.dtype is torch.float32}
    assert {"scale_shift_table", "proj_out.weight", "blocks.0.norm2.weight"} <= kept
    assert weights["blocks.0.attn1.to_q.weight"].dtype is torch.bfloat16
    assert weights["blocks.1.audio_attn.to_kv.weight"].dtype is torch.bfloat16


def test_an_incomplete_base_is_refused(published: Path) -> None:
    path = published / "diffusion_pytorch_model-00002-of-00002.safetensors"
    save_file({"head.head.bias": torch.zeros(64)}, path)
    with pytest.raises(StageError, match="lacks") as refused:
        loaded(published, torch.float32)
    assert refused.value.code is ErrorCode.PIPELINE_LOAD


def test_an_unknown_weight_of_the_base_is_refused(published: Path) -> None:
    save_file(
        {"blocks.0.extra.weight": torch.zeros(2)}, published / "diffusion_pytorch_model-00003-of-00003.safetensors"
    )
    with pytest.raises(StageError, match=r"00003.*blocks\.0\.extra\.weight.*does not know"):
        loaded(published, torch.float32)


def test_a_weight_of_the_base_in_the_adapter_takes_precedence(published: Path) -> None:
    adapter = random(adapter_shapes(SAID | UNSAID)) | {"head.head.bias": torch.full((64,), 7.0)}
    save_file(adapter, published / "adapter.safetensors")
    assert loaded(published, torch.float32).proj_out.bias.tolist() == [7.0] * 64


def test_the_video_codec_is_read(tmp_path: Path) -> None:
    torch.save(random(ENCODERS["vae"]["weights"]), tmp_path / "vae.pth")
    codec = WanVideoCodec(load_video_codec(tmp_path / "vae.pth", torch.float32))
    latents = codec.encode(torch.zeros(3, 5, 16, 16))
    assert latents.shape == (16, 2, 2, 2)
    assert codec.decode(latents).shape == (3, 5, 16, 16)


def test_the_image_encoder_is_read_from_the_whole_clip(tmp_path: Path) -> None:
    weights = {f"visual.{name}": value for name, value in random(ENCODERS["clip"]["weights"]).items()}
    torch.save(weights | {"textual.head": torch.zeros(2)}, tmp_path / "clip.pth")
    encoder = ClipImageEncoder(load_image_encoder(tmp_path / "clip.pth", torch.float32))
    assert encoder(torch.zeros(3, 40, 60)).shape == (257, 64)


def test_the_text_encoder_is_read(tmp_path: Path) -> None:
    torch.save(random(ENCODERS["t5"]["weights"]), tmp_path / "t5.pth")
    model = load_text_encoder(tmp_path / "t5.pth", torch.bfloat16)
    assert model(torch.tensor([[5, 6, 7]])).last_hidden_state.shape == (1, 3, 64)
    assert {value.dtype for value in model.parameters()} == {torch.bfloat16}


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    torch.save({"encoder.conv1.weight": Path("/tmp")}, tmp_path / "vae.pth")
    with pytest.raises(Exception, match="Weights only load failed"):
        load_video_codec(tmp_path / "vae.pth", torch.float32)


def test_the_speech_model_is_read(tmp_path: Path) -> None:
    config = Wav2Vec2Config(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, conv_dim=[4] * 7,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=1,
    )  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(tmp_path)
    model = load_speech_model(tmp_path)
    assert not model.training
    assert model.config.hidden_size == 8
