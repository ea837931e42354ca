"""All networks from a tiny folder of weights, in the memory modes."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from tests.worker.infinitetalk.tiny_weights import write_tiny_weights
from torch import Tensor
from transformers import AutoTokenizer

from talkingvideo_api.spec import Quantization
from talkingvideo_worker.engines.infinitetalk import loader
from talkingvideo_worker.engines.infinitetalk.conditioning.image import WanVideoCodec
from talkingvideo_worker.engines.infinitetalk.conditioning.text import UmT5TextEncoder
from talkingvideo_worker.engines.infinitetalk.loader import build_networks, text_device
from talkingvideo_worker.engines.infinitetalk.memory.loading import load_transformer
from talkingvideo_worker.engines.infinitetalk.memory.modes import AuxiliaryNetworks, MemoryMode
from talkingvideo_worker.engines.infinitetalk.weights.converted import NetworkFiles, network_files
from talkingvideo_worker.engines.infinitetalk.weights.encoders import load_text_encoder, load_video_codec

CPU = torch.device("cpu")
RESIDENT = MemoryMode(resident=2, blocks=2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> NetworkFiles:
    folder = tmp_path_factory.mktemp("weights")
    write_tiny_weights(folder)
    return network_files(folder, 1, torch.float32)


def test_prompts_are_encoded_as_by_the_encoder_itself(files: NetworkFiles) -> None:
    built = build_networks(files, ("a woman speaks", "blurred"), RESIDENT, CPU)
    tokenizer = AutoTokenizer.from_pretrained(files.tokenizer)
    encoder = UmT5TextEncoder(load_text_encoder(files.text_encoder, torch.float32), tokenizer)
    for prompt in ("a woman speaks", "blurred"):
        assert torch.equal(built.encoders.text(prompt), encoder(prompt))


def test_the_text_encoder_is_freed_before_the_transformer_is_loaded(
    files: NetworkFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[torch.nn.Module]] = []

    def loading_text(path: Path, dtype: torch.dtype, device: torch.device) -> torch.nn.Module:
        model: torch.nn.Module = load_text_encoder(path, dtype, device)
        alive.append(weakref.ref(model))
        return model

    def loading_all(*arguments: object) -> object:
        gc.collect()
        assert [reference() for reference in alive] == [None]
        return load_transformer(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loader, "load_text_encoder", loading_text)
    monkeypatch.setattr(loader, "load_transformer", loading_all)
    build_networks(files, ("hello",), RESIDENT, CPU)


@pytest.mark.parametrize("resident", [0, 1])
@pytest.mark.parametrize("quantization", [Quantization.FP8, Quantization.INT8, Quantization.NONE])
def test_every_mode_encodes_decodes_and_predicts(
    files: NetworkFiles, quantization: Quantization, resident: int
) -> None:
    mode = MemoryMode(quantization, resident, 2, AuxiliaryNetworks.OFFLOADED)
    lean, whole = build_networks(files, ("a",), mode, CPU), build_networks(files, ("a",), RESIDENT, CPU)
    picture = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert torch.equal(lean.encoders.image(picture), whole.encoders.image(picture))
    latents = lean.encoders.video.encode(picture[:, None])
    assert torch.equal(latents, whole.encoders.video.encode(picture[:, None]))
    windows = torch.rand(1, 1, 5, 12, 768, generator=torch.Generator().manual_seed(2))
    found, expected = (
        built.transformer(
            torch.cat([latents, latents, latents[:4]])[None],
            torch.tensor([500.0]),
            torch.nn.functional.pad(built.encoders.text("a"), (0, 0, 0, 512 - len(built.encoders.text("a"))))[None],
            built.encoders.image(picture)[None],
            audio=built.transformer.encode_audio(windows),
        ).sample
        for built in (lean, whole)
    )
    assert torch.allclose(found, expected, rtol=0, atol=0 if quantization is Quantization.NONE else 0.2)
    assert found.std() > 0.1


def test_pictures_larger_than_a_tile_are_decoded_in_tiles(files: NetworkFiles) -> None:
    offloaded = replace(RESIDENT, auxiliary=AuxiliaryNetworks.OFFLOADED)
    latents = torch.randn(16, 1, 2, 40, generator=torch.Generator().manual_seed(1))
    tiled = build_networks(files, (), offloaded, CPU).encoders.video.decode(latents)
    whole = build_networks(files, (), RESIDENT, CPU).encoders.video.decode(latents)
    assert tiled.shape == whole.shape == (3, 1, 16, 320)
    assert not torch.equal(tiled, whole)


def decoding_in_bf16(files: NetworkFiles) -> AutoencoderKLWan:
    vae = load_video_codec(files.video_codec, torch.float32)
    for part in (vae.decoder, vae.post_quant_conv):
        part.to(torch.bfloat16)
    return vae


def test_decoding_in_bfloat16_is_a_level_off_and_encoding_exact(files: NetworkFiles) -> None:
    generator = torch.Generator().manual_seed(3)
    latents, video = torch.randn(16, 3, 4, 6, generator=generator), torch.rand(3, 5, 32, 48, generator=generator)
    exact = WanVideoCodec(load_video_codec(files.video_codec, torch.float32))
    half = WanVideoCodec(decoding_in_bf16(files))
    assert torch.equal(half.encode(video), exact.encode(video))
    levels: Tensor = (half.decode(latents) - exact.decode(latents)).abs() * 127.5
    assert 0 < levels.mean() < 1.5


@pytest.mark.parametrize(("free", "expected"), [(None, "cpu"), (1000, "cpu"), (1200, "cuda")])
def test_the_text_encoder_runs_on_a_gpu_that_can_hold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int | None, expected: str
) -> None:
    file = tmp_path / "text"
    file.write_bytes(bytes(1000))
    monkeypatch.setattr(loader, "free_gpu_bytes", lambda _device: free)
    assert text_device(file, torch.device("cuda")).type == expected
